/** Snapshots where space is short: none is begun that may not fit, and the older one goes when the storage is full. */

import { describe, expect, it } from 'vitest';
import { createReplica, multipaxos, raft } from 'quorate';
import { fileStorage } from '../../../src/adapters/file-storage/index.js';
import { SimDisk } from '../../adapters/file-storage-disks.js';
import { aloneOptions } from './alone.js';
import { storageWith } from './altered-storage.js';
import { snapshotMakesRoom, waitsForWhatIsTrimmed } from './full-disk-cases.js';
import { startedWith } from './snapshot-replica.js';

class Sum {
  total = 0;
  apply(by: number): number {
    return (this.total += by);
  }
  snapshot(): number {
    return this.total;
  }
  restore(total: number): void {
    this.total = total;
  }
}

/** The same as a stream. It knows how many of its streams were not ended. */
class Streaming {
  total = 0;
  reading = 0;
  apply(by: number): number {
    return (this.total += by);
  }
  *snapshot(): Generator<Uint8Array> {
    this.reading += 1;
    try {
      for (let left = 10; left > 0; left--) yield new Uint8Array(100).fill(this.total);
    } finally {
      this.reading -= 1;
    }
  }
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) this.total = chunk[0] ?? 0;
  }
}

describe('taking', () => {
  it('begins only while one and a half of the last one is free, and the log goes on', async () => {
    let free = 0;
    const { storage, files } = storageWith(() => ({ free: async () => free }));
    const machine = new Streaming();
    const { replica, events, snapshotEvents, told } = await startedWith({ storage, machine });
    for (let by = 1; by <= 15; by++) await replica.propose(1);
    await told('taken');
    const [{ bytes = 0 } = {}] = replica.status().snapshots;
    expect(bytes).toBeGreaterThan(1000);
    free = Math.ceil(1.5 * bytes) - 1;
    for (let by = 1; by <= 15; by++) await replica.propose(1);
    await told('failed');
    expect(snapshotEvents().at(-1)).toMatchObject({
      event: 'failed',
      reason: `${free} bytes are free, and the snapshot may need ${free + 1}`,
      cause: { code: 'ERR_STORAGE_FULL' },
    });
    expect(await files.list()).toHaveLength(1);
    expect(machine.reading).toBe(0);
    expect(await replica.propose(1)).toBe(31);
    expect(events.filter(({ kind }) => kind === 'storage')).toEqual([]);
    await replica.close();
    // The next start has not failed yet, and there is space.
    free += 1;
    const next = await startedWith({ storage, machine });
    for (let by = 1; by <= 15; by++) await next.replica.propose(1);
    await next.told('taken');
    await next.replica.close();
  });

  it('is taken after a pause when one has failed, though nothing more is applied', async () => {
    class Once extends Sum {
      failed = false;
      override snapshot(): ReturnType<Sum['snapshot']> {
        if (this.failed) return super.snapshot();
        this.failed = true;
        throw new Error('not now');
      }
    }
    const { storage } = storageWith(() => ({}));
    const { replica, snapshotEvents, told } = await startedWith({ storage, machine: new Once() });
    for (let by = 1; by <= 15; by++) await replica.propose(1);
    await told('failed');
    await told('taken');
    const [failed, taken] = ['failed', 'taken'].map((name) => snapshotEvents().find(({ event }) => event === name));
    expect(taken?.index).toBeGreaterThanOrEqual(failed?.index ?? Infinity);
    await replica.close();
  });

  it.each([
    ['throws', () => Promise.reject(new Error('no idea')), 'no idea'],
    ['gives no number', async () => 'much' as unknown as number, 'snapshots.free gave no number'],
  ])('a storage whose free %s fails the snapshot alone', async (_, free, reason) => {
    const { storage } = storageWith(() => ({ free }));
    const { replica, snapshotEvents, told } = await startedWith({ storage, machine: new Sum() });
    for (let by = 1; by <= 15; by++) await replica.propose(1);
    await told('taken');
    for (let by = 1; by <= 15; by++) await replica.propose(1);
    await told('failed');
    expect(snapshotEvents().at(-1)?.reason).toContain(reason);
    expect(replica.status()).toMatchObject({ phase: 'running' });
    await replica.close();
  });
});

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('%s: a storage that is full', (_, protocol) => {
  it('gives up the older snapshot and the log below the newer one, with events; a start goes on from that', async () => {
    const { memory, storage, files, say } = storageWith(() => ({ free: async () => Infinity }));
    const { replica, snapshotEvents, told } = await startedWith({ storage, machine: new Sum(), protocol: protocol() });
    // Nothing is applied after the third one: a full storage would have one taken of that.
    const begun = () => snapshotEvents().filter(({ event }) => event === 'begun').length;
    let total = 0;
    while (begun() < 3) total = await replica.propose(1);
    await told('taken', 3);
    const [newer, older] = replica.status().snapshots;
    say({ kind: 'full', reason: 'no space' });
    await told('givenUp');
    const index = newer?.index ?? 0;
    expect(snapshotEvents().slice(-2)).toMatchObject([
      { event: 'givenUp', ...older },
      { event: 'trimmed', index },
    ]);
    expect(replica.status()).toMatchObject({ snapshots: [newer], first: index + 1 });
    while ((await files.list()).length > 1) await new Promise((resolve) => setImmediate(resolve));
    await replica.close();
    const machine = new Sum();
    const next = await startedWith({ storage: memory, machine, protocol: protocol() });
    expect(await next.replica.read((restored) => restored.total)).toBe(total);
    expect(next.replica.status().snapshots).toEqual([newer]);
    // Two are kept again.
    for (let by = 1; by <= 25; by++) await next.replica.propose(1);
    await next.told('taken', 2);
    expect(next.replica.status().snapshots).toHaveLength(2);
    expect(next.snapshotEvents().filter(({ event }) => event === 'givenUp')).toEqual([]);
    await next.replica.close();
  });

  it('makes room for a write that waits for space already', () => waitsForWhatIsTrimmed(protocol()));

  it.each(['failed', 'not due'] as const)('takes a snapshot at once, where the last one was %s', async (why) => {
    await snapshotMakesRoom(protocol(), why);
  });
});

