/**
 * What the bytes are and what damage does: the format is pinned, the last record is cut and flipped at every
 * byte, rot anywhere else is refused with file and offset, and crashes while
 * creating are mended.
 */
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/core/crc32c.js';
import { decodeHeader, finishRecord, LAST_OF_WRITE_GROUP, viewOf } from '../../src/adapters/file-storage/format.js';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { Opened } from '../../src/replica/storage.js';
import { randomFrom, segmentsOf, SimDisk } from './file-storage-disks.js';
import { plain, put, set, text } from './storage-laws.js';

type Files = Map<string, Uint8Array>;

const FIRST = 'wal-0000000000000001.log';
const HEADER = 64;
const START = 3 * 4096;
const RECORD = 28;

/**
 * Every byte of a small log as release 0.1.0 writes it, by offset; all others are zero. Other bytes are another format:
 * give it another version.
 */
const GOLDEN: readonly (readonly [offset: number, bytes: readonly string[]])[] = [
  [
    0,
    [
      '51554f5257414c0a',
      '02000000',
      '40000000', // magic, version, header size
      '6d59883c',
      'db85885e', // log
      '0100000000000000',
      '0100000000000000',
      '0000000000000000',
      '0100000000000000', // segment, group, end, oldest
      '00000000',
      '2056d90b', // CRC
    ],
  ],
  [
    4096,
    [
      'aaa12a33',
      '6d59883c',
      '0100000000000000',
      '2130000000000000',
      '8b3b4f64', // the first watermark: CRC, log, group 1, end, the CRC of its last record
    ],
  ],
  [
    8192,
    [
      '60e34fae',
      '6d59883c',
      '0200000000000000',
      '9230000000000000',
      'ff431a8d', // the second one: group 2
    ],
  ],
  [
    12288,
    [
      '8b3b4f64',
      '6d59883c',
      '05000000',
      '01000000',
      '0100000000000000',
      '0000',
      '0100', // CRC … group, ordinal, last
      '04',
      '01000000', // boot 1
      'ff431a8d',
      '6d59883c',
      '55000000',
      '01000000',
      '0200000000000000',
      '0000',
      '0100',
      '01',
      '01000000',
      '01000000',
      '6b',
      '76', // set k = v
      '02',
      '02000000',
      '0b000000',
      '0100000000000000',
      '0200000000000000', // 2 entries from 1, term 2
      '01000000',
      '61',
      '02000000',
      '6263',
      '02',
      '01000000',
      '04000000',
      '0900000000000000',
      '0300000000000000',
      '00000000', // entry 9, term 3
      '03',
      '0900000000000000', // truncate from 9
    ],
  ],
];

function goldenBytes(): Uint8Array {
  const pieces = GOLDEN.map(([offset, bytes]) => ({ offset, data: Buffer.from(bytes.join(''), 'hex') }));
  const result = new Uint8Array(Math.max(...pieces.map(({ offset, data }) => offset + data.length)));
  for (const { offset, data } of pieces) result.set(data, offset);
  return result;
}

async function open(disk: SimDisk): Promise<{ opened: Opened; entries: ReturnType<typeof plain> }> {
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  const opened = await storage.open();
  const entries = plain(await storage.read(1, Infinity, Infinity));
  await storage.close();
  return { opened, entries };
}

/**
 * A log of some calls, as a process leaves it that is killed. Each of `marks` is where a call's record
 * begins.
 */
async function logOf(calls: number, data: string): Promise<{ files: Files; marks: number[] }> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk, segmentBytes: 8192 });
  await storage.open();
  const marks: number[] = [];
  for (let index = 1; index <= calls; index++) {
    marks.push(endOf(disk.files().get(FIRST) ?? new Uint8Array(0)));
    await storage.write([put([index, 1, `${data}${index}`]), set('n', String(index))]);
  }
  marks.push(endOf(disk.files().get(FIRST) ?? new Uint8Array(0)));
  return { files: disk.files(), marks };
}

/** Where the records end and space got ahead begins. */
function endOf(bytes: Uint8Array): number {
  return recordsFrom(bytes, START).at(-1) ?? START;
}

/** Where each record ends, from `at` on. */
function recordsFrom(bytes: Uint8Array, at: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ends: number[] = [];
  while (at + RECORD <= bytes.length && view.getUint32(at + 4, true) !== 0) {
    at += RECORD + view.getUint32(at + 8, true);
    ends.push(at);
  }
  return ends;
}

