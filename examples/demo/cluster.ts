/** Three member processes: started, asked, killed and started again. None outlives this process. */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Link } from './links.js';
import type { Answer, Ask, MemberSettings, SnapshotTold } from './messages.js';

const MEMBER = fileURLToPath(new URL('./member.js', import.meta.url));

type Untagged<T> = T extends unknown ? Omit<T, 'ask'> : never;

/** The process is gone: what was asked of it may or may not have happened. */
export class Gone extends Error {}

/** One member, whose process comes and goes. */
export class MemberProcess {
  /** What its next process is started with. */
  settings: MemberSettings;
  /** Told of what happens to its snapshots. */
  onSnapshot: (told: SnapshotTold) => void = () => undefined;
  private child: ChildProcess | null = null;
  private asks = 0;
  private readonly waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();

  constructor(settings: MemberSettings) {
    this.settings = settings;
  }

  get id(): string {
    return this.settings.id;
  }

  get running(): boolean {
    return this.child !== null;
  }

  /** Resolves when the replica listens. */
  async start(): Promise<void> {
    const child = fork(MEMBER, [JSON.stringify(this.settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child = child;
    const up = new Promise<void>((resolve, reject) => {
      child.on('message', (answer: Answer) => {
        if (answer.kind === 'up') resolve();
        else if (answer.kind === 'snapshot') this.onSnapshot(answer.told);
        else if (answer.kind === 'down') reject(new Error(`member ${this.id}: ${answer.reason}`));
        else this.take(answer.ask)?.resolve(answer);
      });
      child.once('exit', () => reject(new Gone(`member ${this.id} ended while it started`)));
    });
    child.once('exit', () => {
      this.child = null;
      for (const ask of [...this.waiting.keys()]) this.take(ask)?.reject(new Gone(`member ${this.id} is gone`));
    });
    await up;
  }

  private take(ask: number): { resolve(answer: Answer): void; reject(error: Error): void } | undefined {
    const waiter = this.waiting.get(ask);
    this.waiting.delete(ask);
    return waiter;
  }

  ask(question: Untagged<Ask>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.child === null) return reject(new Gone(`member ${this.id} is gone`));
      const ask = ++this.asks;
      this.waiting.set(ask, { resolve, reject });
      this.child.send({ ...question, ask } as Ask, (error) => {
        if (error !== null) this.take(ask)?.reject(new Gone(`member ${this.id} is gone`));
      });
    });
  }

  /** SIGKILL: no handler of the process runs, nothing is flushed. Resolves when it is gone. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** It closes in order: hands the leadership over, answers whom it was asked by, and ends. */
  async close(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    const gone = once(child, 'exit');
    await this.ask({ kind: 'close' }).catch(() => null);
    await gone;
  }

  killNow(): void {
    this.child?.kill('SIGKILL');
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Members that are not started yet, and how to leave nothing behind. */
export interface Prepared {
  readonly members: readonly MemberProcess[];
  /** Between the members, if they were asked for. */
  readonly links: readonly Link[];
  /** A temporary folder, for their data. */
  readonly directory: string;
  cleanUp(): void;
}

/** What a story needs of its members. */
export interface Needs {
  /** Whether members reach each other through links. */
  readonly isLinked?: boolean;
  readonly settings?: Pick<MemberSettings, 'snapshotEvery' | 'segmentBytes'>;
}

export async function prepare(
  protocol: MemberSettings['protocol'],
  { isLinked = false, settings = {} }: Needs,
): Promise<Prepared> {
  const ids = ['a', 'b', 'c'];
  const ports = await freePorts(ids.length);
  const links = isLinked ? ids.map((id, at) => new Link(id, ports[at] ?? 0)) : [];
  await Promise.all(links.map((link) => link.open()));
  // Created last, so that the caller can clean up as soon as the directory exists.
  const directory = mkdtempSync(join(tmpdir(), 'quorate-demo-'));
  const places = ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`] as const);
  const addresses = Object.fromEntries(places.map(([id, place], at) => [id, links[at]?.address ?? place]));
  const members = places.map(
    ([id, listen]) =>
      new MemberProcess({ id, members: addresses, listen, directory: join(directory, id), protocol, ...settings }),
  );
  const cleanUp = (): void => {
    for (const member of members) member.killNow();
    for (const link of links) link.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
  return { members, links, directory, cleanUp };
}
