/**
 * Addresses of host names, looked up in a way that can be given up: the hosts file first, then DNS by a resolver of our
 * own, and only if DNS has answered, but with nothing, by the system, which knows more ways (search domains, mDNS). The
 * system's lookup cannot be given up: where a name server is silent it would occupy a thread of the pool, and keep a
 * process that has closed everything alive, for as long as it takes. So it is asked only while name servers answer.
 *
 * Invariants: after `close` no lookup is under way that waits for a name server, and none begins.
 */

import { promises } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

/** Where names are looked up. */
export interface NameSources {
  /** The text of the hosts file. */
  hosts(): Promise<string>;
  /** Asks name servers; `cancel` ends it with an error. */
  servers(host: string): { readonly addresses: Promise<readonly string[]>; cancel(): void };
  system(host: string): Promise<readonly string[]>;
}

const HOSTS_FILE =
  process.platform === 'win32'
    ? `${process.env['SystemRoot'] ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
    : '/etc/hosts';
/** For a question to a name server, and how often it is asked; a lookup goes on beyond the dial that began it. */
const SERVER_PATIENCE = { timeout: 1000, tries: 3 };
/** Name servers gave no answer. */
const SILENT = new Set(['ETIMEOUT', 'ECANCELLED', 'EDESTRUCTION']);
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1'];

const sourcesOfTheSystem: NameSources = {
  hosts: () => readFile(HOSTS_FILE, 'utf8'),
  servers(host) {
    // A new one each time: it reads which name servers there are when it is made.
    const resolver = new promises.Resolver(SERVER_PATIENCE);
    const ask = async (): Promise<readonly string[]> => {
      const both = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      const found = both.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      if (found.length > 0) return found;
      const failures = both.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
      throw failures.find((failure) => SILENT.has(codeOf(failure))) ?? failures[0];
    };
    return { addresses: ask(), cancel: () => resolver.cancel() };
  },
  system: async (host) => (await promises.lookup(host, { all: true })).map(({ address }) => address),
};

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code);
}

/** The addresses that a hosts file has for a name, in its order. */
export function addressesInHosts(text: string, host: string): readonly string[] {
  const name = host.toLowerCase();
  return text.split(/\r?\n/).flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address) > 0 && names.some((each) => each.toLowerCase() === name) ? [address] : [];
  });
}

export class Lookups {
  private readonly sources: NameSources;
  private readonly cancels = new Set<() => void>();
  private isClosed = false;

  constructor(sources: NameSources = sourcesOfTheSystem) {
    this.sources = sources;
  }

  /** The addresses of a name, each once, at least one. Rejects with the error of the last way that was tried. */
  async addressesOf(host: string): Promise<readonly string[]> {
    const found = [...new Set(await this.search(host))];
    if (found.length > 0) return found;
    throw Object.assign(new Error(`lookup ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
  }

  private async search(host: string): Promise<readonly string[]> {
    const listed = addressesInHosts(await this.sources.hosts().catch(() => ''), host);
    if (listed.length > 0) return listed;
    if (/(?:^|\.)localhost$/i.test(host)) return LOOPBACK; // RFC 6761
    this.refuseIfClosed(host);
    try {
      return await this.askServers(host);
    } catch (error) {
      if (SILENT.has(codeOf(error))) throw error;
    }
    this.refuseIfClosed(host);
    return this.sources.system(host);
  }

  private async askServers(host: string): Promise<readonly string[]> {
    const { addresses, cancel } = this.sources.servers(host);
    this.cancels.add(cancel);
    try {
      return await addresses;
    } finally {
      this.cancels.delete(cancel);
    }
  }

  private refuseIfClosed(host: string): void {
    if (this.isClosed) throw Object.assign(new Error(`lookup ECANCELLED ${host}`), { code: 'ECANCELLED' });
  }

  /** Ends the lookups that are under way, and all later ones. */
  close(): void {
    this.isClosed = true;
    for (const cancel of this.cancels) cancel();
  }
}
