/** Snapshots on a whole replica: taken, kept, restored at a start, and what becomes of those that fail. */

import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createReplica,
  memoryStorage,
  multipaxos,
  raft,
  type ApplyContext,
  type ReplicaEvent,
  type Storage,
} from 'quorate';
import { fileStorage } from 'quorate/node';
import { aloneOptions } from './alone.js';
import { startedWith } from './snapshot-replica.js';

/** Sums, and counts how often it was asked to. */
class Sum {
  total = 0;
  applied = 0;
  restores = 0;
  apply(by: number): number {
    this.applied += 1;
    return (this.total += by);
  }
  snapshot(): { total: number } {
    return { total: this.total };
  }
  restore({ total }: { total: number }): void {
    this.restores += 1;
    this.total = total;
  }
}

/** The same, in chunks of one number each. */
class Streaming {
  numbers: number[] = [];
  applied = 0;
  /** Called for each chunk that is restored. */
  onChunk: () => Promise<void> | void = () => undefined;
  apply(number: number): number {
    this.applied += 1;
    return this.numbers.push(number);
  }
  *snapshot(): Generator<Uint8Array> {
    for (const number of [...this.numbers]) yield new Uint8Array(new Float64Array([number]).buffer);
  }
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.numbers = [];
    for await (const chunk of chunks) {
      await this.onChunk();
      for (const number of new Float64Array(chunk.slice().buffer)) this.numbers.push(number);
    }
  }
}

function snapshotsIn(events: readonly ReplicaEvent[]) {
  return events.filter((event) => event.kind === 'snapshot');
}

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-snapshots-'));
  directories.push(directory);
  return directory;
}

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('%s', (_, protocol) => {
  it('restores at a start, and applies only what follows', async () => {
    const storage = memoryStorage();
    const first = await startedWith({ storage, machine: new Sum(), protocol: protocol() });
    for (let by = 1; by <= 25; by++) await first.replica.propose(by);
    await first.told('taken', 2);
    await first.replica.close();
    const machine = new Sum();
    const second = await startedWith({ storage, machine, protocol: protocol() });
    expect(await second.replica.read(({ total }) => total)).toBe(325);
    expect(machine.restores).toBe(1);
    expect(machine.applied).toBeLessThan(15);
    expect(snapshotsIn(second.events)[0]).toMatchObject({ event: 'restored' });
    expect(await second.replica.propose(5)).toBe(330);
    await second.replica.close();
  });
});

describe('files', () => {
  it('keeps the two newest, and removes what no list names', async () => {
    const directory = await freshDirectory();
    const first = await startedWith({ storage: fileStorage(directory), machine: new Sum() });
    for (let by = 1; by <= 60; by++) await first.replica.propose(by);
    await first.told('taken', 4);
    await first.replica.close();
    await writeFile(join(directory, 'snapshot-7-1.tmp'), 'cut short');
    await writeFile(join(directory, 'snapshot-8-1'), 'never named');
    const second = await startedWith({ storage: fileStorage(directory), machine: new Sum() });
    expect(await second.replica.read(({ total }) => total)).toBe(1830);
    const files = async (): Promise<string[]> =>
      (await readdir(directory)).filter((name) => name.startsWith('snapshot-'));
    while ((await files()).length > 2) await new Promise((resolve) => setImmediate(resolve));
    await second.replica.close();
    expect(await files()).toHaveLength(2);
    expect(await files()).not.toContain('snapshot-8-1');
  });

  it.each([1, 2])('are verified: with the newest %i damaged the rest serves, or the start ends', async (count) => {
    const directory = await freshDirectory();
    const first = await startedWith({ storage: fileStorage(directory), machine: new Sum() });
    for (const by of [1, 2, 3]) {
      for (let each = 0; each < 12; each++) await first.replica.propose(by);
      await first.told('taken', by);
    }
    await first.replica.close();
    const files = (await readdir(directory))
      .filter((name) => name.startsWith('snapshot-'))
      .sort((a, b) => parseInt(b.slice(9)) - parseInt(a.slice(9)));
    for (const file of files.slice(0, count)) {
      const bytes = await readFile(join(directory, file));
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      await writeFile(join(directory, file), bytes);
    }
    const machine = new Sum();
    const starting = startedWith({ storage: fileStorage(directory), machine });
    if (count === 2) return expect(starting).rejects.toMatchObject({ code: 'ERR_STORAGE_CORRUPT' });
    const second = await starting;
    expect(await second.replica.read(({ total }) => total)).toBe(72);
    expect(machine.restores).toBe(1);
    const failed = snapshotsIn(second.events).filter(({ event }) => event === 'failed');
    expect(failed).toHaveLength(count);
    expect(failed[0]).toMatchObject({ cause: { code: 'ERR_STORAGE_CORRUPT' } });
    await second.replica.close();
  });
});

