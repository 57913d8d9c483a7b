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
 *
 * Both slots of a fresh file are written before the sync that precedes its name, with the last group found and the
 * boot's (in a new segment, the boot's alone): under its name it is durable.
 */
import { corrupt, letGo, readFully, writeFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { LOG_START, segmentName } from './format.js';
import type { SegmentHeader } from './format.js';
import { WriteGroup } from './group.js';
import type { LogState } from './log-writer.js';
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
  zerosIfThereIsSpace,
} from './segment.js';
import type { SpaceFound } from './space-found.js';
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

/** The last segment as it is: its file, and up to where it is known to be durable. */
export interface LastSegment {
  readonly file: DiskFile;
  readonly vouched: number;
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
  const { header, replayed } = renewal;
  const boot = replayed.boot + 1;
  if (last !== undefined && position.end > LARGEST_COPY) {
    return continueInNext(renewal, position, last);
  }
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
async function continueInNext(renewal: Renewal, position: Position, last: LastSegment): Promise<LogState> {
  const { disk, dir, header: old, replayed } = renewal;
  const { end, writeGroup } = position;
  const path = disk.join(dir, segmentName(old.segment));
  await copy(path, last.file, last.file, last.vouched, end);
  await last.file.datasync();
  const header: SegmentHeader = { ...old, segment: old.segment + 1, firstWriteGroup: writeGroup, previousEnd: end };
  const boot = replayed.boot + 1;
  const group = openingGroup(header, boot, writeGroup, replayed.values);
  const watermarks = [watermarkOf(group, writeGroup, LOG_START)];
  const start = LOG_START + group.length;
  const fresh = { header, group, watermarks, offset: LOG_START, start, copied: undefined };
  const state = await makeSegment(renewal, fresh, boot, writeGroup);
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

async function makeSegment(renewal: Renewal, fresh: FreshSegment, boot: number, writeGroup: number): Promise<LogState> {
  const { disk, dir, limit, replayed, found } = renewal;
  const { header, group, offset, start, watermarks } = fresh;
  const path = disk.join(dir, segmentName(header.segment));
  const temporary = await found.take(`${path}.tmp`);
  const end = offset + group.length;
  try {
    const file = boundedFile(disk, temporary.path, temporary.file);
    const space = await fillSegment(file, path, fresh, Math.min(limit, Math.max(RESERVE, end + SEAL_SIZE)));
    await file.datasync();
    await giveName(disk, dir, temporary.path, header.segment);
    const slots = new WatermarkSlots(
      header,
      watermarks.map((watermark) => watermark.writeGroup),
    );
    const { index, values } = replayed;
    const { file: own } = temporary;
    return {
      header,
      path,
      file: own,
      through: undefined,
      boot,
      start,
      end,
      writeGroup: writeGroup + 1,
      space,
      index,
      values,
      slots,
    };
  } catch (error) {
    await letGo(temporary.file);
    await temporary.giveBack().catch(() => undefined); // it has its name already, or the disk is gone
    throw error;
  }
}

/** Writes a fresh segment. @returns up to where its file has space */
async function fillSegment(file: DiskFile, path: string, fresh: FreshSegment, space: number): Promise<number> {
  const { header, group, watermarks, offset, copied } = fresh;
  const end = offset + group.length;
  const size = await file.size();
  // A spare file may hold anything.
  if (size > 0) await zerosIfThereIsSpace(file, 0, LOG_START);
  await writeHead(file, header, watermarks);
  if (copied !== undefined) await copy(path, copied, file, LOG_START, offset);
  await writeFully(file, group.bytes, 0, group.length, offset);
  if (size > Math.max(space, end + SEAL_SIZE)) await file.truncate(Math.max(space, end + SEAL_SIZE));
  return zerosIfThereIsSpace(file, end, Math.max(space, end + SEAL_SIZE));
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
