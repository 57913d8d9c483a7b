/**
 * The bytes of a segment, format version 2. Integers are little-endian.
 *
 * ```
 * segment = header, zeros up to 4096, slot, slot (4096 each, see watermark.ts), group*, zeros (space got ahead, only
 *           after the last group: storage/zeros-only-at-the-end)
 * header  = magic 8, version u32, header size u32, log u64 (random, its low half not 0), segment u64,
 *           first group u64, where the groups of the segment before end u64, oldest segment in need u64,
 *           0 u32, CRC u32
 * group   = record+, the last one flagged: what one flush wrote, all or nothing
 * record  = CRC u32, mark u32 (low half of log), payload bytes u32, boot u32, group u64,
 *           ordinal in group u16, flags u8, 0 u8, payload
 * payload = op*, see ops.ts
 * ```
 *
 * A record's CRC covers all that follows it and is mixed with segment and offset, so that a record in a wrong place
 * does not verify; log and boot tell it from bytes of an earlier use of the place (storage/bytes-in-their-place).
 * Groups are numbered through all segments, and each is written when the one before is durable: a valid record of a
 * later group proves that the earlier one was durable, so that its damage is rot and not a torn write
 * (storage/torn-tail); so does a watermark. A sealed segment ends with a record flagged `seal`, written when the next
 * segment is durable; if that next segment is missing, it was lost. Version 1 had no slots: its groups followed the
 * header. In every version the first 16 bytes mean the same, and the last four of the first 64 are a CRC.
 */
import { crc32c } from '../../core/crc32c.js';

export const FORMAT_VERSION = 2;
export const HEADER_SIZE = 64;
/** What a disk writes at once: a torn write of one such sector leaves the others as they were. */
export const PHYSICAL_SECTOR = 4096;
/** Where the two slots for watermarks are, each in a sector of its own. */
export const SLOT_OFFSETS = [PHYSICAL_SECTOR, 2 * PHYSICAL_SECTOR] as const;
/** Where the groups of a segment begin. */
export const LOG_START: number = 3 * PHYSICAL_SECTOR;
export const RECORD_HEADER_SIZE = 28;
/** A record is closed when its payload has this many bytes. A read verifies whole records. */
export const RECORD_TARGET = 64 * 1024;
/**
 * The most encoded bytes of one call. It keeps ordinals in 16 bits, offsets in 32, and one write below 2 GiB.
 */
export const BATCH_LIMIT = 512 * 1024 * 1024;

const MAGIC = [0x51, 0x55, 0x4f, 0x52, 0x57, 0x41, 0x4c, 0x0a]; // "QUORWAL\n"
const TWO_32 = 2 ** 32;

/** The flags of a record. */
export const LAST_OF_WRITE_GROUP = 1;
export const SEAL = 2;

export interface SegmentHeader {
  /** The log's random name, two times 32 bits; the low half is not 0. */
  readonly logLow: number;
  readonly logHigh: number;
  readonly segment: number;
  readonly firstWriteGroup: number;
  /** Where the groups of the segment before end; 0 in the first segment. */
  readonly previousEnd: number;
  /** Segments from here on are needed. */
  readonly oldest: number;
}

/** The place of a record and the fields of its header, but for its size. */
export interface RecordPlace {
  readonly header: SegmentHeader;
  /** Where in the segment it begins. */
  readonly offset: number;
  readonly boot: number;
  readonly writeGroup: number;
  readonly ordinal: number;
  readonly flags: number;
}

/** The header of a record. */
export interface RecordHeader {
  readonly payload: number;
  readonly boot: number;
  readonly writeGroup: number;
  readonly ordinal: number;
  readonly flags: number;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

/** @returns NaN for what is no safe integer */
export function getU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high < 2 ** 21 ? high * TWO_32 + view.getUint32(at, true) : Number.NaN;
}

export function segmentName(segment: number): string {
  return `wal-${String(segment).padStart(16, '0')}.log`;
}

/** The number in a segment's name; undefined for any other file. */
export function segmentOf(name: string): number | undefined {
  const match = /^wal-(\d{16})\.log$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function isTemporary(name: string): boolean {
  return /^wal-\d{16}\.log\.tmp$/.test(name);
}

/** The name of a file of zeros: space got ahead for the next segment, and for the next start. */
export function spareName(number: number): string {
  return `wal-spare-${number}`;
}

/** The number in a spare file's name; undefined for any other file. */
export function spareOf(name: string): number | undefined {
  const match = /^wal-spare-(\d+)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = viewOf(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, HEADER_SIZE, true);
  view.setUint32(16, header.logLow, true);
  view.setUint32(20, header.logHigh, true);
  setU64(view, 24, header.segment);
  setU64(view, 32, header.firstWriteGroup);
  setU64(view, 40, header.previousEnd);
  setU64(view, 48, header.oldest);
  view.setUint32(60, crc32c(bytes, 0, 60), true);
  return bytes;
}

/** A header, the version of another format, or undefined for what does not verify. */
export function decodeHeader(bytes: Uint8Array): SegmentHeader | { readonly version: number } | undefined {
  if (bytes.length < HEADER_SIZE || MAGIC.some((byte, at) => bytes[at] !== byte)) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(60, true) !== crc32c(bytes, 0, 60)) return undefined;
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION) return { version };
  return {
    logLow: view.getUint32(16, true),
    logHigh: view.getUint32(20, true),
    segment: getU64(view, 24),
    firstWriteGroup: getU64(view, 32),
    previousEnd: getU64(view, 40),
    oldest: getU64(view, 48),
  };
}

/** The number with which a CRC is mixed. Two places of a log share it with odds of 1 in 2^32. */
export function placeOf(header: SegmentHeader, offset: number): number {
  return (Math.imul(header.segment, 0x9e3779b1) ^ Math.imul(offset, 0x85ebca6b) ^ header.logHigh) | 0;
}

/**
 * Completes the record of `size` bytes, header included, at `at`, to be written at `offset` of the segment.
 */
export function finishRecord(view: DataView, bytes: Uint8Array, at: number, size: number, place: RecordPlace): void {
  view.setUint32(at + 4, place.header.logLow, true);
  view.setUint32(at + 8, size - RECORD_HEADER_SIZE, true);
  view.setUint32(at + 12, place.boot, true);
  setU64(view, at + 16, place.writeGroup);
  view.setUint16(at + 24, place.ordinal, true);
  view.setUint8(at + 26, place.flags);
  view.setUint8(at + 27, 0);
  view.setUint32(at, crc32c(bytes, at + 4, at + size) ^ placeOf(place.header, place.offset), true);
}

/** Reads the header of a record; undefined if it does not carry the log's mark. */
export function peekRecord(view: DataView, at: number, header: SegmentHeader): RecordHeader | undefined {
  if (view.getUint32(at + 4, true) !== header.logLow) return undefined;
  return {
    payload: view.getUint32(at + 8, true),
    boot: view.getUint32(at + 12, true),
    writeGroup: getU64(view, at + 16),
    ordinal: view.getUint16(at + 24, true),
    flags: view.getUint8(at + 26),
  };
}

/**
 * Whether the record of `size` bytes, header included, at `at` is the one written at `offset` of the segment.
 */
export function verifyRecord(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  size: number,
  header: SegmentHeader,
  offset: number,
): boolean {
  return view.getUint32(at, true) === (crc32c(bytes, at + 4, at + size) ^ placeOf(header, offset)) >>> 0;
}