describe('a machine that streams', () => {
  it('gives chunks of one point in time while it goes on, and gets the same bytes back', async () => {
    const storage = memoryStorage();
    const first = await startedWith({ storage, machine: new Streaming() });
    for (let by = 1; by <= 25; by++) await first.replica.propose(by);
    await first.told('taken', 2);
    await first.replica.close();
    const machine = new Streaming();
    const second = await startedWith({ storage, machine });
    await second.told('restored');
    expect(await second.replica.propose(26)).toBe(26);
    expect(machine.numbers).toEqual(Array.from({ length: 26 }, (_, at) => at + 1));
    expect(machine.applied).toBeLessThan(16);
    await second.replica.close();
  });

  it('is touched by nothing while it is restored, and reads wait', async () => {
    const storage = memoryStorage();
    const first = await startedWith({ storage, machine: new Streaming() });
    for (let by = 1; by <= 12; by++) await first.replica.propose(by);
    await first.told('taken');
    await first.replica.close();
    const machine = new Streaming();
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    machine.onChunk = () => held;
    const { replica } = await startedWith({ storage, machine });
    const seen: number[] = [];
    const read = (options: object): Promise<number> =>
      replica.read((it) => seen.push((it as unknown as Streaming).numbers.length), options);
    const waiting = [read({}), read({ consistency: 'stale' }), read({ consistency: 'stale', minIndex: 3 })];
    const proposed = replica.propose(13);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([seen, machine.applied]).toEqual([[], 0]);
    goOn();
    await Promise.all(waiting);
    expect(await proposed).toBe(13);
    expect(seen.every((length) => length >= 8)).toBe(true);
    await replica.close();
  });
});

describe('what fails', () => {
  it.each([
    [
      'a machine that throws',
      {
        snapshot: (): never => {
          throw new Error('no');
        },
      },
    ],
    ['a value that the codec refuses', { snapshot: (): unknown => ({ at: new Date() }) }],
    ['a promise', { snapshot: (): unknown => Promise.resolve(1) }],
  ])('%s costs the snapshot, not the replica', async (_, broken) => {
    const storage = memoryStorage();
    const machine = Object.assign(new Sum(), broken) as Sum;
    const { replica, events, told } = await startedWith({ storage, machine });
    for (let by = 1; by <= 25; by++) await replica.propose(by);
    await told('failed');
    expect(snapshotsIn(events)).toMatchObject([{ event: 'begun' }, { event: 'failed' }]);
    expect(await replica.propose(0)).toBe(325);
    expect(await storage.snapshots?.list()).toEqual([]);
    await replica.close();
  });

  it('a disk without space for it, or one that gives back something else', async () => {
    for (const broken of ['write', 'read'] as const) {
      const memory = memoryStorage();
      const files = memory.snapshots as NonNullable<Storage['snapshots']>;
      const fails = (): Promise<never> => Promise.reject(new Error('ENOSPC'));
      const snapshots = { ...bound(files), [broken]: broken === 'write' ? fails : async () => new Uint8Array(9) };
      const storage: Storage = { ...bound(memory), snapshots };
      const { replica, told } = await startedWith({ storage, machine: new Sum() });
      for (let by = 1; by <= 12; by++) await replica.propose(by);
      await told('failed');
      expect(await replica.propose(0)).toBe(78);
      await replica.close();
      expect(await files.list()).toEqual([]);
    }
  });

  it('a machine that cannot be restored halts the replica, and the next start tries again', async () => {
    const storage = memoryStorage();
    const first = await startedWith({ storage, machine: new Sum() });
    for (let by = 1; by <= 12; by++) await first.replica.propose(by);
    await first.told('taken');
    await first.replica.close();
    const cause = new Error('cannot');
    const machine = Object.assign(new Sum(), {
      restore: (): never => {
        throw cause;
      },
    });
    const broken = await startedWith({ storage, machine });
    await expect(broken.replica.read(() => 1)).rejects.toMatchObject({ code: 'ERR_RESTORE_FAILED', cause });
    await broken.replica.close();
    const again = await startedWith({ storage, machine: new Sum() });
    expect(await again.replica.read(({ total }) => total)).toBe(78);
    await again.replica.close();
  });

  it('a stream that never goes on holds up no close', async () => {
    const machine = Object.assign(new Streaming(), {
      async *snapshot() {
        yield new Uint8Array(8);
        await new Promise<never>(() => undefined);
      },
    });
    const { replica, told } = await startedWith({ storage: fileStorage(await freshDirectory()), machine });
    for (let by = 1; by <= 12; by++) await replica.propose(by);
    await told('begun');
    await replica.close();
    expect(replica.status()).toMatchObject({ phase: 'stopped', fault: null });
  });

  it('a stream that fails, and whose end never comes, fails', async () => {
    let asked = 0;
    const machine = Object.assign(new Streaming(), {
      snapshot: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => (asked++ === 0 ? Promise.resolve({ value: new Uint8Array(8) }) : Promise.reject(new Error('no'))),
          return: () => new Promise<never>(() => undefined),
        }),
      }),
    });
    const { replica, told } = await startedWith({ storage: memoryStorage(), machine: machine as Streaming });
    for (let by = 1; by <= 12; by++) await replica.propose(by);
    await told('failed');
    await replica.close();
  });

  it('options out of range are named', async () => {
    const options = aloneOptions({ machine: new Sum(), storage: memoryStorage() });
    for (const snapshots of [{ entries: 0 }, { bytes: 0.5 }, { often: 1 }, 7]) {
      await expect((async () => createReplica({ ...options, snapshots } as never))()).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('snapshots'),
      });
    }
  });
});

