/**
 * Recovery, the work of `open`: it finds the segments, verifies every record and drops a torn last group. Then it makes
 * the last segment durable. Bytes of a killed process may be in the page cache only, and after a failed sync the
 * cache even counts as clean (storage/no-retry); so the last segment is copied into a fresh file, with the new boot
 * behind it, which takes its name. A crash at any point leaves the old file or the new one, and perhaps a temporary one
 * that the next `open` removes. Earlier segments were synced before their successor was created.
 */
import { BlockIndex } from './block-index.js';
import { corrupt, letGo, readFully, writeFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import {
  decodeHeader,
  encodeHeader,
  FORMAT_VERSION,
  HEADER_SIZE,
  isTemporary,
  segmentName,
  segmentOf,
} from './format.js';
import type { SegmentHeader } from './format.js';
import { WriteGroup } from './group.js';
import type { LogState } from './log-writer.js';
import { walkOps } from './ops.js';
import { scanDroppingTornTail, scanSealed } from './scan.js';
import type { Position, RecordVisitor } from './scan.js';
import { TermRuns } from './term-runs.js';
import { ConsensusError } from '../../replica/errors.js';

const COPY_PIECE = 1024 * 1024;

/** The log as its replay found it. */
interface ReplayedLog {
  readonly values: Map<string, Uint8Array>;
  readonly index: BlockIndex;
  readonly terms: TermRuns;
  boot: number;
}

/** A recovered log: ready to be written, with its index, values and terms. */
export interface RecoveredLog {
  readonly state: LogState;
  readonly terms: TermRuns;
}

export async function recover(disk: Disk, dir: string): Promise<RecoveredLog> {
  const names = await disk.readdir(dir);
  for (const name of names) if (isTemporary(name)) await disk.unlink(disk.join(dir, name));
  const numbers = names
    .map(segmentOf)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  const replayed: ReplayedLog = { values: new Map(), index: new BlockIndex(), terms: new TermRuns(), boot: 0 };
  if (numbers.length === 0) {
    const header = await firstHeader(disk, dir);
    return renew(disk, dir, header, { end: HEADER_SIZE, writeGroup: 1, boot: 0 }, undefined, replayed);
  }
  const headers = await readHeaders(disk, dir, numbers);
  let position: Position = { end: HEADER_SIZE, writeGroup: headers[0]?.firstWriteGroup ?? 1, boot: 0 };
  for (const [at, header] of headers.entries()) {
    const path = disk.join(dir, segmentName(header.segment));
    const next = headers[at + 1];
    const file = await disk.open(path);
    try {
      const segment = { path, file, size: await file.size(), header };
      const visit = replayInto(replayed, header.segment);
      const from = { ...position, end: HEADER_SIZE };
      if (next === undefined) {
        position = await scanDroppingTornTail(segment, from, visit);
        return await renew(disk, dir, header, position, file, replayed);
      }
      position = await scanSealed(segment, from, { end: next.previousEnd, group: next.firstWriteGroup }, visit);
    } finally {
      await letGo(file);
    }
  }
  throw new Error('unreachable: the last segment returns');
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
  const last = headers[headers.length - 1] as SegmentHeader;
  const needed = headers.filter((header) => header.segment >= last.oldest);
  for (const [at, header] of needed.entries()) {
    const expected = last.oldest + at;
    const path = disk.join(dir, segmentName(expected));
    if (header.segment !== expected) throw corrupt(path, 0, 'the segment is missing');
    if (header.logLow !== last.logLow || header.logHigh !== last.logHigh) {
      throw corrupt(path, 16, `the segment belongs to another log than ${segmentName(last.segment)}`);
    }
  }
  return needed;
}

async function readHeader(disk: Disk, dir: string, number: number): Promise<SegmentHeader> {
  const path = disk.join(dir, segmentName(number));
  const file = await disk.open(path);
  try {
    const bytes = new Uint8Array(HEADER_SIZE);
    const got = await readFully(file, bytes, 0, HEADER_SIZE, 0);
    const header = decodeHeader(bytes.subarray(0, got));
    // A segment gets its name when its header is durable: no crash leaves such a file.
    if (header === undefined) throw corrupt(path, 0, "the segment's header does not verify");
    if ('newer' in header) {
      const message = `${path} has format version ${header.newer}, this release reads up to`;
      throw new ConsensusError(`${message} ${FORMAT_VERSION}`, { code: 'ERR_STORAGE_MISMATCH' });
    }
    if (header.segment !== number) throw corrupt(path, 24, `the file holds segment ${header.segment}`);
    return header;
  } finally {
    await letGo(file);
  }
}

function replayInto(replayed: ReplayedLog, segment: number): RecordVisitor {
  return (start, end, bytes, view, from, to) => {
    const sound = walkOps(bytes, view, from, to, {
      set: (key, valueFrom, valueTo) => replayed.values.set(key, bytes.slice(valueFrom, valueTo)),
      run: (first, count, term) => replayed.terms.put(first, count, term),
      truncate: (index) => replayed.terms.truncate(index),
      boot: (boot) => {
        replayed.boot = boot;
      },
    });
    return sound && replayed.index.addRecord(segment, start, end, bytes, view, from, to);
  };
}

/** Copies the segment into a new file up to the end of its last whole group, and writes the boot behind it. */
async function renew(
  disk: Disk,
  dir: string,
  header: SegmentHeader,
  position: Position,
  old: DiskFile | undefined,
  replayed: ReplayedLog,
): Promise<RecoveredLog> {
  const path = disk.join(dir, segmentName(header.segment));
  const boot = replayed.boot + 1;
  const writeGroup = new WriteGroup();
  writeGroup.addBoot(boot);
  writeGroup.finish(header, position.end, boot, position.writeGroup);
  const file = await disk.create(`${path}.tmp`);
  try {
    if (old === undefined) await writeFully(file, encodeHeader(header), 0, HEADER_SIZE, 0);
    else await copy(path, old, file, position.end);
    await writeFully(file, writeGroup.bytes, 0, writeGroup.length, position.end);
    await file.datasync();
    await disk.rename(`${path}.tmp`, path);
    await disk.syncDirectory(dir);
  } catch (error) {
    await letGo(file);
    throw error;
  }
  const state: LogState = {
    header,
    file,
    boot,
    end: position.end + writeGroup.length,
    writeGroup: position.writeGroup + 1,
    index: replayed.index,
    values: replayed.values,
  };
  return { state, terms: replayed.terms };
}

async function copy(path: string, from: DiskFile, to: DiskFile, length: number): Promise<void> {
  const piece = new Uint8Array(Math.min(length, COPY_PIECE));
  for (let at = 0; at < length; at += piece.length) {
    const size = Math.min(piece.length, length - at);
    if ((await readFully(from, piece, 0, size, at)) < size) throw corrupt(path, at, 'the file became shorter');
    await writeFully(to, piece, 0, size, at);
  }
}