/** Keeps a text of every command. */
class Texts {
  text = '';
  apply(text: string): number {
    this.text = (this.text + text).slice(-2000);
    return this.text.length;
  }
  snapshot(): string {
    return this.text;
  }
  restore(text: string): void {
    this.text = text;
  }
}

describe('what a replica takes on disk', () => {
  it.each([
    ['small commands, by entries', 1, { entries: 40, bytes: 4000 }],
    ['large commands, by bytes', 3000, { entries: 15, bytes: 40_000 }],
  ])('stays below the bound in its status, through restarts: %s', async (_, size, policy) => {
    const disk = new SimDisk();
    disk.flies = true;
    let most = 0;
    let bounds = 0;
    let written = 0;
    for (let life = 1; life <= 3; life++) {
      const storage = fileStorage('data', { fs: disk, segmentBytes: 32 * 1024 });
      const replica = await createReplica({ ...aloneOptions({ machine: new Texts(), storage }), snapshots: policy });
      for (let step = 0; step < 300; step++) {
        await replica.propose('x'.repeat(size));
        written += size;
        const { disk: taken } = replica.status();
        const files = [...disk.files().values()].reduce((sum, { length }) => sum + length, 0);
        const { log = NaN, snapshots = NaN, bound = NaN } = taken ?? {};
        expect(files).toBeLessThanOrEqual(bound ?? NaN);
        expect(log + snapshots).toBeGreaterThan(0);
        most = Math.max(most, files);
        bounds = Math.max(bounds, bound ?? NaN);
      }
      expect(replica.status().first).toBeGreaterThan(1);
      await replica.close();
    }
    // The bound is no empty promise: it is not far from what is taken, and a log that is kept would take more.
    if (size > 1000) expect(written).toBeGreaterThan(4 * bounds);
    expect(most).toBeGreaterThan(bounds / 4);
  });

  it('has no bound without snapshots, and is not told by a storage that does not know', async () => {
    const options = aloneOptions({ machine: new Texts(), storage: fileStorage('data', { fs: new SimDisk() }) });
    const replica = await createReplica({ ...options, snapshots: false });
    expect(replica.status().disk).toMatchObject({ bound: null, snapshots: 0 });
    await replica.close();
    const other = await createReplica(aloneOptions({ machine: new Texts() }));
    expect(other.status().disk).toBeNull();
    await other.close();
  });
});
