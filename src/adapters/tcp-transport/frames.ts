/**
 * Messages as frames in a stream of bytes. A frame is at most `FRAME_BYTES` long:
 *
 *     u32  length of the body       u32  its complement       u32  CRC-32C of the body
 *     body: varint group, u8 kind, then by kind
 *     whole   the message
 *     part    u32 length of the message, then its next `PART_BYTES`, or as many as are left
 *     ping    nothing: the receiver answers at once
 *     answer  nothing; the only frame that an acceptor sends
 *
 * An acceptor answers a ping, and from time to time whatever else comes: an answer says that the path is alive in both
 * directions and that the process behind it reads (transport/dead-path). It is the same 14 bytes each time.
 *
 * Integers are little-endian. The group is always 0 in this version. A message that fits goes as a `whole`; a longer
 * one as parts in order, which all name its length. Between two parts come wholes, but no part of another message. The
 * complement protects the length (as in the stored blocks of deflate): with a wrong length the checksum would be
 * compared only after all those bytes had come, which a few heartbeats a second may take hours to bring. TCP's own
 * 16-bit sum misses about one damaged segment in 65536; the checksum costs about 1 ns a byte.
 *
 * Invariants of the parser: a length is checked before anything is allocated for it; of a message in parts only what
 * has come takes memory, and no part is smaller than it must be, so that a message that never ends holds no more than
 * its limit; a byte of a whole is copied at most once; after it has thrown it is not used again.
 */

import { Malformed } from '../../core/bytes.js';
import { crc32c } from '../../core/crc32c.js';

/** The longest frame, its header included: a small message waits for no more than this of a large one. */
export const FRAME_BYTES = 64 * 1024;
export const HEADER_BYTES = 12;
const LARGEST_BODY = FRAME_BYTES - HEADER_BYTES;
const GROUP = 0;
const WHOLE = 0;
const PART = 1;
const PING = 2;
const ANSWER = 3;
/** Group and kind. */
const HEAD_BYTES = 2;
const PART_HEAD_BYTES = HEAD_BYTES + 4;
const WHOLE_CHECKSUM = crc32c(Uint8Array.of(GROUP, WHOLE));
/** The bytes that a whole adds to its message. */
export const WHOLE_OVERHEAD = HEADER_BYTES + HEAD_BYTES;
/** The bytes that a part adds to its piece of a message. */
export const PART_OVERHEAD = HEADER_BYTES + PART_HEAD_BYTES;
/** The longest message that goes as a whole. */
export const LARGEST_WHOLE = FRAME_BYTES - WHOLE_OVERHEAD;
/** How much of a message a part brings, unless it is the last. */
export const PART_BYTES = FRAME_BYTES - PART_OVERHEAD;

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

function writeHeader(target: Uint8Array, at: number, length: number, checksum: number): void {
  putU32(target, at, length);
  putU32(target, at + 4, ~length);
  putU32(target, at + 8, checksum);
}

function emptyFrame(kind: number): Uint8Array {
  const frame = new Uint8Array(WHOLE_OVERHEAD);
  frame[HEADER_BYTES] = GROUP;
  frame[HEADER_BYTES + 1] = kind;
  writeHeader(frame, 0, HEAD_BYTES, crc32c(frame, HEADER_BYTES));
  return frame;
}

/** The frame by which a dialer asks for an answer. Nobody changes it. */
export const PING_FRAME = emptyFrame(PING);
/** The answer to it. Nobody changes it. */
export const ANSWER_FRAME = emptyFrame(ANSWER);

/** Checks that a stream is made of answers alone, whatever the size of its chunks. It holds nothing but a place. */
export class AnswerReader {
  private at = 0;

  /** @throws Malformed */
  push(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) {
      if (chunk[i] !== ANSWER_FRAME[this.at]) throw new Malformed('bytes came where only an answer may come');
      this.at = this.at + 1 === ANSWER_FRAME.length ? 0 : this.at + 1;
    }
  }
}

/** Writes the `WHOLE_OVERHEAD` bytes that precede a message of at most `LARGEST_WHOLE`. */
export function writeWholeHead(target: Uint8Array, at: number, message: Uint8Array): void {
  writeHeader(target, at, message.length + HEAD_BYTES, crc32c(message, 0, message.length, WHOLE_CHECKSUM));
  target[at + HEADER_BYTES] = GROUP;
  target[at + HEADER_BYTES + 1] = WHOLE;
}

