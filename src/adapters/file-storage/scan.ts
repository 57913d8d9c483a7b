/**
 * Verifies a segment from its first group on, and tells a torn last write, which a crash may leave, from damage. A
 * group is valid when all its records verify and its last record is there; the visitor gets its records only then.
 */
import { corrupt } from '../../replica/errors.js';
import { readFully } from './disk-io.js';
import type { DiskFile } from './disk.js';
import {
  LAST_OF_WRITE_GROUP,
  LOG_START,
  peekRecord,
  RECORD_HEADER_SIZE,
  SEAL,
  verifyRecord,
  viewOf,
} from './format.js';
import type { RecordHeader, SegmentHeader } from './format.js';
import type { Watermark } from './watermark.js';

const WINDOW = 1024 * 1024;

/** A segment that is being read. */
export interface Segment {
  readonly path: string;
  readonly file: DiskFile;
  readonly size: number;
  readonly header: SegmentHeader;
}

/** A place between two groups of the log. */
export interface Position {
  readonly end: number;
  /** The number of the next group. */
  readonly writeGroup: number;
  /** The boot that wrote last. */
  readonly boot: number;
  /** The CRC of the last record of the group before; 0 if there is none. */
  readonly checksum: number;
}

/** A last group that was dropped, since it is not whole and nothing vouches for it. */
export interface TornGroup {
  readonly path: string;
  readonly offset: number;
}

/** The callback for each record of a verified group: its place, and its payload in `bytes[from, to)`. */
export type RecordVisitor = (
  start: number,
  end: number,
  bytes: Uint8Array,
  view: DataView,
  from: number,
  to: number,
) => boolean;

/** The part of the file that is in memory. It moves so that each record is whole in it. */
class ScanWindow {
  bytes: Uint8Array;
  view: DataView;
  private base = 0;
  private filled = 0;
  private readonly segment: Segment;

  constructor(segment: Segment) {
    this.segment = segment;
    this.bytes = new Uint8Array(Math.min(WINDOW, segment.size));
    this.view = viewOf(this.bytes);
  }

  /** The position in `bytes` of the file's bytes at `offset`; -1 if the file has no `length` bytes there. */
  async at(offset: number, length: number): Promise<number> {
    const { file, size } = this.segment;
    if (offset + length > size) return -1;
    if (offset < this.base || offset + length > this.base + this.filled) {
      if (length > this.bytes.length) {
        this.bytes = new Uint8Array(length);
        this.view = viewOf(this.bytes);
      }
      this.base = offset;
      const wanted = Math.min(this.bytes.length, size - offset);
      this.filled = 0;
      this.filled = await readFully(file, this.bytes, 0, wanted, offset);
      if (length > this.filled) return -1;
    }
    return offset - this.base;
  }
}

/** The record at `offset`; undefined if it does not verify. */
async function recordAt(window: ScanWindow, segment: Segment, offset: number): Promise<RecordHeader | undefined> {
  const head = await window.at(offset, RECORD_HEADER_SIZE);
  const record = head < 0 ? undefined : peekRecord(window.view, head, segment.header);
  if (record === undefined) return undefined;
  const size = RECORD_HEADER_SIZE + record.payload;
  const at = await window.at(offset, size);
  if (at < 0 || !verifyRecord(window.view, window.bytes, at, size, segment.header, offset)) return undefined;
  return record;
}

interface FoundWriteGroup {
  readonly ends: readonly number[];
  readonly boot: number;
  readonly checksum: number;
  readonly seal: boolean;
}

/** The group expected at `from` if all of it verifies; else the offset of the first record that does not. */
async function writeGroupAt(window: ScanWindow, segment: Segment, from: Position): Promise<FoundWriteGroup | number> {
  const ends: number[] = [];
  let offset = from.end;
  let boot = from.boot;
  for (;;) {
    const record = await recordAt(window, segment, offset);
    const first = ends.length === 0;
    if (
      record === undefined ||
      record.writeGroup !== from.writeGroup ||
      record.ordinal !== ends.length ||
      (first ? record.boot < boot : record.boot !== boot)
    )
      return offset; // a record of an earlier use of this place
    boot = record.boot;
    const at = await window.at(offset, RECORD_HEADER_SIZE);
    const checksum = window.view.getUint32(at, true);
    offset += RECORD_HEADER_SIZE + record.payload;
    ends.push(offset);
    if ((record.flags & LAST_OF_WRITE_GROUP) === 0) continue;
    return { ends, boot, checksum, seal: (record.flags & SEAL) !== 0 };
  }
}

function after(position: Position, { ends, boot, checksum }: FoundWriteGroup): Position {
  return { end: ends[ends.length - 1] as number, writeGroup: position.writeGroup + 1, boot, checksum };
}

async function visitWriteGroup(
  window: ScanWindow,
  segment: Segment,
  from: number,
  ends: readonly number[],
  visit: RecordVisitor,
): Promise<void> {
  let start = from;
  for (const end of ends) {
    const at = await window.at(start, end - start);
    const sound = at >= 0 && visit(start, end, window.bytes, window.view, at + RECORD_HEADER_SIZE, at + end - start);
    // The checksum is right, but no release writes such an operation.
    if (!sound) throw corrupt(segment.path, start, 'a record holds an operation that is none');
    start = end;
  }
}

