/** The members of the durable cluster: processes of their own on loopback, with real fdatasync and default settings. */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MemberSettings } from './cluster-member.js';
import { CLOSE, Link, OK, STATUS } from './cluster-wire.js';

const MEMBER = fileURLToPath(new URL('./cluster-member.js', import.meta.url));

export interface MemberStatus {
  readonly leading: boolean;
  readonly applied: number;
  readonly commit: number;
  readonly size: number;
  readonly rss: number;
  /** The lowest index of the log. */
  readonly first: number;
  /** The newest snapshot's index; 0 without one. */
  readonly snapshot: number;
  /** What was pulled last, if anything was, and what that took in milliseconds. */
  readonly pulled: { readonly bytes: number; readonly took: number };
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Member {
  readonly settings: MemberSettings;
  link: Link | null = null;
  private child: ChildProcess | null = null;

  constructor(settings: MemberSettings) {
    this.settings = settings;
  }

  async start(): Promise<void> {
    this.child = fork(MEMBER, [JSON.stringify(this.settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(this.child, 'message');
    this.link = new Link(this.settings.clientPort);
  }

  async ask(kind: number, body: Uint8Array = new Uint8Array(0)): Promise<Buffer> {
    if (this.link === null) throw new Error('the member is down');
    const answer = await this.link.ask(kind, body);
    if (answer.kind !== OK) throw new Error('the member refused');
    return answer.body;
  }

  async status(): Promise<MemberStatus> {
    return JSON.parse((await this.ask(STATUS)).toString()) as MemberStatus;
  }

  async kill(): Promise<void> {
    const { child } = this;
    this.link?.close();
    this.link = null;
    this.child = null;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Restarts the member as an operator does: it closes, and starts again from its files. */
  async restart(): Promise<void> {
    await this.ask(CLOSE);
    await this.kill();
    await this.start();
  }
}

async function ports(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const found = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return found;
}

export async function leaderOf(members: readonly Member[]): Promise<Member> {
  for (;;) {
    for (const member of members) {
      const status = await member.status().catch(() => null);
      if (status?.leading === true) return member;
    }
    await pause(20);
  }
}

/** Three members in processes of their own, for as long as `use` takes; they take no snapshots unless told to. */
export async function withMembers(
  protocol: string,
  settings: Partial<Pick<MemberSettings, 'leaseReads' | 'tableBytes' | 'snapshots'>>,
  use: (members: readonly Member[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
  const ids = ['a', 'b', 'c'];
  const found = await ports(2 * ids.length);
  const addresses = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${found[at]}`]));
  const members = ids.map((id, at) => {
    const clientPort = found[ids.length + at] as number;
    const own = { id, members: addresses, directory: join(directory, id), protocol, clientPort };
    return new Member({ ...own, leaseReads: 0, tableBytes: 0, snapshots: false, ...settings });
  });
  const killAll = (): void => void Promise.all(members.map((member) => member.kill()));
  process.once('exit', killAll);
  try {
    await Promise.all(members.map((member) => member.start()));
    await use(members);
  } finally {
    await Promise.all(members.map((member) => member.kill()));
    process.removeListener('exit', killAll);
    rmSync(directory, { recursive: true, force: true });
  }
}
