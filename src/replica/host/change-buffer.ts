/**
 * The last applied commands with their results, as bytes, for the question: what was applied from this index on?
 *
 * They are packed into chunks one behind the other, so that a command that is applied costs the copy of its bytes and
 * no object, and a chunk that is no longer needed becomes the next one. A change in a chunk is its header (index,
 * lengths of command and result, kind of the result, log time), the command and the result. No change lies in two
 * chunks; a large one has a chunk of its own.
 *
 * Invariant: what is kept is the longest run of changes up to the newest one that takes no more than `limit` bytes. So
 * everything applied above `trimmed` is kept, and nothing at or below it.
 */

import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { StoredResult } from '../driver/session-table.js';

/** Bytes of a change beside its command and its result. */
export const HEADER = 28;
const CHUNK = 64 * 1024;
/** What leaves at most a quarter of a chunk empty. */
const SMALL = CHUNK / 4;
/** Up to so many bytes a loop copies faster than a call. */
const FEW = 32;

// The kind of a result: one of VALUES, of a number, or of bytes, and two flags.
const VALUES = [undefined, null, false, true] as const;
const NUMBER = 4;
const BYTES = 5;
const REJECTED = 8;
const THREW = 16;

interface ChangeChunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the oldest change that is kept begins, and where the newest ends. */
  start: number;
  end: number;
  next: ChangeChunk | null;
  dropped: boolean;
}

/** A change as it is kept. The command is a view that is good until the next change is added. */
export interface KeptChange {
  readonly index: Index;
  /** Log time. */
  readonly time: Milliseconds;
  readonly command: Uint8Array;
  readonly result: StoredResult;
}

/** The place of one consumer. It keeps no more than the chunk in which it stands. */
export interface ChangeCursor {
  /** The consumer has all below this index. */
  from: Index;
  chunk: ChangeChunk | null;
  /** In the chunk, behind what was read last. */
  at: number;
}

function sizeOf(value: StoredResult['value']): number {
  if (value instanceof Uint8Array) return value.length;
  return typeof value === 'number' ? 8 : 0;
}

function kindOf({ value, rejected, threw }: StoredResult): number {
  const flags = (rejected ? REJECTED : 0) | (threw === true ? THREW : 0);
  if (value instanceof Uint8Array) return flags | BYTES;
  return flags | (typeof value === 'number' ? NUMBER : VALUES.indexOf(value));
}

function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  if (from.length > FEW) to.set(from, at);
  else for (let i = 0; i < from.length; i++) to[at + i] = from[i] as number;
}

export class ChangeBuffer {
  private readonly limit: number;
  private bytes = 0;
  private oldest: ChangeChunk | null = null;
  private newest: ChangeChunk | null = null;
  /** A chunk of the usual size that was dropped. */
  private spare: ChangeChunk | null = null;
  private droppedThrough: Index = 0;
  private addedThrough: Index = 0;

  /** @param limit in bytes, headers included; 0 keeps nothing */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** The index of the newest change that is no longer kept; 0 if all are. */
  get trimmed(): Index {
    return this.droppedThrough;
  }

  /** The index of the newest change; 0 if there was none. */
  get last(): Index {
    return this.addedThrough;
  }

  /** Everything up to `index` was applied elsewhere: it is not kept, nor is anything before it. */
  skipTo(index: Index): void {
    this.drop(Infinity);
    this.addedThrough = this.droppedThrough = index;
  }

  /** These commands were applied, in order, with these results. There may be more commands than results. */
  add(commands: readonly Entry[], results: readonly StoredResult[]): void {
    for (let i = 0; i < results.length; i++) this.addOne(commands[i] as Entry, results[i] as StoredResult);
  }

  private addOne({ index, time, data }: Entry, result: StoredResult): void {
    const resultSize = sizeOf(result.value);
    const size = HEADER + data.length + resultSize;
    this.addedThrough = index;
    if (size > this.limit) return this.drop(Infinity);
    const chunk = this.chunkFor(size);
    const { bytes, view, end } = chunk;
    view.setFloat64(end, index);
    view.setUint32(end + 8, data.length);
    view.setUint32(end + 12, resultSize);
    view.setUint32(end + 16, kindOf(result));
    view.setFloat64(end + 20, time);
    copy(data, bytes, end + HEADER);
    const at = end + HEADER + data.length;
    if (result.value instanceof Uint8Array) copy(result.value, bytes, at);
    else if (resultSize > 0) view.setFloat64(at, result.value as number);
    chunk.end = end + size;
    this.bytes += size;
    if (this.bytes > this.limit) this.drop(this.bytes - this.limit);
  }