/** Writes the `PART_OVERHEAD` bytes that precede the bytes `[from, to)` of a message. */
export function writePartHead(target: Uint8Array, at: number, message: Uint8Array, from: number, to: number): void {
  const head = at + HEADER_BYTES;
  target[head] = GROUP;
  target[head + 1] = PART;
  putU32(target, head + HEAD_BYTES, message.length);
  const checksum = crc32c(message, from, to, crc32c(target, head, head + PART_HEAD_BYTES));
  writeHeader(target, at, to - from + PART_HEAD_BYTES, checksum);
}

/** Splits a stream of bytes, which comes in chunks of any size, into messages. */
export class FrameParser {
  private readonly maxMessageBytes: number;
  private readonly largestBody: number;
  private readonly deliver: (message: Uint8Array) => void;
  private readonly pinged: () => void;
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerFilled = 0;
  /** The body of a frame that did not come in one piece; null while there is none. */
  private body: Uint8Array | null = null;
  private bodyFilled = 0;
  /** The message that comes in parts: its length, what has come, and how many bytes that is; all 0 while none does. */
  private total = 0;
  private pieces: Uint8Array[] = [];
  private joined = 0;

  /**
   * @param maxMessageBytes longer messages are malformed
   * @param deliver gets each message and owns its bytes. It must not throw.
   * @param pinged is called for each ping
   */
  constructor(maxMessageBytes: number, deliver: (message: Uint8Array) => void, pinged: () => void = () => {}) {
    this.maxMessageBytes = maxMessageBytes;
    this.largestBody = Math.min(LARGEST_BODY, maxMessageBytes + HEAD_BYTES);
    this.deliver = deliver;
    this.pinged = pinged;
  }

  /** How many bytes of messages that are not complete it holds: at most the limit of a message and one frame. */
  get held(): number {
    return this.joined + (this.body?.length ?? 0);
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
    if (length < HEAD_BYTES) throw new Malformed('a frame is empty');
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
    const kind = kindOf(chunk, from, to, u32(chunk, at + 8));
    if (kind === WHOLE) this.deliver(ownBytes(chunk, from + HEAD_BYTES, to));
    else if (kind === PART) this.join(chunk, from, to);
    else this.pinged();
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
    const kind = kindOf(body, 0, body.length, u32(this.header, 8));
    this.body = null;
    this.headerFilled = 0;
    if (kind === WHOLE) this.deliver(body.subarray(HEAD_BYTES));
    else if (kind === PART) this.join(body, 0, body.length);
    else this.pinged();
    return end;
  }

  /** Takes the part whose body is `bytes[from, to)`. @throws Malformed */
  private join(bytes: Uint8Array, from: number, to: number): void {
    if (to - from < PART_HEAD_BYTES) throw new Malformed('a part is empty');
    const total = u32(bytes, from + HEAD_BYTES);
    if (this.total === 0) this.total = this.checkedTotal(total);
    else if (total !== this.total) throw new Malformed('a message in parts begins within another');
    const length = to - from - PART_HEAD_BYTES;
    const expected = Math.min(PART_BYTES, total - this.joined);
    if (length !== expected) throw new Malformed(`a part has ${length} bytes, expected ${expected}`);
    this.pieces.push(ownBytes(bytes, from + PART_HEAD_BYTES, to));
    this.joined += length;
    if (this.joined < total) return;
    const message = new Uint8Array(total);
    let at = 0;
    for (const piece of this.pieces) {
      message.set(piece, at);
      at += piece.length;
    }
    this.pieces = [];
    this.total = this.joined = 0;
    this.deliver(message);
  }

  private checkedTotal(total: number): number {
    if (total <= LARGEST_WHOLE) throw new Malformed(`a message of ${total} bytes comes in parts`);
    if (total <= this.maxMessageBytes) return total;
    throw new Malformed(`a message of ${total} bytes exceeds the limit of ${this.maxMessageBytes}`);
  }
}

/**
 * The kind (`WHOLE`, `PART`, `PING`) of the frame whose body is at `[from, to)`, once it is checked. @throws Malformed
 */
function kindOf(bytes: Uint8Array, from: number, to: number, checksum: number): number {
  if (crc32c(bytes, from, to) !== checksum) throw new Malformed('the checksum of a frame does not match');
  if (bytes[from] !== GROUP) throw new Malformed('a frame names an unknown group');
  const kind = bytes[from + 1] as number;
  if (kind > PING) throw new Malformed('a frame is of an unknown kind');
  if (kind === PING && to - from !== HEAD_BYTES) throw new Malformed('a ping is not empty');
  return kind;
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
