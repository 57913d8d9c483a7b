/**
 * A disk that is nearly full: what the log and snapshots take, and what a start needs. A neighbour takes the space that
 * is free at drawn points, and the process is killed between any two calls of the disk.
 */
import { describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { Storage } from '../../src/replica/storage.js';
import { FaultyDisk, randomFrom, settled, SimDisk } from './file-storage-disks.js';
import type { Loss } from './file-storage-disks.js';
import {
  bytesOn,
  failsWhileMakingWay,
  holdsNothingUseless,
  trimFindsItFull,
  trimmedWhileFull,
} from './file-storage-full.js';
import { amount } from '../amount.js';
import { put } from './storage-laws.js';

const MIB = 1024 * 1024;

async function* chunksOf(bytes: number): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0; left -= 64 * 1024) yield new Uint8Array(Math.min(left, 64 * 1024)).fill(7);
}

/** The storage knows what it takes. */
function demandMeasured(storage: Storage, disk: SimDisk): void {
  const { logBytes = 0, snapshotBytes = 0 } = storage.status?.() ?? {};
  expect(logBytes + snapshotBytes).toBe(bytesOn(disk));
}

/** What a life has written and been told. */
interface Books {
  /** The highest entry that was given to a write, and that was acknowledged. */
  written: number;
  acknowledged: number;
  boot: number;
}

/** One process: it writes, takes snapshots and is killed. @returns the disk that it leaves */
async function life(disk: SimDisk, books: Books, random: () => number, loss: Loss): Promise<SimDisk> {
  const below = (limit: number): number => Math.floor(random() * limit);
  let image: SimDisk | undefined;
  const killedAt = 10 + below(random() < 0.3 ? 60 : 400);
  const faulty = new FaultyDisk(disk, (_call, count) => {
    if (count === killedAt) image = disk.crash(loss, random);
    return undefined;
  });
  const storage = fileStorage('data', { fs: faulty, segmentBytes: SEGMENTS[below(SEGMENTS.length)] });
  const { boot, last } = await storage.open();
  expect(boot).toBeGreaterThan(books.boot);
  expect(last).toBeGreaterThanOrEqual(books.acknowledged);
  expect(last).toBeLessThanOrEqual(books.written);
  books.written = last;
  // What is found is durable, and so is the boot, if the process still lives.
  if (image === undefined) {
    Object.assign(books, { boot, acknowledged: last });
    await settled();
    if (image === undefined) demandMeasured(storage, disk);
  }
  for (let step = 0; step < 200 && image === undefined; step++)
    await act(storage, disk, books, below, () => image === undefined);
  image ??= disk.crash(loss, random);
  const left = image;
  left.capacity = disk.capacity;
  await storage.close().catch(() => undefined);
  return left;
}

const SEGMENTS = [64 * 1024, MIB, 4 * MIB];

async function act(
  storage: Storage,
  disk: SimDisk,
  books: Books,
  below: (limit: number) => number,
  isAlive: () => boolean,
): Promise<void> {
  const what = below(10);
  if (what < 5) {
    const index = books.written + 1;
    books.written = index;
    storage.write([put([index, 1, 'x'.repeat(below(2) === 0 ? 200 : below(300_000))])]).then(
      () => {
        if (isAlive()) books.acknowledged = index;
      },
      () => undefined,
    );
    await settled();
  } else if (what < 6)
    await Promise.race([
      storage.snapshots?.write(`s-${below(3)}`, chunksOf(below(2 * MIB))).catch(() => undefined),
      settled(),
    ]);
  else if (what < 7) await storage.snapshots?.remove(`s-${below(3)}`);
  else if (what < 8) await disk.advance(below(1000));
  else if (what < 9) disk.capacity = bytesOn(disk);
  else if (below(8) === 0) disk.capacity += below(3 * MIB);
}

describe('a start on a full disk (storage/restart-needs-no-space)', () => {
  test.each(['none', 'all', 'some'] as const)(
    'after a crash that loses %s, wherever it comes',
    async (loss) => {
      const failures: string[] = [];
      for (let seed = 1; seed <= amount(6, 12); seed++) {
        const random = randomFrom(seed);
        let disk = new SimDisk(seed);
        disk.capacity = 6 * MIB + Math.floor(random() * 10 * MIB);
        const books: Books = { written: 0, acknowledged: 0, boot: 0 };
        try {
          for (let nth = 0; nth < 8; nth++) disk = await life(disk, books, random, loss);
        } catch (error) {
          const files = [...disk.files()].map(([n, b]) => `${n}:${b.length}`).join(' ');
          failures.push(
            `${seed} life ${books.boot}: ${(error as Error).message.slice(0, 100)} ${files} cap ${disk.capacity}`,
          );
        }
      }
      expect(failures).toEqual([]);
    },
    600_000,
  );
});

describe('space that comes back', () => {
  test('is told when the log has what is kept for it, long before a large spare file is complete', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    const events: string[] = [];
    await storage.open(({ kind }) => events.push(kind));
    disk.capacity = bytesOn(disk) + MIB;
    await disk.advance(0);
    expect(events).toEqual(['full']);
    disk.capacity += 2 * MIB;
    await disk.advance(1000);
    expect(events).toEqual(['full', 'resumed']);
    // The large one that is due is as large as can be, and the log goes on in it.
    let written = 0;
    const count = (): number => (written += 1);
    for (let index = 1; index <= 40; index++) {
      storage.write([put([index, 1, 'x'.repeat(100_000)])]).then(count, () => undefined);
      await settled();
    }
    expect(written).toBeGreaterThan(15);
    expect(events).toEqual(['full', 'resumed', 'full']);
    await storage.close();
  });
});