function withFile(files: Files, name: string, change: (bytes: Uint8Array) => Uint8Array | undefined): SimDisk {
  const changed = new Map(files);
  const bytes = change((files.get(name) ?? new Uint8Array(0)).slice());
  if (bytes === undefined) changed.delete(name);
  else changed.set(name, bytes);
  return SimDisk.of(changed);
}

function flipped(bytes: Uint8Array, at: number, bit = 0x10): Uint8Array {
  const result = bytes.slice();
  result[at] = (result[at] ?? 0) ^ bit;
  return result;
}

const CORRUPT = { code: 'ERR_STORAGE_CORRUPT', retryable: false };

function corruptAt(name: string, offset: number): object {
  return { ...CORRUPT, message: expect.stringContaining(`${name} at offset ${offset}:`) as string };
}

describe('the format', () => {
  test('is pinned, byte by byte, and the pinned bytes open', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    await storage.write([set('k', 'v'), put([1, 2, 'a'], [2, 2, 'bc'], [9, 3, '']), { kind: 'truncate', from: 9 }]);
    await storage.close();
    const bytes = disk.files().get(FIRST) ?? new Uint8Array(0);
    const pinned = goldenBytes();
    expect(Buffer.from(bytes.subarray(0, pinned.length)).toString('hex')).toBe(Buffer.from(pinned).toString('hex'));
    expect(bytes.subarray(pinned.length).every((byte) => byte === 0)).toBe(true);

    const golden = SimDisk.of([[FIRST, pinned]]);
    const { opened, entries } = await open(golden);
    expect(opened).toMatchObject({ boot: 2, first: 1, last: 2, runs: [{ from: 1, term: 2 }] });
    expect([...opened.values].map(([key, value]) => [key, text(value)])).toEqual([['k', 'v']]);
    expect(entries).toEqual([
      { index: 1, term: 2, data: 'a' },
      { index: 2, term: 2, data: 'bc' },
    ]);
  });

  test.each([1, 3])('version %i is refused, by name and not as damage (storage/newer-format)', async (version) => {
    const { files } = await logOf(1, 'x');
    const disk = withFile(files, FIRST, (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      view.setUint32(8, version, true);
      view.setUint32(60, crc32c(bytes, 0, 60), true);
      return bytes;
    });
    await expect(open(disk)).rejects.toMatchObject({
      code: 'ERR_STORAGE_MISMATCH',
      message: expect.stringContaining(`format version ${version}`) as string,
    });
  });
});

describe('the last record', () => {
  test('cut at every byte, it is dropped and all before it is kept (storage/torn-tail)', async () => {
    const { files, marks } = await logOf(5, 'data');
    const [last = 0, end = 0] = marks.slice(-2);
    for (let cut = last; cut < end; cut++) {
      for (const zeros of [0, 3000]) {
        const disk = withFile(files, FIRST, (bytes) => {
          const torn = new Uint8Array(cut + zeros);
          torn.set(bytes.subarray(0, cut));
          return torn;
        });
        const { opened, entries } = await open(disk);
        expect(opened, `cut at ${cut}`).toMatchObject({ boot: 2, first: 1, last: 4 });
        expect(entries.map(({ data }) => data)).toEqual(['data1', 'data2', 'data3', 'data4']);
        // And the log goes on from there.
        expect((await open(disk)).opened).toMatchObject({ boot: 3, last: 4 });
      }
    }
  });

  test('with any byte flipped, it is dropped or refused, and never read wrong (storage/damage-is-refused)', async () => {
    const { files, marks } = await logOf(5, 'data');
    const [last = 0, end = 0] = marks.slice(-2);
    for (let at = last; at < end; at++) {
      for (const bit of [1, 0x80]) {
        const result = await open(withFile(files, FIRST, (bytes) => flipped(bytes, at, bit))).catch(
          (error: unknown) => {
            expect(error).toMatchObject(CORRUPT);
          },
        );
        if (result !== undefined) expect(result.entries.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
      }
    }
  });

  test('after an orderly close, its rot is told from a torn write (storage/damage-is-refused)', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    await storage.write([put([1, 1, 'x'])]);
    const from = endOf(disk.files().get(FIRST) ?? new Uint8Array(0)) - RECORD;
    await storage.close();
    const rotten = withFile(disk.files(), FIRST, (bytes) => flipped(bytes, from));
    await expect(open(rotten)).rejects.toMatchObject(CORRUPT);
  });

  test('of several records, it is dropped as a whole, whichever of its sectors got lost (storage/torn-tail)', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    await storage.write([put([1, 1, 'first'])]);
    const start = endOf(disk.files().get(FIRST) ?? new Uint8Array(0));
    await storage.write([put([2, 1, 'y'.repeat(50_000)], [3, 1, 'y'.repeat(50_000)], [4, 1, 'y'.repeat(50_000)])]);
    const files = disk.files();
    const end = endOf(files.get(FIRST) ?? new Uint8Array(0));
    expect(recordsFrom(files.get(FIRST) ?? new Uint8Array(0), start)).toHaveLength(3);
    for (let lost = Math.ceil(start / 512) * 512; lost < end; lost += 11 * 512) {
      const { entries } = await open(withFile(files, FIRST, (bytes) => bytes.fill(0, lost, lost + 512)));
      expect(entries, `lost ${lost}`).toEqual([{ index: 1, term: 1, data: 'first' }]);
    }
  });
});

