/**
 * Renewal of the last segment, at every start. Bytes of a killed process may be in the page cache only, and after a
 * failed sync the cache even counts as clean (storage/no-retry): nothing above the watermark is known to be durable, so
 * it is written anew and synced before it is believed.
 *
 * - A small segment is copied into a fresh file, with the new boot behind it, which takes its name. A crash at any
 *   point leaves the old file or the new one.
 * - A large one is left where it is: what is above its watermark is written again in its place, byte for byte, and the
 *   log goes on in a new segment, as in a rotation. So a start needs as much space as the reserve, however large the
 *   log is, and many starts make no more files than the log is long.
 * - One for which there is no space, since the reserve is used up or others took what was free, is left where it is,
 *   too, and the log goes on in it: behind its last group there is room for the boot (`tailRoom`). What is left of a
 *   torn group there becomes zeros, durably, before anything is written over it.
 *
 * Both slots of a fresh file are written before the sync that precedes its name, with the last group found and the
 * boot's (in a new segment, the boot's alone): under its name it is durable.
 */
import { corrupt } from '../../replica/errors.js';
import { letGo, readFully, writeFully, writeZeros } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { LOG_START, segmentName } from './format.js';
import type { SegmentHeader } from './format.js';
import { WriteGroup } from './group.js';
import type { LogState } from './log-state.js';
import { boundedFile } from './opening-disk.js';
import type { ReplayedLog } from './recovery.js';
import type { Position } from './scan.js';
import {
  giveName,
  openingGroup,
  SEAL_SIZE,
  watermarkOf,
  writeHead,
  writeSeal,
  tailRoom,
  zerosIfThereIsSpace,
} from './segment.js';
import type { SpaceFound, TemporaryFile } from './space-found.js';
import { isNoSpace } from './shortages.js';
import { RESERVE } from './spares.js';
import { WatermarkSlots } from './watermark.js';
import type { Watermark } from './watermark.js';

const COPY_PIECE = 1024 * 1024;
/** The largest segment that is copied, so that its copy fits the reserve. */
const LARGEST_COPY = RESERVE / 2;

export interface Renewal {
  readonly disk: Disk;
  readonly dir: string;
  readonly limit: number;
  /** Of the last segment; of the first one, where there is none yet. */
  readonly header: SegmentHeader;
  readonly replayed: ReplayedLog;
  readonly found: SpaceFound;
}

/** The last segment as it is. */
export interface LastSegment {
  readonly file: DiskFile;
  readonly size: number;
  /** Up to where it is known to be durable. */
  readonly vouched: number;
  /** The groups that its slots name. */
  readonly slots: readonly (number | undefined)[];
  /** Whether there is something behind its last group. */
  readonly isTorn: boolean;
}

/** A fresh file: what is written to it behind its header, and what its slots say. */
interface FreshSegment {
  readonly header: SegmentHeader;
  readonly group: WriteGroup;
  readonly watermarks: readonly Watermark[];
  /** Where the group goes. */
  readonly offset: number;
  readonly start: number;
  /** What is copied from the last segment, up to `offset`. */
  readonly copied: DiskFile | undefined;
}

/** @param last undefined where there is no segment yet */
export async function renew(renewal: Renewal, position: Position, last: LastSegment | undefined): Promise<LogState> {
  const renewed = await inFreshFile(renewal, position, last);
  if (!(renewed instanceof NoSpace)) return renewed;
  const state = last && ((await inPlace(renewal, position, last)) ?? (await continueInNext(renewal, position, last)));
  if (state === undefined || state instanceof NoSpace) throw renewed.cause;
  return state;
}

function inFreshFile(renewal: Renewal, position: Position, last: LastSegment | undefined): Promise<LogState | NoSpace> {
  const isLarge = position.end > LARGEST_COPY;
  return last !== undefined && isLarge ? continueInNext(renewal, position, last) : copied(renewal, position, last);
}