  private chunkFor(size: number): ChangeChunk {
    const { newest, spare } = this;
    if (newest !== null && newest.bytes.length - newest.end >= size) return newest;
    const isReused = spare !== null && size <= SMALL;
    const bytes = isReused ? spare.bytes : new Uint8Array(size > SMALL ? size : CHUNK);
    const view = isReused ? spare.view : new DataView(bytes.buffer);
    if (isReused) this.spare = null;
    // A new object also where the bytes are reused: a consumer may stand in the old one.
    const chunk: ChangeChunk = { bytes, view, start: 0, end: 0, next: null, dropped: false };
    if (newest === null) this.oldest = chunk;
    else newest.next = chunk;
    this.newest = chunk;
    return chunk;
  }

  /** Drops the oldest changes until so many bytes, or all, are free. */
  private drop(excess: number): void {
    let chunk = this.oldest;
    while (chunk !== null && excess > 0) {
      const { view, start } = chunk;
      const size = HEADER + view.getUint32(start + 8) + view.getUint32(start + 12);
      this.droppedThrough = view.getFloat64(start);
      this.bytes -= size;
      excess -= size;
      chunk.start += size;
      if (chunk.start === chunk.end) chunk = this.dropChunk(chunk);
    }
    // What was too large to be kept was dropped, too.
    if (this.bytes === 0) this.droppedThrough = this.addedThrough;
  }

  private dropChunk(chunk: ChangeChunk): ChangeChunk | null {
    const { next } = chunk;
    chunk.dropped = true;
    chunk.next = null;
    if (chunk.bytes.length === CHUNK) this.spare = chunk;
    this.oldest = next;
    if (next === null) this.newest = null;
    return next;
  }

  /**
   * The first change from the cursor on, behind which the cursor stands then; `null` while there is none. What the
   * cursor asks for must not be trimmed.
   */
  read(cursor: ChangeCursor): KeptChange | null {
    if (this.addedThrough < cursor.from) return null;
    const chunk = this.seek(cursor);
    const { bytes, view } = chunk;
    const { at } = cursor;
    const index = view.getFloat64(at);
    const commandEnd = at + HEADER + view.getUint32(at + 8);
    const end = commandEnd + view.getUint32(at + 12);
    const kind = view.getUint32(at + 16);
    cursor.from = index + 1;
    cursor.at = end;
    const command = bytes.subarray(at + HEADER, commandEnd);
    return { index, time: view.getFloat64(at + 20), command, result: resultAt(chunk, commandEnd, end, kind) };
  }

  /** Moves the cursor to the first change from its index on, of which there is one. */
  private seek(cursor: ChangeCursor): ChangeChunk {
    let chunk = cursor.chunk;
    if (chunk === null || chunk.dropped) {
      chunk = this.oldest as ChangeChunk;
      cursor.at = chunk.start;
    }
    for (;;) {
      if (cursor.at === chunk.end) {
        chunk = chunk.next as ChangeChunk;
        cursor.at = chunk.start;
      }
      const { view } = chunk;
      if (view.getFloat64(cursor.at) >= cursor.from) break;
      cursor.at += HEADER + view.getUint32(cursor.at + 8) + view.getUint32(cursor.at + 12);
    }
    cursor.chunk = chunk;
    return chunk;
  }
}

function resultAt({ bytes, view }: ChangeChunk, from: number, to: number, kind: number): StoredResult {
  const rejected = (kind & REJECTED) !== 0;
  const threw = (kind & THREW) !== 0;
  const type = kind & (REJECTED - 1);
  if (type === BYTES) return { rejected, threw, value: bytes.subarray(from, to) };
  return { rejected, threw, value: type === NUMBER ? view.getFloat64(from) : VALUES[type] };
}