describe('rot', () => {
  test('of any byte before the last record is refused, with file and offset (storage/damage-is-refused)', async () => {
    const { files, marks } = await logOf(4, 'data');
    const last = marks[3] ?? 0;
    const offsets = [...Array(HEADER).keys(), ...Array.from({ length: last - START }, (_, at) => START + at)];
    for (const at of offsets) {
      const start = at < HEADER ? 0 : ([START, ...marks].filter((mark) => mark <= at).at(-1) ?? 0);
      await expect(open(withFile(files, FIRST, (bytes) => flipped(bytes, at))), `byte ${at}`).rejects.toMatchObject(
        corruptAt(FIRST, start),
      );
    }
  });

  test('as zeros in the middle is no end of the log (storage/zeros-only-at-the-end)', async () => {
    const { files, marks } = await logOf(4, 'data');
    const [second = 0, third = 0] = marks.slice(1);
    await expect(open(withFile(files, FIRST, (bytes) => bytes.fill(0, second, third)))).rejects.toMatchObject(
      corruptAt(FIRST, second),
    );
  });

  test('as a record in another place does not pass: swapped, repeated, or from another log (storage/bytes-in-their-place)', async () => {
    const { files, marks } = await logOf(4, 'data');
    const [one = 0, two = 0, three = 0, four = 0] = marks;
    expect(two - one).toBe(three - two);
    const swapped = withFile(files, FIRST, (bytes) => {
      const copy = bytes.slice();
      bytes.set(copy.subarray(one, two), two);
      bytes.set(copy.subarray(two, three), one);
      return bytes;
    });
    await expect(open(swapped)).rejects.toMatchObject(corruptAt(FIRST, one));
    const end = marks[4] ?? 0;
    const repeated = withFile(files, FIRST, (bytes) => {
      bytes.set(bytes.slice(three, four), end);
      return bytes;
    });
    expect((await open(repeated)).entries).toHaveLength(4);
  });

  test('as bytes of an earlier life does not pass where it fits: boot, group and order count too (storage/bytes-in-their-place)', async () => {
    const { files, marks } = await logOf(2, 'data');
    const end = marks.at(-1) ?? 0;
    const bytes = files.get(FIRST) ?? new Uint8Array(0);
    const header = decodeHeader(bytes);
    if (header === undefined || 'version' in header) throw new Error('the log has no header');
    const next = { header, offset: end, boot: 1, writeGroup: 4, ordinal: 0, flags: LAST_OF_WRITE_GROUP };
    const stored = async (place: typeof next): Promise<number> => {
      const disk = withFile(files, FIRST, (copy) => {
        // One `truncate from 1`: a record that counts shows.
        copy.set([3, 1, 0, 0, 0, 0, 0, 0, 0], end + RECORD);
        finishRecord(viewOf(copy), copy, end, RECORD + 9, place);
        return copy;
      });
      return (await open(disk)).entries.length;
    };
    expect(await stored(next)).toBe(0);
    expect(await stored({ ...next, boot: 0 })).toBe(2);
    expect(await stored({ ...next, writeGroup: 3 })).toBe(2);
    expect(await stored({ ...next, ordinal: 1 })).toBe(2);
    expect(await stored({ ...next, flags: 0 })).toBe(2);
    await expect(stored({ ...next, writeGroup: 5 })).rejects.toMatchObject(corruptAt(FIRST, end));
  });

  test('found by a read later is refused then (storage/damage-is-refused)', async () => {
    const { files } = await logOf(4, 'data');
    const disk = SimDisk.of(files);
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    const file = await disk.open(FIRST);
    const at = Buffer.from(disk.files().get(FIRST) ?? []).indexOf('data2');
    await file.write(Buffer.from('DATA2'), 0, 5, at);
    await expect(storage.read(1, 4, 1000)).rejects.toMatchObject(CORRUPT);
    await storage.close();
  });

  test('anywhere, of any kind: nothing wrong is ever read', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
    await storage.open();
    for (let index = 1; index <= 60; index++) await storage.write([put([index, 1, `${index}`.repeat(60)])]);
    await storage.close();
    const files = disk.files();
    const names = [...files.keys()];
    expect(names.length).toBeGreaterThan(2);
    const random = randomFrom(7);
    let refused = 0;
    for (let trial = 0; trial < 300; trial++) {
      const name = names[Math.floor(random() * names.length)] ?? FIRST;
      const damaged = withFile(files, name, (bytes) => {
        const at = Math.floor(random() * bytes.length);
        const kind = Math.floor(random() * 3);
        if (kind === 0) return flipped(bytes, at, 1 << Math.floor(random() * 8));
        if (kind === 1) return bytes.slice(0, at);
        return bytes.fill(Math.floor(random() * 256), at, at + Math.floor(random() * 600));
      });
      const result = await open(damaged).catch((error: unknown) => {
        expect(error).toMatchObject(CORRUPT);
      });
      if (result === undefined) refused++;
      else for (const { index, data } of result.entries) expect(data).toBe(`${index}`.repeat(60));
    }
    expect(refused).toBeGreaterThan(60);
  });
});

