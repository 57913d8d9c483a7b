/**
 * A network for each member, and one with a bridge between them: members dial each other directly, over the system's own
 * TCP, and a member's port that is taken off the bridge loses every packet from and to it in silence. No link goes down
 * and nothing is reset; neighbours are known for good, so that nobody learns from an address that is asked for in vain.
 *
 * All of it belongs to one shell in name spaces of its own, and needs no privileges where users may make some. The
 * system takes everything back when that shell and the members have ended; the shell ends with its input, which ends
 * however we end.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { within } from './conditions.js';
import type { Place } from './places.js';

const LIMIT = 10_000;
const PORT = 7000;

/** Where `ip` is for the superuser, and often for nobody else. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

const hostOf = (at: number): string => `10.77.0.${at + 1}`;
const hardwareOf = (at: number): string => `02:00:00:00:00:${(at + 1).toString(16).padStart(2, '0')}`;

/** Run in a folder that nobody else sees into: a name space has the name of its member there. */
function building(ids: readonly string[]): string {
  return [
    'mount -t tmpfs quorate .',
    'cd "$PWD"',
    'ip link add hub type bridge',
    'ip link set hub up',
    ...ids.flatMap((id, at) => [
      `touch ${id}`,
      `unshare --net=./${id} true`,
      `ip link add port-${id} type veth peer name member netns ./${id}`,
      `nsenter --net=./${id} sh -ec '${furnishing(ids, at)}'`,
      `ip link set port-${id} master hub up`,
    ]),
  ].join(' && ');
}

/** What a member's own name space has. */
function furnishing(ids: readonly string[], own: number): string {
  const neighbours = [...ids.keys()].filter((at) => at !== own);
  return [
    'ip link set lo up',
    `ip link set member address ${hardwareOf(own)} up`,
    `ip addr add ${hostOf(own)}/24 dev member`,
    ...neighbours.map((at) => `ip neigh replace ${hostOf(at)} lladdr ${hardwareOf(at)} dev member nud permanent`),
  ].join('\n');
}

/** Dials where nobody listens: only the other's system can say so. */
const PROBE = `
  const net = require('node:net');
  net.connect(9, process.argv[1]).on('error', (error) => console.log(error.code));
`;

export class Namespaces {
  private readonly ids: readonly string[];
  private readonly shell: ChildProcess;
  private readonly ended: Promise<unknown>;
  private readonly lines: AsyncIterator<string>;
  private complaint = '';
  /** Where their names are in the shell's own name space; empty in ours. */
  readonly folder: string;

  private constructor(ids: readonly string[]) {
    this.ids = ids;
    this.folder = mkdtempSync(join(tmpdir(), 'quorate-networks-'));
    const env = { ...process.env, PATH };
    const shell = spawn('unshare', ['-rmn', 'sh'], { cwd: this.folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
    shell.stdin.on('error', () => undefined);
    shell.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(-400);
    });
    this.lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
    this.shell = shell;
    this.ended = once(shell, 'close').catch(() => undefined);
  }

  /** @returns null where the machine has no such thing */
  static async of(ids: readonly string[]): Promise<Namespaces | null> {
    const namespaces = new Namespaces(ids);
    const isBuilt = await namespaces.does(building(ids)).catch(() => false);
    if (isBuilt && (await namespaces.passes())) return namespaces;
    await namespaces.close();
    return null;
  }

  private async does(script: string): Promise<boolean> {
    this.shell.stdin?.write(`( ${script} ) </dev/null >/dev/null && echo done || echo failed\n`);
    const { value } = await within(LIMIT, 'a change of the network', this.lines.next());
    return value === 'done';
  }

  private async do(script: string): Promise<void> {
    if (!(await this.does(script))) throw new Error(`the network could not be changed: ${this.complaint}`);
  }

  /** Tried, not believed. */
  private async passes(): Promise<boolean> {
    const [program = '', ...args] = [...this.launcherOf(this.ids[0] as string), process.execPath, '-e', PROBE];
    const last = hostOf(this.ids.length - 1);
    const tried = promisify(execFile)(program, [...args, last], { timeout: LIMIT });
    return tried.then(
      ({ stdout }) => stdout.trim() === 'ECONNREFUSED',
      () => false,
    );
  }

  private launcherOf(id: string): readonly string[] {
    const shell = `/proc/${this.shell.pid}`;
    const network = join(shell, 'root', this.folder, id);
    return ['nsenter', `--user=${shell}/ns/user`, '--preserve-credentials', `--net=${network}`];
  }

  /** Where each member is: nothing stands between it and its peers. */
  get places(): Map<string, Place> {
    return new Map(
      this.ids.map((id, at) => {
        const address = `${hostOf(at)}:${PORT}`;
        return [id, { listen: address, dialled: address, launcher: this.launcherOf(id) }];
      }),
    );
  }

  /** From and to these every packet is lost, until `heal`. */
  async silence(ids: readonly string[]): Promise<void> {
    await this.do(ids.map((id) => `ip link set port-${id} nomaster`).join(' && '));
  }

  /** All ports are on the bridge. */
  async heal(): Promise<void> {
    await this.do(this.ids.map((id) => `ip link set port-${id} master hub`).join(' && '));
  }

  async close(): Promise<void> {
    this.shell.kill('SIGKILL');
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
