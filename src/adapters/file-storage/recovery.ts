/**
 * Recovery, the work of `open`: it finds the segments, verifies every record, drops a torn last group, seals what a
 * rotation that was cut short left unsealed, and has the last segment renewed (see renewal.ts).
 */
import { BlockIndex } from './block-index.js';
import { letGo, readFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import {
  decodeHeader,
  FORMAT_VERSION,
  HEADER_SIZE,
  isTemporary,
  LOG_START,
  PHYSICAL_SECTOR,
  segmentName,
  segmentOf,
  SLOT_OFFSETS,
  spareOf,
} from './format.js';
import type { SegmentHeader } from './format.js';
import type { LogState } from './log-state.js';
import { boundedFile } from './opening-disk.js';
import { walkOps } from './ops.js';
import { renew } from './renewal.js';
import { isSealedAt, scanDroppingTornTail, scanSealed } from './scan.js';
import type { Position, RecordVisitor, Segment, TornGroup } from './scan.js';
import { SEAL_SIZE, writeSeal } from './segment.js';
import { SpaceFound } from './space-found.js';
import type { FoundSpare } from './space-found.js';
import { TermRuns } from './term-runs.js';
import { groupsNamed, newestWatermark } from './watermark.js';
import type { Watermark } from './watermark.js';
import { ConsensusError, corrupt } from '../../replica/errors.js';

/** The log as its replay found it. */
export interface ReplayedLog {
  readonly values: Map<string, Uint8Array>;
  readonly index: BlockIndex;
  readonly terms: TermRuns;
  boot: number;
}

/** A recovered log: ready to be written, with its index, values and terms. */
export interface RecoveredLog {
  readonly state: LogState;
  readonly terms: TermRuns;
  readonly torn: TornGroup | undefined;
  /** The spare files that are left. */
  readonly spares: readonly FoundSpare[];
  /** The sizes of the segments before the one that is written, by number. */
  readonly sizes: Map<number, number>;
}

/** @param limit the size that a segment's file should not exceed */
export async function recover(disk: Disk, dir: string, limit: number): Promise<RecoveredLog> {
  const names = await disk.readdir(dir);
  const numbers = names
    .map(segmentOf)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  const spares = names.map(spareOf).filter((number) => number !== undefined);
  const [spare] = spares;
  // Spare files are made when there is a segment.
  if (numbers.length === 0 && spare !== undefined) throw corrupt(dir, 0, 'there are spare files, and no segment');
  const found = new SpaceFound(disk, dir, spares, names.filter(isTemporary));
  await found.keepOrRemove(numbers.length === 0);
  const replayed: ReplayedLog = { values: new Map(), index: new BlockIndex(), terms: new TermRuns(), boot: 0 };
  const headers = numbers.length === 0 ? [await firstHeader(disk, dir)] : await readHeaders(disk, dir, numbers);
  const last = headers.pop() as SegmentHeader;
  let position: Position = { end: LOG_START, writeGroup: (headers[0] ?? last).firstWriteGroup, boot: 0, checksum: 0 };
  const sizes = new Map<number, number>();
  for (const [at, header] of headers.entries()) {
    position = await replaySealed(disk, dir, header, headers[at + 1] ?? last, position, replayed, sizes);
  }
  const renewal = { disk, dir, limit, header: last, replayed, found };
  if (numbers.length === 0) {
    const state = await renew(renewal, position, undefined);
    return { state, terms: replayed.terms, torn: undefined, spares: await found.spares(), sizes };
  }
  const path = disk.join(dir, segmentName(last.segment));
  return withFile(disk, path, async (file) => {
    const segment = { path, file, size: await file.size(), header: last };
    const begin = { ...position, end: LOG_START };
    const watermark = await readWatermark(segment);
    const scanned = await scanDroppingTornTail(segment, begin, watermark, replayInto(replayed, last.segment));
    const oldest = replayed.index.oldestNeeded(last.segment);
    const header = { ...last, oldest };
    const vouched = watermark?.end ?? LOG_START;
    const isTorn = scanned.torn !== undefined;
    const slots = groupsNamed(await readSlots(segment), last);
    const from = { file, size: segment.size, vouched, slots, isTorn };
    const state = await renew({ ...renewal, header }, scanned.position, from);
    // A crash can come before the files of trimmed segments are gone, and what cannot be removed now stays until later.
    const trimmed = numbers.filter((number) => number < oldest);
    for (const number of trimmed) {
      await disk.unlink(disk.join(dir, segmentName(number))).catch(() => undefined);
      sizes.delete(number);
    }
    if (state.header.segment !== last.segment) sizes.set(last.segment, scanned.position.end + SEAL_SIZE);
    return { state, terms: replayed.terms, torn: scanned.torn, spares: await found.spares(), sizes };
  });
}

async function withFile<T>(disk: Disk, path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(path);
  try {
    return await work(boundedFile(disk, path, file));
  } finally {
    await letGo(file);
  }
}

/** Replays a segment that has a successor, and seals it if a crash has come before the seal. */
async function replaySealed(
  disk: Disk,
  dir: string,
  header: SegmentHeader,
  next: SegmentHeader,
  position: Position,
  replayed: ReplayedLog,
  sizes: Map<number, number>,
): Promise<Position> {
  const path = disk.join(dir, segmentName(header.segment));
  return withFile(disk, path, async (file) => {
    const segment = { path, file, size: await file.size(), header };
    sizes.set(header.segment, segment.size);
    const until = { end: next.previousEnd, group: next.firstWriteGroup };
    const from = { ...position, end: LOG_START };
    const end = await scanSealed(segment, from, until, replayInto(replayed, header.segment));
    if (await isSealedAt(segment, end)) return end;
    await disk.syncDirectory(dir); // a seal that outlives its successor's name would say that it was lost
    await writeSeal(file, header, end);
    await file.datasync();
    return end;
  });
}

/** What the slots of the last segment vouch for. */
export async function readWatermark(segment: Segment): Promise<Watermark | undefined> {
  return newestWatermark(await readSlots(segment), segment.header, segment.path);
}

async function readSlots({ path, file }: Segment): Promise<Uint8Array> {
  const slots = new Uint8Array(SLOT_OFFSETS.length * PHYSICAL_SECTOR);
  const got = await readFully(file, slots, 0, slots.length, SLOT_OFFSETS[0]);
  // A segment gets its name when its first group is durable, and that is behind the slots.
  if (got < slots.length) throw corrupt(path, SLOT_OFFSETS[0] + got, 'the file was cut short');
  return slots;
}

async function firstHeader(disk: Disk, dir: string): Promise<SegmentHeader> {
  // Every directory of the path may be new, and must be durable before the files in it are.
  for (let path = dir; ; path = disk.parent(path)) {
    await syncAncestor(disk, path, path === dir);
    if (disk.parent(path) === path) break;
  }
  // The mark of a record is not 0, unlike preallocated space.
  const logLow = (disk.random() | 1) >>> 0;
  return { logLow, logHigh: disk.random(), segment: 1, firstWriteGroup: 1, previousEnd: 0, oldest: 1 };
}

async function syncAncestor(disk: Disk, path: string, own: boolean): Promise<void> {
  try {
    await disk.syncDirectory(path);
  } catch (error) {
    // A directory that cannot be opened was not created by us; EINVAL means that this file system cannot sync one.
    const { code } = error as { code?: unknown };
    if (own || !['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(String(code))) throw error;
  }
}

/** The headers of all needed segments, ascending; refuses a missing segment and one of another log. */
async function readHeaders(disk: Disk, dir: string, numbers: readonly number[]): Promise<SegmentHeader[]> {
  const headers: SegmentHeader[] = [];
  for (const number of numbers) headers.push(await readHeader(disk, dir, number));
  const { needed, faults } = chainOf(disk, dir, headers);
  if (faults[0] !== undefined) throw faults[0];
  return needed;
}

/** What the last header says of the segments before it: which are needed, and what of them is not there or foreign. */
export function chainOf(
  disk: Disk,
  dir: string,
  headers: readonly SegmentHeader[],
): { readonly needed: SegmentHeader[]; readonly faults: ConsensusError[] } {
  const last = headers[headers.length - 1] as SegmentHeader;
  const needed = headers.filter((header) => header.segment >= last.oldest);
  const faults: ConsensusError[] = [];
  for (let expected = last.oldest, at = 0; expected <= last.segment; expected++) {
    const path = disk.join(dir, segmentName(expected));
    const header = needed[at];
    if (header?.segment !== expected) {
      faults.push(corrupt(path, 0, 'the segment is missing'));
      continue;
    }
    at += 1;
    if (header.logLow !== last.logLow || header.logHigh !== last.logHigh) {
      faults.push(corrupt(path, 16, `the segment belongs to another log than ${segmentName(last.segment)}`));
    }
  }
  return { needed, faults };
}

/** The header of a segment. @throws ConsensusError ERR_STORAGE_CORRUPT, ERR_STORAGE_MISMATCH */
export async function readHeader(disk: Disk, dir: string, number: number): Promise<SegmentHeader> {
  const path = disk.join(dir, segmentName(number));
  const file = await disk.openToRead(path);
  try {
    const bytes = new Uint8Array(HEADER_SIZE);
    const got = await readFully(file, bytes, 0, HEADER_SIZE, 0);
    const header = decodeHeader(bytes.subarray(0, got));
    // A segment gets its name when its header is durable: no crash leaves such a file.
    if (header === undefined) throw corrupt(path, 0, "the segment's header does not verify");
    if ('version' in header) {
      const message = `${path} has format version ${header.version}, this release reads`;
      throw new ConsensusError(`${message} ${FORMAT_VERSION}`, { code: 'ERR_STORAGE_MISMATCH' });
    }
    if (header.segment !== number) throw corrupt(path, 24, `the file holds segment ${header.segment}`);
    return header;
  } finally {
    await letGo(file);
  }
}

export function replayInto(replayed: ReplayedLog, segment: number): RecordVisitor {
  return (start, end, bytes, view, from, to) => {
    const sound = walkOps(bytes, view, from, to, {
      set: (key, valueFrom, valueTo) => replayed.values.set(key, bytes.slice(valueFrom, valueTo)),
      run: (first, count, term) => replayed.terms.put(first, count, term),
      truncate: (index) => replayed.terms.truncate(index),
      trim: (through) => replayed.terms.trim(through),
      boot: (boot) => {
        replayed.boot = boot;
      },
    });
    return sound && replayed.index.addRecord(segment, start, end, bytes, view, from, to);
  };
}
