/**
 * Reader and writer for bytes on the wire and on disk. Integers are little-endian base-128 varints in their shortest
 * form; byte strings carry their length before them; text is ASCII. The reader refuses what a writer cannot have
 * written, and allocates no more than the input is long.
 */

/** The bytes are not what a writer of this format produces. The message quotes no part of the input. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** The most bytes that a varint of a safe integer takes. */
export const VARINT_MAX_BYTES = 8;

const LOW_BITS = 2 ** 28;

/**
 * Engines keep arrays of up to so many bytes in their own heap, where making one is quick. A larger array, or a view of
 * a small one, has memory of its own, and making it takes many times as long. So small parts are copied.
 */
const SMALL = 64;
/** Up to so many bytes are copied one by one. */
const FEW = 48;

/** A part of an array, sharing its memory unless it is small. */
export function part(bytes: Uint8Array, from: number, to: number): Uint8Array {
  // A third quicker than `subarray`, which asks for the species; and never a Buffer, whose `slice` does not copy.
  return bytes.length <= SMALL
    ? bytes.slice(from, to)
    : new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}

/** The bytes of a varint of this integer, or a few more. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : VARINT_MAX_BYTES;
}

/** Writes a varint at `at`, where there is room for it. Gives the place behind it. @throws RangeError as `varint` */
function putVarint(buffer: Uint8Array, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a safe integer ≥ 0: ${value}`);
  let end = at;
  let rest = value;
  while (rest >= LOW_BITS) {
    buffer[end++] = rest % 128 | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buffer[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[end] = rest;
  return end + 1;
}

/** Whether two arrays hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Writes into one growing buffer; `finish` gives exactly what was written. */
export class Writer {
  // Its own. TypeScript takes classes of one name with private fields for two where ESM and CommonJS types meet.
  buffer: Uint8Array;
  length = 0;
  readonly capacity: number;

  /** @param capacity bytes to allocate once it is more than a few; a good guess saves copies */
  constructor(capacity = SMALL) {
    this.capacity = capacity;
    this.buffer = new Uint8Array(capacity < SMALL ? capacity : SMALL);
  }

  get size(): number {
    return this.length;
  }

  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.capacity, this.buffer.length * 2));
    larger.set(part(this.buffer, 0, this.length));
    this.buffer = larger;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  /** @param value a safe integer ≥ 0; RangeError otherwise */
  varint(value: number): void {
    this.reserve(VARINT_MAX_BYTES);
    this.length = putVarint(this.buffer, this.length, value);
  }

  /** `head`, then these integers, then the length of `bytes` and `bytes`: as `u8`, `varint` and `bytes` would. */
  record(head: number, a: number, b: number, c: number, d: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const integers = varintBytes(a) + varintBytes(b) + varintBytes(c) + varintBytes(d);
    this.reserve(1 + integers + varintBytes(length) + length);
    const { buffer } = this;
    let at = this.length;
    buffer[at] = head;
    at = putVarint(buffer, at + 1, a);
    at = putVarint(buffer, at, b);
    at = putVarint(buffer, at, c);
    at = putVarint(buffer, at, d);
    at = putVarint(buffer, at, length);
    this.length = at + length;
    if (length > FEW) buffer.set(bytes, at);
    else for (let i = 0; i < length; i++) buffer[at + i] = bytes[i] as number;
  }

  /** The bytes without a length; the reader must know how many there are. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** The length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** The length, then the characters. @throws RangeError on anything but ASCII */
  ascii(text: string): void {
    this.varint(text.length);
    this.reserve(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) throw new RangeError('only ASCII can be written');
      this.buffer[this.length++] = code;
    }
  }

  /** What was written: maybe a view of the writer's buffer, which must not be used afterwards. */
  finish(): Uint8Array {
    return this.length === this.buffer.length ? this.buffer : part(this.buffer, 0, this.length);
  }
}

/** Reads what a `Writer` wrote. Every method throws `Malformed` when the input cannot be that. */
export class Reader {
  // Its own, as in the writer.
  at: number;
  readonly input: Uint8Array;

  constructor(input: Uint8Array, from = 0) {
    this.input = input;
    this.at = from;
  }

  get remaining(): number {
    return this.input.length - this.at;
  }

  u8(): number {
    const value = this.input[this.at];
    if (value === undefined) throw new Malformed('the input ends early');
    this.at++;
    return value;
  }

  /** A safe integer ≥ 0. */
  varint(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    for (let i = 1; i < VARINT_MAX_BYTES; i++) {
      byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0) throw new Malformed('an integer is not in its shortest form');
        if (value > Number.MAX_SAFE_INTEGER) throw new Malformed('an integer is too large');
        return value;
      }
      scale *= 128;
    }
    throw new Malformed('an integer is too long');
  }

  /** A varint that counts things of at least `each` bytes, so that no count allocates more than the input backs. */
  count(each = 1): number {
    const value = this.varint();
    if (value * each > this.remaining) throw new Malformed('a count exceeds the input');
    return value;
  }

  /** A view of the input, `length` bytes long. */
  raw(length: number): Uint8Array {
    if (length > this.remaining) throw new Malformed('the input ends early');
    this.at += length;
    return part(this.input, this.at - length, this.at);
  }

  /** A view of the input, as long as the length before it says. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  /** @param longest the most characters accepted */
  ascii(longest: number): string {
    const length = this.varint();
    if (length > longest) throw new Malformed('a text is too long');
    const bytes = this.raw(length);
    let text = '';
    for (const byte of bytes) {
      if (byte > 0x7f) throw new Malformed('a text is not ASCII');
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** Takes all that remains: a reader of a copy of it, so that what it gives does not retain the input. */
  copied(): Reader {
    const { input, at, remaining } = this;
    const copy = new Uint8Array(remaining);
    if (remaining > SMALL) copy.set(input.subarray(at));
    else for (let i = 0; i < remaining; i++) copy[i] = input[at + i] as number;
    this.at = input.length;
    return new Reader(copy);
  }

  /** Nothing may follow. */
  end(): void {
    if (this.remaining > 0) throw new Malformed('bytes follow the end');
  }
}

/** All of these bytes in one array. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