/** There is no space for a fresh file. Nothing is left of it, and nothing has changed. */
class NoSpace {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** Goes on in a copy of the last segment. */
async function copied(
  renewal: Renewal,
  position: Position,
  last: LastSegment | undefined,
): Promise<LogState | NoSpace> {
  const { header, replayed } = renewal;
  const boot = replayed.boot + 1;
  const group = new WriteGroup();
  group.addBoot(boot);
  group.finish(header, position.end, boot, position.writeGroup);
  const { writeGroup, end, checksum } = position;
  const before = writeGroup > header.firstWriteGroup ? [{ writeGroup: writeGroup - 1, end, checksum }] : [];
  const watermarks = [...before, watermarkOf(group, writeGroup, end)];
  const fresh = { header, group, watermarks, offset: end, start: LOG_START, copied: last?.file };
  return makeSegment(renewal, fresh, boot, writeGroup);
}

/** Makes the large last segment durable where it is, and begins the next one. */
async function continueInNext(renewal: Renewal, position: Position, last: LastSegment): Promise<LogState | NoSpace> {
  const { header: old, replayed } = renewal;
  const { end, writeGroup } = position;
  await makeDurable(renewal, position, last);
  const header: SegmentHeader = { ...old, segment: old.segment + 1, firstWriteGroup: writeGroup, previousEnd: end };
  const boot = replayed.boot + 1;
  const group = openingGroup(header, boot, writeGroup, replayed.values);
  const watermarks = [watermarkOf(group, writeGroup, LOG_START)];
  const start = LOG_START + group.length;
  const fresh = { header, group, watermarks, offset: LOG_START, start, copied: undefined };
  const state = await makeSegment(renewal, fresh, boot, writeGroup);
  if (state instanceof NoSpace) return state;
  try {
    await writeSeal(last.file, old, position);
    await last.file.datasync();
    await last.file.truncate(end + SEAL_SIZE); // the space that was got ahead is free again
  } catch (error) {
    await letGo(state.file);
    throw error;
  }
  return state;
}

/** Writes again what is above the watermark, where it is. */
async function makeDurable({ disk, dir, header }: Renewal, { end }: Position, last: LastSegment): Promise<void> {
  const path = disk.join(dir, segmentName(header.segment));
  await copy(path, last.file, last.file, last.vouched, end);
  await last.file.datasync();
}

/** Goes on in the last segment itself, unless it has no room. */
async function inPlace(renewal: Renewal, position: Position, last: LastSegment): Promise<LogState | undefined> {
  const { disk, dir, header, replayed } = renewal;
  const { writeGroup } = position;
  const boot = replayed.boot + 1;
  const path = disk.join(dir, segmentName(header.segment));
  const group = new WriteGroup();
  group.addBoot(boot);
  group.finish(header, position.end, boot, writeGroup);
  const end = position.end + group.length;
  if (end + SEAL_SIZE > last.size) return undefined;
  await makeDurable(renewal, position, last);
  if (last.isTorn) {
    await writeZeros(last.file, position.end, last.size);
    await last.file.datasync();
  }
  await writeFully(last.file, group.bytes, 0, group.length, position.end);
  await last.file.datasync();
  const slots = new WatermarkSlots(header, last.slots);
  slots.reached(watermarkOf(group, writeGroup, position.end));
  const file = await disk.open(path);
  const { index, values } = replayed;
  const own = { header, path, file, through: undefined, start: LOG_START, space: last.size };
  return { ...own, boot, end, writeGroup: writeGroup + 1, index, values, slots };
}

/** Fills a fresh file. @returns up to where it has space */
async function freshFile(
  { disk, dir, limit, found }: Renewal,
  fresh: FreshSegment,
): Promise<(TemporaryFile & { readonly space: number }) | NoSpace> {
  const path = disk.join(dir, segmentName(fresh.header.segment));
  let temporary: TemporaryFile | undefined;
  try {
    temporary = await found.take(`${path}.tmp`);
    const file = boundedFile(disk, temporary.path, temporary.file);
    const space = await fillSegment(file, path, fresh, limit);
    await file.datasync();
    return { ...temporary, space };
  } catch (error) {
    if (temporary !== undefined) await discard(temporary);
    if (isNoSpace(error)) return new NoSpace(error);
    throw error;
  }
}

async function discard(temporary: TemporaryFile): Promise<void> {
  await letGo(temporary.file);
  await temporary.giveBack().catch(() => undefined); // it has its name already, or the disk is gone
}

async function makeSegment(
  renewal: Renewal,
  fresh: FreshSegment,
  boot: number,
  writeGroup: number,
): Promise<LogState | NoSpace> {
  const { disk, dir, replayed } = renewal;
  const { header, group, offset, start, watermarks } = fresh;
  const made = await freshFile(renewal, fresh);
  if (made instanceof NoSpace) return made;
  const { file, space } = made;
  const path = disk.join(dir, segmentName(header.segment));
  try {
    await giveName(disk, dir, made.path, header.segment);
  } catch (error) {
    await discard(made);
    throw error;
  }
  const named = watermarks.map((watermark) => watermark.writeGroup);
  const slots = new WatermarkSlots(header, named);
  const { index, values } = replayed;
  const end = offset + group.length;
  const own = { header, path, file, through: undefined, start, end, space, slots };
  return { ...own, boot, writeGroup: writeGroup + 1, index, values };
}

/** Writes a fresh segment. @returns up to where its file has space */
async function fillSegment(file: DiskFile, path: string, fresh: FreshSegment, limit: number): Promise<number> {
  const { header, group, watermarks, offset, copied } = fresh;
  const end = offset + group.length;
  const size = await file.size();
  // A spare file may hold anything.
  if (size > 0) await writeZeros(file, 0, LOG_START);
  await writeHead(file, header, watermarks);
  if (copied !== undefined) await copy(path, copied, file, LOG_START, offset);
  await writeFully(file, group.bytes, 0, group.length, offset);
  const least = end + tailRoom(limit);
  const most = Math.max(least, Math.min(limit, RESERVE));
  if (size > most) await file.truncate(most);
  return zerosIfThereIsSpace(file, end, least, most);
}

/** Copies `[start, end)`, which may be in the same file. */
async function copy(path: string, from: DiskFile, to: DiskFile, start: number, end: number): Promise<void> {
  const piece = new Uint8Array(Math.min(end - start, COPY_PIECE));
  for (let at = start; at < end; at += piece.length) {
    const size = Math.min(piece.length, end - at);
    if ((await readFully(from, piece, 0, size, at)) < size) throw corrupt(path, at, 'the file became shorter');
    await writeFully(to, piece, 0, size, at);
  }
}
