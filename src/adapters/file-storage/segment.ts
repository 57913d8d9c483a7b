/** What both a start and a rotation do to a segment's file: begin it, seal it, give it its name. */
import { writeFully, writeZeros } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { encodeHeader, HEADER_SIZE, LOG_START, RECORD_HEADER_SIZE, SEAL } from './format.js';
import { segmentName, SLOT_OFFSETS, viewOf } from './format.js';
import type { SegmentHeader } from './format.js';
import { WriteGroup } from './group.js';
import { BOOT_SIZE } from './ops.js';
import { isNoSpace, NO_DESCRIPTOR } from './shortages.js';
import type { Shortages } from './shortages.js';
import { encodeWatermark } from './watermark.js';
import type { Watermark } from './watermark.js';

/** The bytes of a seal: a group without operations. */
export const SEAL_SIZE = RECORD_HEADER_SIZE;
/** The bytes of a group that holds a boot alone. */
const BOOT_GROUP_SIZE = RECORD_HEADER_SIZE + BOOT_SIZE;

/**
 * The bytes that every file keeps free behind its last group: for a seal, and for the boots of starts that get no other
 * space, about 500 in a file of 1 MiB or more (storage/restart-needs-no-space).
 * @param limit the size that a segment's file should not exceed
 */
export function tailRoom(limit: number): number {
  return SEAL_SIZE + BOOT_GROUP_SIZE * Math.min(500, Math.max(16, limit >>> 11));
}

/** The group that opens a segment: the boot and all values, so that no value depends on earlier segments. */
export function openingGroup(
  header: SegmentHeader,
  boot: number,
  writeGroup: number,
  values: ReadonlyMap<string, Uint8Array>,
): WriteGroup {
  const group = new WriteGroup();
  group.addBoot(boot);
  for (const [key, value] of values) group.addSet(key, value);
  group.finish(header, LOG_START, boot, writeGroup);
  return group;
}

/** Writes header and slots. The rest of the file's first sector is zero. */
export async function writeHead(
  file: DiskFile,
  header: SegmentHeader,
  watermarks: readonly Watermark[] = [],
): Promise<void> {
  await writeFully(file, encodeHeader(header), 0, HEADER_SIZE, 0);
  for (const [nth, watermark] of watermarks.entries()) {
    const slot = nth === 0 ? 0 : 1;
    const bytes = encodeWatermark(header, slot, watermark);
    await writeFully(file, bytes, 0, bytes.length, SLOT_OFFSETS[slot]);
  }
}

/** The watermark that names a finished group, written at `offset` of its segment. */
export function watermarkOf(group: WriteGroup, writeGroup: number, offset: number): Watermark {
  const last = group.records[group.records.length - 1] as number;
  return { writeGroup, end: offset + group.length, checksum: viewOf(group.bytes).getUint32(last, true) };
}

/** Writes the seal behind the last group of a segment whose successor has its name. Does not sync. */
export async function writeSeal(
  file: DiskFile,
  header: SegmentHeader,
  at: { readonly end: number; readonly boot: number; readonly writeGroup: number },
): Promise<void> {
  const seal = new WriteGroup();
  seal.finish(header, at.end, at.boot, at.writeGroup, SEAL);
  await writeFully(file, seal.bytes, 0, seal.length, at.end);
}

/** Gives a durable file its name as a segment, durably. @returns its path */
export async function giveName(
  disk: Disk,
  dir: string,
  from: string,
  segment: number,
  shortages?: Shortages,
): Promise<string> {
  const path = disk.join(dir, segmentName(segment));
  const sync = (): Promise<void> => disk.syncDirectory(dir);
  if (shortages === undefined) {
    await disk.rename(from, path);
    await sync();
    return path;
  }
  await shortages.outlast(`renaming ${from}`, () => disk.rename(from, path));
  // Without a descriptor nothing was synced; any other failure may be of the sync, which is not tried twice.
  const noDescriptor = (error: unknown): boolean => NO_DESCRIPTOR.has((error as { code?: unknown }).code);
  await shortages.outlast(`syncing ${dir}`, sync, noDescriptor);
  return path;
}

/** Writes zeros from `from` on, up to `to` if there is space, and at least up to `least`. @returns where they end */
export async function zerosIfThereIsSpace(file: DiskFile, from: number, least: number, to: number): Promise<number> {
  if (to <= from) return from;
  try {
    await writeZeros(file, from, to);
    return to;
  } catch (error) {
    const size = await file.size();
    if (!isNoSpace(error) || size < least) throw error;
    return Math.min(size, to);
  }
}