describe('segments', () => {
  async function threeSegments(): Promise<{ files: Files; names: string[] }> {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
    await storage.open();
    for (let index = 1; segmentsOf(disk.files()).size < 3; index++) {
      await storage.write([put([index, 1, 'z'.repeat(500)]), set('n', 'v')]);
    }
    // The power goes: what is told below is told by what was synced.
    const files = segmentsOf(disk.crash('all', () => 0).files());
    return { files, names: [...files.keys()] };
  }

  test('a missing one is refused and named, be it the first, a middle or the last (storage/no-hole)', async () => {
    const { files, names } = await threeSegments();
    for (const [at, name] of names.entries()) {
      const disk = withFile(files, name, () => undefined);
      // The last: its predecessor is sealed. The others: a hole.
      const named = at === 2 ? names[1] : name;
      await expect(open(disk), name).rejects.toMatchObject({
        ...CORRUPT,
        message: expect.stringContaining(named ?? '') as string,
      });
    }
  });

  test('one that is cut short is refused, be it at a whole record (storage/no-hole)', async () => {
    const { files, names } = await threeSegments();
    const [first = ''] = names;
    const bytes = files.get(first) ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = START; at < endOf(bytes) - 2 * RECORD; at += RECORD + view.getUint32(at + 8, true)) {
      await expect(open(withFile(files, first, () => bytes.slice(0, at)))).rejects.toMatchObject(corruptAt(first, at));
    }
  });

  test('two that changed places are refused (storage/bytes-in-their-place)', async () => {
    const { files, names } = await threeSegments();
    const [first = '', second = ''] = names;
    const disk = SimDisk.of(
      new Map([
        ...files,
        [first, files.get(second) ?? new Uint8Array(0)],
        [second, files.get(first) ?? new Uint8Array(0)],
      ]),
    );
    await expect(open(disk)).rejects.toMatchObject(CORRUPT);
  });

  test('one of another log is refused (storage/bytes-in-their-place)', async () => {
    const { files, names } = await threeSegments();
    const stranger = new SimDisk(99);
    const storage = fileStorage('data', { fs: stranger });
    await storage.open();
    await storage.close();
    await expect(open(withFile(files, names[0] ?? '', () => stranger.files().get(FIRST)))).rejects.toMatchObject({
      ...CORRUPT,
      message: expect.stringContaining('another log') as string,
    });
  });

  test('what a crash while creating one leaves behind is cleared away', async () => {
    const { files } = await threeSegments();
    for (const [name, bytes] of [
      ['wal-0000000000000004.log.tmp', new Uint8Array(0)],
      ['wal-0000000000000003.log.tmp', new Uint8Array(100).fill(7)],
    ] as const) {
      const disk = SimDisk.of([...files, [name, bytes]]);
      expect((await open(disk)).opened).toMatchObject({ boot: 2, first: 1 });
      expect([...disk.files().keys()]).not.toContain(name);
    }
    // The very first one, too.
    const disk = SimDisk.of([[`${FIRST}.tmp`, new Uint8Array(10)]]);
    expect((await open(disk)).opened).toMatchObject({ boot: 1, first: 0 });
  });

  test('each starts with the values: the earlier ones can be dropped one day', async () => {
    const { files, names } = await threeSegments();
    for (const name of names.slice(1)) {
      const bytes = Buffer.from(files.get(name) ?? []);
      expect(bytes.subarray(START, START + 100).includes('nv')).toBe(true);
    }
  });
});
