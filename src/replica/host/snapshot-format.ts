/**
 * The bytes of a snapshot's file, format version 1. Integers are little-endian.
 *
 * ```
 * file   = piece(header) piece(the driver's part)* piece(of the machine)* end
 * piece  = payload bytes u32 (1 to 2^20), CRC-32C of the payload u32, payload
 * end    = 0 u32, CRC-32C of all bytes before u32
 * header = version u8, form u8, cluster, protocol, index, term, bytes of the driver's part (see core/bytes.ts)
 * ```
 *
 * The checksum by which the persist lane names a snapshot is that of the end. So every byte is verified by its piece
 * and once more by the end, and a file that was cut short has no end.
 */

import { Malformed, Reader, Writer, joined } from '../../core/bytes.js';
import { crc32c, crc32cOfBoth } from '../../core/crc32c.js';
import type { Index, Term } from '../../core/protocol.js';
import { corrupt, type ConsensusError } from '../errors.js';

const VERSION = 1;
/** The most bytes of a payload. */
export const MOST_PAYLOAD = 1024 * 1024;
const FRAME = 8;
/** Bytes that are written or read at once, where a payload is not larger. */
const BLOCK = 256 * 1024;

/** `value`: the machine's part is one encoded value. `stream`: it is chunks that the machine gave. */
export type SnapshotForm = 'value' | 'stream';
const FORMS: readonly SnapshotForm[] = ['value', 'stream'];

/** What stands before the machine's part. */
export interface SnapshotHeader {
  readonly form: SnapshotForm;
  readonly cluster: string;
  readonly protocol: string;
  readonly index: Index;
  readonly term: Term;
  /** The bytes of the driver's part. */
  readonly partBytes: number;
}

export function encodeSnapshotHeader(header: SnapshotHeader): Uint8Array {
  const { form, cluster, protocol, index, term, partBytes } = header;
  const writer = new Writer(256);
  writer.u8(VERSION);
  writer.u8(FORMS.indexOf(form));
  writer.ascii(cluster);
  writer.ascii(protocol);
  for (const field of [index, term, partBytes]) writer.varint(field);
  return writer.finish();
}

/** @throws Malformed */
export function decodeSnapshotHeader(bytes: Uint8Array): SnapshotHeader {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('the snapshot is of an unknown version');
  const form = FORMS[reader.u8()];
  if (form === undefined) throw new Malformed('the snapshot is of an unknown form');
  const [cluster, protocol] = [reader.ascii(128), reader.ascii(64)];
  const [index, term] = [reader.varint(), reader.varint()];
  const header = { form, cluster, protocol, index, term, partBytes: reader.varint() };
  reader.end();
  return header;
}

/** Makes the bytes of a file, in blocks that are written at once: so small payloads cost no write of their own. */
export class SnapshotFramer {
  checksum = 0;
  size = 0;
  private block = new Uint8Array(BLOCK);
  private used = 0;

  /** Takes a payload, which becomes pieces, none if it is empty. Gives the blocks that are complete. */
  *take(payload: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < payload.length; at += MOST_PAYLOAD) {
      const part = payload.subarray(at, at + MOST_PAYLOAD);
      yield* this.room(FRAME + part.length);
      const crc = crc32c(part);
      const frame = this.frame(part.length, crc);
      this.block.set(part, this.used);
      this.used += part.length;
      this.size += part.length;
      this.checksum = crc32cOfBoth(crc32c(frame, 0, FRAME, this.checksum), crc, part.length);
    }
  }

  /** The last blocks; `checksum` is then that of the snapshot. */
  *end(): Generator<Uint8Array> {
    yield* this.room(FRAME);
    this.frame(0, this.checksum);
    yield this.block.subarray(0, this.used);
  }

  /** The block has room for so many bytes more. */
  private *room(bytes: number): Generator<Uint8Array> {
    if (this.used + bytes <= this.block.length) return;
    if (this.used > 0) yield this.block.subarray(0, this.used);
    this.block = new Uint8Array(Math.max(BLOCK, bytes));
    this.used = 0;
  }

  private frame(length: number, crc: number): Uint8Array {
    const view = new DataView(this.block.buffer, this.used, FRAME);
    view.setUint32(0, length, true);
    view.setUint32(4, crc, true);
    this.used += FRAME;
    this.size += FRAME;
    return this.block.subarray(this.used - FRAME, this.used);
  }
}

