/**
 * Power-loss images: the power goes before every single operation of a workload, and what was not synced is lost in six
 * ways (and kept by the page cache, when only the process dies). Each image opens and holds all that was acknowledged;
 * so does each image of a crash while it opens. A disk that syncs nothing, or no directory, is caught.
 */
import { describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { StorageOp } from '../../src/replica/storage.js';
import { swept } from '../amount.js';
import { FaultyDisk, randomFrom, SimDisk } from './file-storage-disks.js';
import type { Loss } from './file-storage-disks.js';
import { Model, plain, put, set, text } from './storage-laws.js';

const MODES: readonly Loss[] = ['all', 'kept', 'metadata', 'data', 'some', 'names', 'none'];
const OPTIONS = { segmentBytes: 4096 };

/** The calls of two lives; of one that is busy there are more. */
const CALLED = 14;
const MOST = 44;

const CALLS: readonly StorageOp[][] = Array.from({ length: MOST }, (_, at) => [
  ...(at % 5 === 4 ? [{ kind: 'truncate' as const, from: at - 1 }] : []),
  set('calls', String(at + 1)),
  put([at + 1, 1, `${at}`.repeat(at % 4 === 1 ? 700 : 20)]),
]);

/** What the power cut left, and what had been acknowledged by then. */
interface Image {
  readonly disk: SimDisk;
  readonly acknowledged: number;
  readonly begun: number;
  readonly what: string;
}

/** Runs a process to its end on `disk`; before each operation, gives what each way of losing power would leave. */
async function imagesOf(
  disk: SimDisk,
  from: number,
  to: number,
  label: string,
  seed: number,
  isIdle = (at: number): boolean => at % 3 === 0,
): Promise<Image[]> {
  const images: Image[] = [];
  let acknowledged = from;
  let begun = from;
  const random = randomFrom(seed);
  const lose = (when: string): void => {
    for (const mode of MODES) {
      images.push({ disk: disk.crash(mode, random), acknowledged, begun, what: `${label}, ${mode} ${when}` });
    }
  };
  const faulty = new FaultyDisk(disk, (call, count) => {
    lose(`before ${call} ${count}`);
    return undefined;
  });
  disk.underWay = () => lose('during a write');
  const storage = fileStorage('data', { fs: faulty, ...OPTIONS });
  await storage.open();
  for (let at = from; at < to; at++) {
    begun = at + 1;
    await storage.write(CALLS[at] ?? []);
    acknowledged = at + 1;
    // The process is idle now and then, so that watermarks are written alone.
    if (isIdle(at)) await disk.advance(20);
  }
  await storage.close();
  return images;
}

/** What is wrong with an image; undefined for a sound one. */
async function verdict({ disk, acknowledged, begun }: Image): Promise<string | undefined> {
  const storage = fileStorage('data', { fs: disk, ...OPTIONS });
  try {
    const { values } = await storage.open();
    const calls = Number(text(values.get('calls') ?? new Uint8Array(0)) || '0');
    if (calls < acknowledged || calls > begun) return `${calls} calls, ${acknowledged} acknowledged`;
    const model = new Model();
    for (const ops of CALLS.slice(0, calls)) model.apply(ops);
    expect(plain(await storage.read(1, Infinity, Infinity))).toEqual(model.range(1, Infinity));
    await storage.close();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

async function problemsOf(images: readonly Image[]): Promise<string[]> {
  const problems: string[] = [];
  for (const image of images) {
    const problem = await verdict(image);
    if (problem !== undefined) problems.push(`${image.what}: ${problem}`);
  }
  return problems;
}

/** Images of a first life, and of a second one on what the first left. */
async function twoLives(prepare: (disk: SimDisk) => void = () => undefined): Promise<Image[]> {
  const disk = new SimDisk();
  prepare(disk);
  const first = await imagesOf(disk, 0, 8, 'first life', 1);
  const next = disk.crash('none', () => 0);
  prepare(next);
  return [...first, ...(await imagesOf(next, 8, CALLED, 'second life', 2))];
}

describe('fileStorage when the power goes (storage/acknowledged-survives)', () => {
  const WAYS = [
    ['synced', () => undefined],
    ['written through', (disk: SimDisk) => void disk.offerThrough()],
  ] as const;

  test.each(WAYS)(
    'before every operation, groups being %s: nothing is lost',
    { timeout: 120_000 },
    async (_, prepare) => {
      const images = await twoLives(prepare);
      expect(images.length).toBeGreaterThan(900);
      expect(await problemsOf(images)).toEqual([]);
    },
  );

  test('and while it stays busy, so that only some groups have a watermark', { timeout: 120_000 }, async () => {
    const images = await imagesOf(new SimDisk().offerThrough(), 0, MOST, 'busy', 3, () => false);
    const some = images.filter((_, nth) => swept(nth, 5));
    expect(some.length).toBeGreaterThan(300);
    expect(await problemsOf(some)).toEqual([]);
  });

  test('and again while it opens', { timeout: 120_000 }, async () => {
    const images = (await twoLives()).filter((_, nth) => nth % 41 === 7);
    let opened = 0;
    for (const { disk, acknowledged, begun, what } of images) {
      const during: Image[] = [];
      const random = randomFrom(opened + 3);
      const faulty = new FaultyDisk(disk, (call, count) => {
        for (const mode of MODES) {
          during.push({
            disk: disk.crash(mode, random),
            acknowledged,
            begun,
            what: `${what}, then ${mode} ${call} ${count}`,
          });
        }
        return undefined;
      });
      const storage = fileStorage('data', { fs: faulty, ...OPTIONS });
      await storage.open();
      const count = during.length;
      expect(await problemsOf(during.slice(0, count))).toEqual([]);
      await storage.close();
      opened += count;
    }
    expect(opened).toBeGreaterThan(1000);
  });

  test('a disk that syncs nothing, or no directory, is caught', { timeout: 120_000 }, async () => {
    const idle = await twoLives((disk) => (disk.syncs = false));
    expect((await problemsOf(idle)).length).toBeGreaterThan(100);
    const lying = await twoLives((disk) => (disk.offerThrough().syncs = false));
    expect((await problemsOf(lying)).length).toBeGreaterThan(100);
    const forgetful = await twoLives((disk) => (disk.syncsDirectories = false));
    expect((await problemsOf(forgetful)).length).toBeGreaterThan(10);
  });
});