/** Whether the group at `position` is the seal of the segment. */
export async function isSealedAt(segment: Segment, position: Position): Promise<boolean> {
  const found = await writeGroupAt(new ScanWindow(segment), segment, position);
  return typeof found !== 'number' && found.seal;
}

/**
 * Visits the groups of a segment that has a successor. `until`, from the successor's header, is the end of the last
 * group and the number of the next one. All of it was durable before the successor was created, so any damage is rot
 * (storage/damage-is-refused).
 */
export async function scanSealed(
  segment: Segment,
  from: Position,
  until: { readonly end: number; readonly group: number },
  visit: RecordVisitor,
): Promise<Position> {
  const window = new ScanWindow(segment);
  let position = from;
  while (position.writeGroup < until.group) {
    const found = await writeGroupAt(window, segment, position);
    if (typeof found === 'number') throw corrupt(segment.path, found, 'a record does not verify');
    await visitWriteGroup(window, segment, position.end, found.ends, visit);
    position = after(position, found);
  }
  if (position.end !== until.end || position.writeGroup !== until.group) {
    throw corrupt(segment.path, position.end, `the next segment says that this one ends at ${until.end}`);
  }
  return position;
}

/**
 * Visits the groups of the last segment. Those up to its watermark were durable, so any damage there is refused
 * (storage/damage-is-refused). Above it one group may be torn: it is dropped, that is, not visited, and the position
 * given is the one before it. How far above proves nothing, since a watermark may be late.
 */
export async function scanDroppingTornTail(
  segment: Segment,
  from: Position,
  watermark: Watermark | undefined,
  visit: RecordVisitor,
): Promise<{ readonly position: Position; readonly torn: TornGroup | undefined }> {
  const window = new ScanWindow(segment);
  let position = from;
  for (;;) {
    const found = await writeGroupAt(window, segment, position);
    if (typeof found === 'number') {
      if (watermark !== undefined && position.writeGroup <= watermark.writeGroup) {
        throw corrupt(segment.path, found, 'a record does not verify, and its sync had returned');
      }
      const isTorn = await refuseRot(window, segment, position, found);
      return { position, torn: isTorn ? { path: segment.path, offset: position.end } : undefined };
    }
    if (found.seal) throw corrupt(segment.path, position.end, 'sealed, but the next segment is missing');
    await visitWriteGroup(window, segment, position.end, found.ends, visit);
    const number = position.writeGroup;
    position = after(position, found);
    if (number === watermark?.writeGroup) checkNamed(segment, position, watermark);
  }
}

/** The group before `position` is the one that the watermark names, and no other one of its number. */
function checkNamed({ path }: Segment, position: Position, watermark: Watermark): void {
  if (position.end === watermark.end && position.checksum === watermark.checksum) return;
  throw corrupt(path, position.end, `the watermark names another group, which ends at ${watermark.end}`);
}

/**
 * The group at `position` is missing or not whole: `bad` is its first record that does not verify. A crash leaves that
 * only if no later group was written. A valid record of a later group proves that this one was durable and acknowledged
 * (storage/torn-tail: neither zeros nor garbage end a log that continues).
 * @returns whether there is anything but zeros behind the log: then a group was written, and is torn
 */
async function refuseRot(window: ScanWindow, segment: Segment, position: Position, bad: number): Promise<boolean> {
  // The first group of a segment is durable before the segment gets its name.
  if (position.end === LOG_START) throw corrupt(segment.path, bad, 'the first record does not verify');
  const mark = new Uint8Array(4);
  viewOf(mark).setUint32(0, segment.header.logLow, true);
  let isTorn = false;
  let offset = position.end;
  while (offset < segment.size) {
    const length = Math.min(WINDOW, segment.size - offset);
    const at = await window.at(offset, length);
    if (at < 0) break;
    isTorn ||= !isZero(window.bytes, at, at + length);
    const found = indexOf(window.bytes, mark, at + 4, at + length);
    if (found < 0) {
      if (length < WINDOW) break;
      offset += length - 7; // a header whose mark is cut by the end of the window is looked at again
      continue;
    }
    offset += found - 4 - at;
    const record = await recordAt(window, segment, offset);
    if (record !== undefined && record.writeGroup > position.writeGroup) {
      throw corrupt(segment.path, bad, `a record does not verify, but a later one does (at ${offset})`);
    }
    offset += 1;
  }
  return isTorn;
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

function indexOf(bytes: Uint8Array, mark: Uint8Array, from: number, to: number): number {
  const first = mark[0] as number;
  for (let at = bytes.indexOf(first, from); at >= 0 && at + 4 <= to; at = bytes.indexOf(first, at + 1)) {
    if (bytes[at + 1] === mark[1] && bytes[at + 2] === mark[2] && bytes[at + 3] === mark[3]) return at;
  }
  return -1;
}
