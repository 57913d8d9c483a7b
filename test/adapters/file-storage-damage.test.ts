/**
 * The sweep over damage: every byte flipped, every sector zeroed, filled and replaced by another one, every cut, in the
 * last segments of logs that were left in different ways; for every change one byte in three, and all in the deep suite.
 * What a watermark vouches for is never lost in silence. Above it the last group cannot be told from a torn write: its
 * loss is counted, and is said by an event; and a cut between two groups cannot be told from their end.
 */
import { describe, expect, test } from 'vitest';
import { decodeHeader, SLOT_OFFSETS } from '../../src/adapters/file-storage/format.js';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { inspectStorage } from '../../src/adapters/file-storage/inspect.js';
import { encodeWatermark, newestWatermark, SLOT_SIZE } from '../../src/adapters/file-storage/watermark.js';
import type { SegmentHeader } from '../../src/adapters/file-storage/format.js';
import { ConsensusError } from '../../src/replica/errors.js';
import type { StorageNotice } from '../../src/replica/storage.js';
import { amount, swept } from '../amount.js';
import { segmentsOf, SimDisk } from './file-storage-disks.js';
import { plain, put, set } from './storage-laws.js';

const SECTOR = 512;
const START = 3 * 4096;
const OPTIONS = { segmentBytes: 4096 };

type Files = ReadonlyMap<string, Uint8Array>;

/** A log as a process left it: how many of its entries were acknowledged, and how many are vouched for. */
interface Left {
  readonly files: Files;
  readonly acknowledged: number;
  readonly vouched: number;
}

type End = 'closed' | 'killed when idle' | 'killed when busy' | 'killed when busy, written through';

function dataOf(index: number): string {
  return `${index}`.repeat(index % 7 === 3 ? 300 : 5);
}

/** Writes entries 1 to `count`, some of which are long, and leaves the log in a way. */
async function leave(disk: SimDisk, end: End, from: number, count: number): Promise<void> {
  const storage = fileStorage('data', { fs: disk, ...OPTIONS });
  await storage.open();
  for (let index = from; index < from + count; index++) {
    await storage.write([put([index, 1, dataOf(index)]), set('n', String(index))]);
  }
  if (end === 'closed') await storage.close();
  if (end === 'killed when idle') await disk.advance(10);
}

/** How many of the last groups no watermark vouches for. */
async function unvouched(files: Files): Promise<number> {
  const { segments } = await inspectStorage('data', { fs: SimDisk.of(files) });
  const last = segments.at(-1);
  return (last?.lastGroup ?? 0) - Math.max(last?.vouched ?? 0, (last?.firstGroup ?? 0) - 1);
}

async function left(end: End, counts: readonly number[]): Promise<Left> {
  let disk = new SimDisk();
  let total = 0;
  for (const [life, count] of counts.entries()) {
    if (end === 'killed when busy, written through') disk.offerThrough();
    await leave(disk, life === counts.length - 1 ? end : 'closed', total + 1, count);
    total += count;
    disk = disk.crash('none', () => 0);
  }
  const files = segmentsOf(disk.files());
  if (end !== 'killed when busy, written through') {
    return { files, acknowledged: total, vouched: end === 'killed when busy' ? total - 1 : total };
  }
  // Each call is a group, and so is the boot before those of the last life.
  const vouched = Math.max(total - (await unvouched(files)), total - (counts.at(-1) as number));
  return { files, acknowledged: total, vouched };
}

interface Tally {
  refused: number;
  harmless: number;
  /** The last group, above the watermark: dropped, and said so. */
  dropped: number;
  /** The same, where the file ends before it: there is nothing to say. */
  cutOff: number;
}