describe('a snapshot beside the log (storage/snapshots-leave-the-reserve)', () => {
  async function opened(): Promise<{ disk: SimDisk; storage: Storage; events: string[] }> {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    const events: string[] = [];
    await storage.open(({ kind }) => events.push(kind));
    return { disk, storage, events };
  }

  test('waits for the space that the log gets ahead', async () => {
    const { disk, storage } = await opened();
    await storage.snapshots?.write('one', chunksOf(MIB));
    expect([...disk.files().keys()].filter((name) => name.startsWith('wal-spare'))).toHaveLength(2);
    expect(await storage.snapshots?.list()).toEqual(['one']);
    await storage.close();
  });

  test('takes what is left where the disk has no space for the log; what fails then gives its bytes back', async () => {
    const { disk, storage, events } = await opened();
    disk.capacity = bytesOn(disk) + MIB + 500_000;
    const failure = { code: 'ERR_STORAGE_FAILED', cause: { code: 'ENOSPC' } };
    await expect(storage.snapshots?.write('one', chunksOf(MIB))).rejects.toMatchObject(failure);
    expect(await storage.snapshots?.list()).toEqual([]);
    expect(events).toEqual(['full']);
    await storage.snapshots?.write('one', chunksOf(1000));
    expect(await storage.snapshots?.list()).toEqual(['one']);
    expect(events).toEqual(['full']);
    disk.capacity += 3 * MIB;
    await disk.advance(1000);
    expect(events).toEqual(['full', 'resumed']);
    await storage.close();
  });

  test('that fills the disk fails alone: the log never hears of it', async () => {
    const { disk, storage, events } = await opened();
    await disk.advance(0);
    disk.capacity = bytesOn(disk) + MIB;
    await expect(storage.snapshots?.write('one', chunksOf(2 * MIB))).rejects.toMatchObject({
      cause: { code: 'ENOSPC' },
    });
    expect(bytesOn(disk)).toBe(disk.capacity - MIB);
    await storage.write([put([1, 1, 'x'])]);
    expect(events).toEqual([]);
    await storage.close();
  });

  test('ends when the storage is closed while it waits', async () => {
    const { disk, storage } = await opened();
    disk.openThrough = undefined;
    const writing = storage.snapshots?.write('one', chunksOf(MIB));
    const ended = expect(writing).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await storage.close();
    await ended;
  });
});

describe('what it takes', () => {
  test('is in its status, byte for byte, whatever it does', async () => {
    let disk = new SimDisk();
    for (let life = 1; life < 5; life++) {
      const storage = fileStorage('data', { fs: disk, segmentBytes: 64 * 1024 });
      const { last } = await storage.open();
      for (let index = last + 1; index <= last + 60; index++) {
        await storage.write([put([index, 1, 'x'.repeat(index % 7 === 0 ? 90_000 : 3000)])]);
        if (index % 20 === 0) await storage.snapshots?.write(`s-${index % 3}`, chunksOf(index * 100));
        if (index % 25 === 0) await storage.write([{ kind: 'trim', through: index - 20 }]);
        if (index % 45 === 0) await storage.snapshots?.remove('s-1');
        await settled();
        demandMeasured(storage, disk);
      }
      if (life % 2 === 0) await storage.close();
      disk = disk.crash('none', () => 0);
    }
  });
});

describe('a full disk', () => {
  test.each([
    [64 * 1024, 0],
    [64 * 1024, 1],
    [MIB, 0],
    [MIB, 1],
    [MIB, 5],
  ])('gives back what is trimmed at once, with segments of %i bytes, while %i writes wait', trimmedWhileFull);

  test.each([
    [undefined, 3 * MIB],
    [MIB, 3 * MIB],
    [64 * 1024, 256 * 1024],
  ])('is none for a first start with segments of %s bytes and %i bytes free', async (segmentBytes, free) => {
    const notices: string[] = [];
    const disk = new SimDisk(1);
    disk.capacity = free;
    const storage = fileStorage('data', segmentBytes === undefined ? { fs: disk } : { fs: disk, segmentBytes });
    await storage.open((event) => notices.push(event.kind));
    for (let second = 0; second < 5; second++) {
      await settled();
      await disk.advance(1000);
    }
    await storage.write([put([1, 1, 'a'])]);
    expect(notices).toEqual([]);
    await storage.close();
  });

  test('holds no byte that the log cannot use', holdsNothingUseless);

  test('has room for what trims, also where that finds it full', trimFindsItFull);

  test.each([
    ['ENOSPC', 1],
    ['ENOMEM', 2],
    ['EIO', 3],
  ] as const)('loses nothing when a call fails by %s while it gives back', async (code, from) => {
    let nth = amount(from, 1);
    while (await failsWhileMakingWay(code, nth)) nth += amount(3, 1);
    expect(nth).toBeGreaterThan(8);
  });
});