/** Reads a part of the file. Gives fewer bytes than asked for only at the end of the file. */
export type SnapshotReader = (offset: number, maxBytes: number) => Promise<Uint8Array>;

/** The error of a snapshot that does not verify. */
export function corruptSnapshot(file: string, offset: number, what: string): ConsensusError {
  return corrupt(`the snapshot ${file}`, offset, what);
}

/** A file that is read from its beginning to its end, with every piece verified. */
export class SnapshotScan {
  /** Of what was read so far. */
  checksum = 0;
  private readonly file: string;
  private readonly read: SnapshotReader;
  private block = new Uint8Array(0);
  private at = 0;
  /** The place of the block in the file. */
  private offset = 0;

  constructor(file: string, read: SnapshotReader) {
    this.file = file;
    this.read = read;
  }

  /** Where the next piece begins. */
  get position(): number {
    return this.offset + this.at;
  }

  /** The next payload; `null` at the end, which is verified, and with which the file must end. */
  async next(): Promise<Uint8Array | null> {
    const place = this.position;
    const frame = (await this.take(FRAME)).slice();
    const view = new DataView(frame.buffer);
    const [length, crc] = [view.getUint32(0, true), view.getUint32(4, true)];
    if (length > MOST_PAYLOAD) throw corruptSnapshot(this.file, place, 'a piece has no length that can be');
    if (length === 0) {
      if (crc !== this.checksum) throw corruptSnapshot(this.file, place, 'the checksum of the whole does not fit');
      if ((await this.read(this.position, 1)).length > 0) throw corruptSnapshot(this.file, this.position, 'it goes on');
      return null;
    }
    const payload = await this.take(length);
    if (crc32c(payload) !== crc) throw corruptSnapshot(this.file, place, 'a checksum does not fit');
    this.checksum = crc32cOfBoth(crc32c(frame, 0, FRAME, this.checksum), crc, length);
    return payload;
  }

  /** The next bytes, so many of them. */
  private async take(length: number): Promise<Uint8Array> {
    if (this.block.length - this.at < length) await this.refill(length);
    this.at += length;
    return this.block.subarray(this.at - length, this.at);
  }

  private async refill(length: number): Promise<void> {
    const rest = this.block.subarray(this.at);
    const wanted = Math.max(BLOCK, length) - rest.length;
    const more = await this.read(this.position + rest.length, wanted);
    if (rest.length + more.length < length) {
      throw corruptSnapshot(this.file, this.position + rest.length + more.length, 'it was cut short');
    }
    const block = new Uint8Array(rest.length + more.length);
    block.set(rest);
    block.set(more, rest.length);
    this.offset += this.at;
    this.at = 0;
    this.block = block;
  }
}

/** The header and the driver's part, with which a snapshot begins. @throws ConsensusError ERR_STORAGE_CORRUPT */
export async function readBeginning(
  file: string,
  scan: SnapshotScan,
): Promise<{ readonly header: SnapshotHeader; readonly part: Uint8Array }> {
  const first = await scan.next();
  if (first === null) throw corruptSnapshot(file, 0, 'it is empty');
  let header: SnapshotHeader;
  try {
    header = decodeSnapshotHeader(first);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw corruptSnapshot(file, 0, error.message);
  }
  const pieces: Uint8Array[] = [];
  let missing = header.partBytes;
  while (missing > 0) {
    const place = scan.position;
    const payload = await scan.next();
    if (payload === null || payload.length > missing) {
      throw corruptSnapshot(file, place, "the driver's part is not as long as it says");
    }
    pieces.push(payload.slice());
    missing -= payload.length;
  }
  return { header, part: joined(pieces) };
}