it('a machine that leaves chunks unread is not restored', async () => {
  const storage = memoryStorage();
  const first = await startedWith({ storage, machine: new Streaming() });
  for (let by = 1; by <= 12; by++) await first.replica.propose(by);
  await first.told('taken');
  await first.replica.close();
  const hasty = Object.assign(new Streaming(), { restoreFrom: async () => undefined });
  const second = await startedWith({ storage, machine: hasty });
  await expect(second.replica.read(() => 1)).rejects.toMatchObject({ code: 'ERR_RESTORE_FAILED' });
  await second.replica.close();
  // One that knows how much there is need not ask for more.
  class Counting extends Streaming {
    override async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
      for await (const chunk of chunks) {
        this.numbers.push(...new Float64Array(chunk.slice().buffer));
        if (this.numbers.length >= 10) break;
      }
    }
  }
  const third = await startedWith({ storage, machine: new Counting() });
  expect(await third.replica.read((machine) => (machine as never as Streaming).numbers.length)).toBe(12);
  await third.replica.close();
});

it('a machine goes over to streams if it keeps its restore, and to values back again', async () => {
  const storage = memoryStorage();
  class Both extends Streaming {
    restore({ total }: { total: number }): void {
      this.numbers = [total];
    }
  }
  const first = await startedWith({ storage, machine: new Sum() });
  for (let by = 1; by <= 12; by++) await first.replica.propose(by);
  await first.told('taken');
  await first.replica.close();
  const alone = await startedWith({ storage, machine: new Streaming() });
  await expect(alone.replica.propose(1)).rejects.toMatchObject({ code: 'ERR_RESTORE_FAILED' });
  await alone.replica.close();
  const second = await startedWith({ storage, machine: new Both() });
  for (let by = 1; by <= 12; by++) await second.replica.propose(by);
  await second.told('taken');
  const sum = await second.replica.read((machine) => (machine as never as Both).numbers.reduce((a, b) => a + b, 0));
  expect(sum).toBe(12 * 13);
  await second.replica.close();
  const third = await startedWith({ storage, machine: new Both() });
  expect(await third.replica.read((machine) => (machine as never as Both).numbers.length)).toBeGreaterThan(12);
  await third.replica.close();
});

it('a machine may ask to be woken never', async () => {
  class Sleeper extends Sum {
    override apply(by: number, context?: ApplyContext): number {
      context?.wakeAt(Number.MAX_SAFE_INTEGER);
      return super.apply(by);
    }
    wake(): void {
      this.total = NaN;
    }
  }
  const storage = memoryStorage();
  const first = await startedWith({ storage, machine: new Sleeper() });
  for (let by = 1; by <= 12; by++) await first.replica.propose(by);
  await first.told('taken');
  await first.replica.close();
  const { replica } = await startedWith({ storage, machine: new Sleeper() });
  expect(await replica.propose(22)).toBe(100);
  expect(replica.status().fault).toBeNull();
  await replica.close();
});

it('changes begin behind what was restored', async () => {
  const storage = memoryStorage();
  const first = await startedWith({ storage, machine: new Sum() });
  for (let by = 1; by <= 12; by++) await first.replica.propose(by);
  await first.told('taken');
  await first.replica.close();
  const { replica } = await startedWith({ storage, machine: new Sum() });
  const next = replica.changes();
  await expect(replica.changes({ from: 1 }).next()).rejects.toMatchObject({ code: 'ERR_CHANGES_TRIMMED' });
  await replica.propose(1000);
  let change = await next.next();
  while (!change.done && change.value.command !== 1000) change = await next.next();
  expect(change.value).toMatchObject({ command: 1000, result: 1078 });
  await replica.close();
});

/** The methods of an object as properties of a plain one. */
function bound<T extends object>(target: T): T {
  return new Proxy({} as T, {
    ownKeys: () => methodsOf(target),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (_, name) => {
      const value = target[name as keyof T];
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function methodsOf(target: object): string[] {
  return Object.getOwnPropertyNames(Object.getPrototypeOf(target)).filter((name) => name !== 'constructor');
}
