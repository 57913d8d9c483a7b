/**
 * Messages as frames in a stream of bytes:
 *
 *     u32  length of the body       u32  its complement       u32  CRC-32C of the body
 *     body: varint group, then the message
 *
 * Integers are little-endian. The group is always 0 in this version. The complement protects the length (as in the
 * stored blocks of deflate): with a wrong length the checksum would be compared only after all those bytes had come,
 * which a few heartbeats a second may take hours to bring. TCP's own 16-bit sum misses about one damaged segment in
 * 65536; the checksum costs about 1 ns a byte.
 *
 * Invariants of the parser: a length is checked before anything is allocated for it; a byte is copied
 * at most once; after it has thrown it is not used again.
 */

import { Malformed } from '../../core/bytes.js';
import { crc32c } from '../crc32c.js';

export const HEADER_BYTES = 12;
const GROUP = 0;
const GROUP_BYTES = 1;
const GROUP_CHECKSUM = crc32c(Uint8Array.of(GROUP));
/** The bytes that a frame adds to its message. */
export const FRAME_OVERHEAD = HEADER_BYTES + GROUP_BYTES;

function putU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

/** `bytes` has four bytes from `at` on. */
function u32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
  return (low | ((bytes[at + 3] as number) << 24)) >>> 0;
}

/** Writes the `FRAME_OVERHEAD` bytes of a frame that precede its message. */
export function writeFrameHead(target: Uint8Array, at: number, message: Uint8Array): void {
  const length = message.length + GROUP_BYTES;
  putU32(target, at, length);
  putU32(target, at + 4, ~length);
  putU32(target, at + 8, crc32c(message, 0, message.length, GROUP_CHECKSUM));
  target[at + HEADER_BYTES] = GROUP;
}

/** Splits a stream of bytes, which comes in chunks of any size, into messages. */
export class FrameParser {
  private readonly largestBody: number;
  private readonly deliver: (message: Uint8Array) => void;
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerFilled = 0;
  /** The body of a frame that did not come in one piece; null while there is none. */
  private body: Uint8Array | null = null;
  private bodyFilled = 0;

  /**
   * @param maxMessageBytes longer messages are malformed
   * @param deliver gets each message and owns its bytes. It must not throw.
   */
  constructor(maxMessageBytes: number, deliver: (message: Uint8Array) => void) {
    this.largestBody = maxMessageBytes + GROUP_BYTES;
    this.deliver = deliver;
  }

  /** Takes the next bytes of the stream, which must not change afterwards. @throws Malformed */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.body !== null) at = this.fillBody(this.body, chunk, at);
      else if (this.headerFilled > 0 || chunk.length - at < HEADER_BYTES) at = this.fillHeader(chunk, at);
      else at = this.takeFrame(chunk, at);
    }
  }

  /** Length of the body, checked. */
  private lengthIn(bytes: Uint8Array, at: number): number {
    const length = u32(bytes, at);
    if (u32(bytes, at + 4) !== ~length >>> 0) throw new Malformed('the length of a frame is damaged');
    if (length < GROUP_BYTES) throw new Malformed('a frame is empty');
    if (length > this.largestBody) {
      throw new Malformed(`a frame of ${length} bytes exceeds the limit of ${this.largestBody}`);
    }
    return length;
  }

  /** A header, and its whole body if it is there: the usual case, taken from the chunk where it lies. */
  private takeFrame(chunk: Uint8Array, at: number): number {
    const length = this.lengthIn(chunk, at);
    const from = at + HEADER_BYTES;
    const to = from + length;
    if (to > chunk.length) {
      this.header.set(chunk.subarray(at, from));
      return this.begin(length, from);
    }
    check(chunk, from, to, u32(chunk, at + 8));
    this.deliver(ownBytes(chunk, from + GROUP_BYTES, to));
    return to;
  }

  private begin(length: number, next: number): number {
    this.headerFilled = HEADER_BYTES;
    this.body = new Uint8Array(length);
    this.bodyFilled = 0;
    return next;
  }

  private fillHeader(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + HEADER_BYTES - this.headerFilled);
    this.header.set(chunk.subarray(at, end), this.headerFilled);
    this.headerFilled += end - at;
    return this.headerFilled < HEADER_BYTES ? end : this.begin(this.lengthIn(this.header, 0), end);
  }

  private fillBody(body: Uint8Array, chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + body.length - this.bodyFilled);
    body.set(chunk.subarray(at, end), this.bodyFilled);
    this.bodyFilled += end - at;
    if (this.bodyFilled < body.length) return end;
    check(body, 0, body.length, u32(this.header, 8));
    this.body = null;
    this.headerFilled = 0;
    this.deliver(body.subarray(GROUP_BYTES));
    return end;
  }
}

/** Checks the body at `[from, to)`: its checksum, and that its group is 0. @throws Malformed */
function check(bytes: Uint8Array, from: number, to: number, checksum: number): void {
  if (crc32c(bytes, from, to) !== checksum) throw new Malformed('the checksum of a frame does not match');
  if (bytes[from] !== GROUP) throw new Malformed('a frame names an unknown group');
}

/**
 * The bytes for the receiver to keep: a view of the chunk if they are at least half of the memory that the view would
 * keep alive, else a copy. It is always a plain Uint8Array, since the `slice` of a Buffer does not copy.
 */
function ownBytes(chunk: Uint8Array, from: number, to: number): Uint8Array {
  const length = to - from;
  const { buffer, byteOffset } = chunk;
  if (2 * length >= buffer.byteLength) return new Uint8Array(buffer, byteOffset + from, length);
  const copy = new Uint8Array(length);
  // A loop beats subarray + set for the small messages that make up nearly all traffic.
  if (length > 64) copy.set(chunk.subarray(from, to));
  else for (let at = 0; at < length; at++) copy[at] = chunk[from + at] as number;
  return copy;
}
