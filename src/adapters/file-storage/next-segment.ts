/**
 * The next segment of the log, begun in a spare file. It gets its name when it is durable. Then the old one is sealed,
 * so that the loss of its successor would be noticed; a seal that a crash prevented is written by the next start.
 */
import { letGo, writeFully, writeZeros } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { LOG_START } from './format.js';
import type { SegmentHeader } from './format.js';
import type { WriteGroup } from './group.js';
import type { LogState, WriterOptions } from './log-state.js';
import { giveName, openingGroup, tailRoom, writeHead, writeSeal } from './segment.js';
import type { SpareFile } from './spares.js';
import { WatermarkSlots } from './watermark.js';

/** How it begins. */
export interface NextSegment {
  readonly header: SegmentHeader;
  readonly first: WriteGroup;
}

/** It says which segments are needed. */
export function nextSegment({ header: old, boot, end, writeGroup, index, values }: LogState): NextSegment {
  const segment = old.segment + 1;
  const oldest = index.oldestNeeded(segment);
  const header: SegmentHeader = { ...old, segment, firstWriteGroup: writeGroup, previousEnd: end, oldest };
  return { header, first: openingGroup(header, boot, writeGroup, values) };
}

/** @returns the state of the log when it goes on in this file; the old one is left open */
export async function beginSegment(
  { disk, dir, limit, shortages, sync, writeThrough }: WriterOptions,
  old: LogState,
  { path: sparePath, size, file }: SpareFile,
  { header, first }: NextSegment,
): Promise<LogState> {
  const start = LOG_START + first.length;
  const space = Math.max(size, start + tailRoom(limit));
  const { end, boot, writeGroup } = old;
  let path: string;
  try {
    await shortages.outlast(`getting space in ${sparePath}`, () => writeZeros(file, size, space));
    await writeHead(file, header);
    await writeFully(file, first.bytes, 0, first.length, LOG_START);
    if (sync) await file.datasync();
    path = await giveName(disk, dir, sparePath, header.segment, shortages);
    await writeSeal(old.file, old.header, { end, boot, writeGroup });
    if (sync) await old.file.datasync();
  } catch (error) {
    await letGo(file);
    throw error;
  }
  const through = await openThrough(disk, path, writeThrough && sync);
  const place = { header, path, file, through, start, end: start, space, slots: new WatermarkSlots(header) };
  return { ...old, ...place, writeGroup: writeGroup + 1 };
}

/** The file to write groups through; undefined where the disk cannot, or not now. */
export async function openThrough(disk: Disk, path: string, wanted: boolean): Promise<DiskFile | undefined> {
  if (!wanted || disk.openThrough === undefined) return undefined;
  return disk.openThrough(path).catch(() => undefined);
}
