/** Partial snapshots: what every storage does with them, and what a loss of power at each call leaves of one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { memoryStorage } from '../../src/adapters/memory-storage.js';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { fileStorage as nodeStorage } from '../../src/node.js';
import type { PartialSnapshots, SnapshotStore, Storage } from '../../src/replica/storage.js';
import { FaultyDisk, randomFrom, SimDisk, type Loss } from './file-storage-disks.js';
import { bytesOf, text } from './storage-laws.js';

function partsOf(storage: Storage): { readonly files: SnapshotStore; readonly parts: PartialSnapshots } {
  const files = storage.snapshots as SnapshotStore;
  return { files, parts: files.partial as PartialSnapshots };
}

async function directory(): Promise<{ next: () => Storage; dispose: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'quorate-partial-'));
  return { next: () => nodeStorage(dir), dispose: () => rm(dir, { recursive: true }) };
}

function memory(): Promise<{ next: () => Storage; dispose: () => Promise<void> }> {
  const storage = memoryStorage();
  return Promise.resolve({ next: () => storage, dispose: () => Promise.resolve() });
}

describe.each([
  ['memory', memory],
  ['files', directory],
])('in %s', (_, place) => {
  test('outlive a close, go on where they are, and become complete', async () => {
    const { next, dispose } = await place();
    let storage = next();
    await storage.open();
    await partsOf(storage).parts.write('7-1', 0, bytesOf('hello '));
    await partsOf(storage).parts.write('7-1', 6, bytesOf('there'));
    await storage.close();
    storage = next();
    await storage.open();
    const { files, parts } = partsOf(storage);
    expect(await parts.list()).toEqual([{ name: '7-1', bytes: 11 }]);
    expect(await files.list()).toEqual([]);
    await parts.write('7-1', 6, bytesOf('you'));
    expect(await parts.list()).toEqual([{ name: '7-1', bytes: 9 }]);
    await parts.complete('7-1', '7-2');
    expect([await parts.list(), await files.list()]).toEqual([[], ['7-2']]);
    expect(text(await files.read('7-2', 0, 100))).toBe('hello you');
    await storage.close();
    await dispose();
  });

  test('are replaced at 0, refuse a gap and a name that is none, and go when they are removed', async () => {
    const { next, dispose } = await place();
    const storage = next();
    await storage.open();
    const { parts } = partsOf(storage);
    await parts.write('a', 0, bytesOf('123'));
    await parts.write('a', 0, bytesOf('4'));
    expect(await parts.list()).toEqual([{ name: 'a', bytes: 1 }]);
    await expect(parts.write('a', 2, bytesOf('x'))).rejects.toMatchObject({ name: 'ConsensusError' });
    await expect(parts.write('../a', 0, bytesOf('x'))).rejects.toMatchObject({ name: 'ConsensusError' });
    await expect(parts.complete('b', 'c')).rejects.toMatchObject({ name: 'ConsensusError' });
    for (const name of ['a', 'a', 'b']) await parts.remove(name);
    expect(await parts.list()).toEqual([]);
    await storage.close();
    await dispose();
  });
});

const CONTENT = Array.from({ length: 40 }, (_, at) => `chunk ${at} `.padEnd(300, '.')).join('');
const CHUNK = 3000;
const LOSSES: readonly Loss[] = ['all', 'some', 'none', 'kept', 'metadata', 'data', 'names'];

/** Goes on with a pull behind so many bytes. */
async function pull(parts: PartialSnapshots, from: number): Promise<void> {
  for (let at = from; at < CONTENT.length; at += CHUNK) {
    await parts.write('p', at, bytesOf(CONTENT.slice(at, at + CHUNK)));
  }
  await parts.complete('p', 'whole');
}

/** Opens and pulls until the disk dies at its `lifetime`-th call. @returns whether it was completed before */
async function livedFor(disk: SimDisk, lifetime: number): Promise<boolean> {
  let die: (value: 'dead') => void = () => undefined;
  const dead = new Promise<'dead'>((resolve) => (die = resolve));
  const faulty = new FaultyDisk(disk, (_call, count) => {
    if (count === lifetime) die('dead');
    return count >= lifetime ? new Promise<never>(() => undefined) : undefined;
  });
  const storage = fileStorage('d', { fs: faulty, segmentBytes: 4096 });
  const life = async (): Promise<'done'> => {
    await storage.open();
    await pull(partsOf(storage).parts, 0);
    return 'done';
  };
  return (await Promise.race([life(), dead])) === 'done';
}

test.each(LOSSES)('a loss of power at each call (%s): a complete one is whole, and a pull can go on', async (loss) => {
  let resumed = 0;
  for (let lifetime = 1, completed = false; !completed; lifetime++) {
    const disk = new SimDisk(lifetime);
    completed = await livedFor(disk, lifetime);
    const after = disk.crash(loss, randomFrom(lifetime));
    const storage = fileStorage('d', { fs: after, segmentBytes: 4096 });
    await storage.open();
    const { files, parts } = partsOf(storage);
    const whole = async (): Promise<string> => text(await files.read('whole', 0, 2 * CONTENT.length));
    if (completed) expect(await files.list()).toEqual(['whole']);
    if ((await files.list()).includes('whole')) {
      expect(await whole()).toBe(CONTENT);
      continue;
    }
    const [{ bytes } = { bytes: 0 }] = await parts.list();
    expect(bytes).toBeLessThanOrEqual(CONTENT.length);
    if (bytes > 0) resumed += 1;
    await pull(parts, bytes);
    if ((await whole()) !== CONTENT) {
      expect(loss).not.toBe('none'); // a process that dies takes nothing with it
      await files.remove('whole');
      await pull(parts, 0);
    }
    expect(await whole()).toBe(CONTENT);
    await storage.close();
  }
  if (loss === 'none' || loss === 'kept') expect(resumed).toBeGreaterThan(3);
});