/** Opens the damaged log: it is refused, whole, or lacks what nothing vouches for. */
async function judge(files: Files, { acknowledged, vouched }: Left, what: string, tally: Tally): Promise<void> {
  const events: StorageNotice[] = [];
  const storage = fileStorage('data', { fs: SimDisk.of(files), ...OPTIONS });
  const opened = await storage.open((event) => events.push(event)).catch((error: unknown) => error);
  if (opened instanceof Error) {
    // Here and below `expect` is for what went wrong: asked for each damage it would take most of the time.
    const isTyped = opened instanceof ConsensusError && opened.code === 'ERR_STORAGE_CORRUPT';
    if (!isTyped || !/at offset \d/.test(opened.message)) expect.fail(`${what}: ${opened.stack}`);
    tally.refused++;
    return;
  }
  const entries = plain(await storage.read(1, Infinity, Infinity));
  await storage.close();
  if (entries.length < vouched) expect.fail(`${what}: silent loss of what is vouched for`);
  for (const { index, data } of entries) if (data !== dataOf(index)) expect(data, what).toBe(dataOf(index));
  if (entries.length === acknowledged) tally.harmless++;
  else if (events.some(({ kind }) => kind === 'dropped')) tally.dropped++;
  else {
    expect(what).toMatch(/cut|zeroed/);
    tally.cutOff++;
  }
}

function changed(files: Files, name: string, change: (bytes: Uint8Array) => Uint8Array): Files {
  return new Map([...files, [name, change((files.get(name) ?? new Uint8Array(0)).slice())]]);
}

/** Bytes are flipped and files cut at one place in so many, unless it is done at all: in each history at others. */
const FLIPS = 3;

/** All damage to one file of a log. */
function* damages(files: Files, name: string, phase: number): Generator<readonly [what: string, files: Files]> {
  const size = files.get(name)?.length ?? 0;
  for (let at = 0; at < size; at++) {
    // Of what is always zero a sample will do.
    const isPadding = (at >= 64 && at < START && at % 4096 >= SLOT_SIZE) || at >= START + 4000;
    if (isPadding ? at % 97 !== 0 : !swept(at, FLIPS, phase)) continue;
    yield [
      `${name}: flipped at ${at}`,
      changed(files, name, (bytes) => bytes.fill((bytes[at] ?? 0) ^ (1 << at % 8), at, at + 1)),
    ];
    if (at >= START || at % 256 === 0)
      yield [`${name}: cut at ${at}`, changed(files, name, (bytes) => bytes.slice(0, at))];
  }
  for (let at = 0; at < size; at += SECTOR) {
    yield [`${name}: zeroed at ${at}`, changed(files, name, (bytes) => bytes.fill(0, at, at + SECTOR))];
    yield [`${name}: filled at ${at}`, changed(files, name, (bytes) => bytes.fill(0xff, at, at + SECTOR))];
    const from = at === START ? START + SECTOR : START;
    yield [`${name}: misdirected at ${at}`, changed(files, name, (bytes) => bytes.copyWithin(at, from, from + SECTOR))];
  }
}

describe('damage (storage/damage-is-refused)', () => {
  const ENDS: readonly End[] = ['closed', 'killed when idle', 'killed when busy', 'killed when busy, written through'];
  const HISTORIES = [
    [4, 5],
    [16, 3],
  ];
  const cases = ENDS.flatMap((end) => HISTORIES.map((counts, phase) => [end, counts, phase] as const));

  test.each(cases)('a log that was %s, of lives of %j calls', { timeout: 240_000 }, async (end, counts, phase) => {
    const log = await left(end, counts);
    const tally: Tally = { refused: 0, harmless: 0, dropped: 0, cutOff: 0 };
    for (const name of log.files.keys()) {
      for (const [what, files] of damages(log.files, name, phase)) await judge(files, log, what, tally);
    }
    expect(tally.refused).toBeGreaterThan(amount(100, 300));
    // Whatever is vouched for is refused or whole: only a group above the watermark is dropped.
    if (log.vouched === log.acknowledged) expect(tally).toMatchObject({ dropped: 0, cutOff: 0 });
    else expect(tally.dropped).toBeGreaterThan(amount(3, 10));
  });

  test('a log after a clean close is refused wherever it is cut (storage/no-hole)', async () => {
    const log = await left('closed', [9]);
    const [[name = '', bytes = new Uint8Array(0)] = []] = log.files;
    const end = Buffer.from(bytes).toString('latin1').search(/\0*$/) - 1;
    for (let at = 0; at <= end; at++) {
      if (!swept(at, FLIPS)) continue;
      const disk = SimDisk.of(changed(log.files, name, (whole) => whole.slice(0, at)));
      await expect(fileStorage('data', { fs: disk, ...OPTIONS }).open(), `cut at ${at}`).rejects.toMatchObject({
        code: 'ERR_STORAGE_CORRUPT',
      });
    }
  });
});

describe('the watermarks of a segment (storage/one-slot-at-a-time)', () => {
  const header: SegmentHeader = {
    logLow: 7,
    logHigh: 8,
    segment: 3,
    firstWriteGroup: 1,
    previousEnd: 0,
    oldest: 1,
  };
  const slot = (which: 0 | 1, writeGroup: number): Uint8Array =>
    encodeWatermark(header, which, { writeGroup, end: 5000, checksum: 9 });
  const slots = (first: Uint8Array, second: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(2 * 4096);
    bytes.set(first);
    bytes.set(second, 4096);
    return bytes;
  };
  const blank = new Uint8Array(0);
  const torn = new Uint8Array([1, 2, 3]);

  test('the newer one counts; one that is torn or blank leaves the other', () => {
    const newest = (first: Uint8Array, second: Uint8Array): number | undefined =>
      newestWatermark(slots(first, second), header, 'f')?.writeGroup;
    expect(newest(slot(0, 5), slot(1, 6))).toBe(6);
    expect(newest(slot(0, 7), slot(1, 6))).toBe(7);
    expect(newest(slot(0, 5), torn)).toBe(5);
    expect(newest(blank, slot(1, 6))).toBe(6);
    expect(newest(torn, blank)).toBeUndefined();
    expect(newest(blank, torn)).toBeUndefined();
    expect(newest(blank, blank)).toBeUndefined();
  });

  test('two that are neither valid nor blank are damage', () => {
    expect(() => newestWatermark(slots(torn, torn), header, 'f')).toThrow(/f at offset 4096/);
  });

  test('one in the other slot, of another segment or log, does not verify', () => {
    const other = (change: Partial<SegmentHeader>): Uint8Array =>
      encodeWatermark({ ...header, ...change }, 0, { writeGroup: 9, end: 5000, checksum: 9 });
    for (const wrong of [slot(1, 9), other({ segment: 4 }), other({ logLow: 6 }), other({ logHigh: 1 })]) {
      expect(newestWatermark(slots(wrong, slot(1, 6)), header, 'f')?.writeGroup).toBe(6);
    }
  });

  test('a group of the right number that is not the one it names is refused', async () => {
    const log = await left('killed when idle', [5]);
    const [[name = '', bytes = new Uint8Array(0)] = []] = log.files;
    const own = decodeHeader(bytes);
    if (own === undefined || 'version' in own) throw new Error('no header');
    const found = newestWatermark(bytes.subarray(SLOT_OFFSETS[0], START), own, name);
    if (found === undefined) throw new Error('no watermark');
    for (const wrong of [
      { ...found, end: found.end + 1 },
      { ...found, checksum: found.checksum ^ 1 },
    ]) {
      const files = changed(log.files, name, (copy) => {
        for (const which of [0, 1] as const) copy.set(encodeWatermark(own, which, wrong), SLOT_OFFSETS[which]);
        return copy;
      });
      await expect(fileStorage('data', { fs: SimDisk.of(files), ...OPTIONS }).open()).rejects.toMatchObject({
        code: 'ERR_STORAGE_CORRUPT',
        message: expect.stringContaining('names another group') as string,
      });
    }
  });
});
