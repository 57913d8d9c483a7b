/**
 * The encoder of a write group: the operations of one or more calls, encoded into one buffer as they come and cut into
 * records (see format.ts). The callers' bytes are copied once, here. `finish` fills in the headers when the place in
 * the segment is known. Consecutive entries of one term become one run, also across calls.
 */
import type { StorageOp, StoredEntry } from '../../replica/storage.js';
import { finishRecord, LAST_OF_WRITE_GROUP, RECORD_HEADER_SIZE, RECORD_TARGET, setU64, viewOf } from './format.js';
import type { SegmentHeader } from './format.js';
import type { OpVisitor } from './ops.js';
import {
  BOOT,
  BOOT_SIZE,
  ITEM_HEAD,
  RUN,
  RUN_HEAD,
  SET,
  SET_HEAD,
  TRIM,
  TRUNCATE,
  TRUNCATE_SIZE,
  walkOps,
} from './ops.js';

const FIRST_CAPACITY = 128 * 1024;
/** A buffer larger than this is not kept after use. */
const KEPT_CAPACITY = 8 * 1024 * 1024;

/** A caller whose operations are in the group. */
export interface WriteWaiter {
  resolve(): void;
  reject(error: Error): void;
}

const encoder = new TextEncoder();

function trimOnly(ops: readonly StorageOp[]): boolean {
  return ops.some(({ kind }) => kind === 'trim') && ops.every(({ kind }) => kind === 'trim' || kind === 'set');
}

/** An upper bound of the encoded bytes of one call's operations. */
export function encodedBound(ops: readonly StorageOp[]): number {
  let bound = 0;
  for (const op of ops) {
    bound += RECORD_HEADER_SIZE + RUN_HEAD;
    if (op.kind === 'set') bound += 3 * op.key.length + op.value.length;
    if (op.kind === 'put') for (const entry of op.entries) bound += entry.data.length + ITEM_HEAD + RUN_HEAD;
  }
  return bound;
}

/**
 * Whether a later group may be written before an earlier one, since their order makes no difference: it only trims and
 * sets values, others than the earlier one sets, and nothing that it trims is put there.
 */
export function mayPass(later: WriteGroup, earlier: WriteGroup): boolean {
  if (!later.trimsOnly) return false;
  const keys = new Set<string>();
  let trimmed = 0;
  later.walk({ set: (key) => keys.add(key), trim: (through) => (trimmed = Math.max(trimmed, through)) });
  let agrees = true;
  const set = (key: string): void => void (agrees &&= !keys.has(key));
  const run = (first: number): void => void (agrees &&= first > trimmed);
  earlier.walk({ set, run });
  return agrees;
}

export class WriteGroup {
  bytes = new Uint8Array(FIRST_CAPACITY);
  view = viewOf(this.bytes);
  length = 0;
  /** The offset in the buffer at which each record begins. */
  readonly records: number[] = [];
  readonly waiters: WriteWaiter[] = [];
  /** Whether it trims, and beside that sets values at most. */
  trimsOnly = false;
  /** The offset of the open run; 0 if there is none, since a record's header comes first. */
  private run = 0;
  private runCount = 0;
  private runNext = 0;
  private runTerm = 0;

  clear(): void {
    this.length = 0;
    this.records.length = 0;
    this.waiters.length = 0;
    this.run = 0;
    this.trimsOnly = false;
    if (this.bytes.length <= KEPT_CAPACITY) return;
    this.bytes = new Uint8Array(FIRST_CAPACITY);
    this.view = viewOf(this.bytes);
  }

  /** The operations must have passed `checkOps`. */
  add(ops: readonly StorageOp[]): void {
    const wasEmpty = this.records.length === 0;
    if (wasEmpty) this.openRecord();
    this.trimsOnly = (wasEmpty || this.trimsOnly) && trimOnly(ops);
    for (const op of ops) {
      if (op.kind === 'set') this.addSet(op.key, op.value);
      else if (op.kind === 'truncate') this.addPlace(TRUNCATE, op.from);
      else if (op.kind === 'trim') this.addPlace(TRIM, op.through);
      else for (const entry of op.entries) this.addEntry(entry);
    }
  }

  /** Walks over its operations, in order. */
  walk(visitor: OpVisitor): void {
    for (const [ordinal, at] of this.records.entries()) {
      walkOps(this.bytes, this.view, at + RECORD_HEADER_SIZE, this.records[ordinal + 1] ?? this.length, visitor);
    }
  }

  addSet(key: string, value: Uint8Array): void {
    const name = encoder.encode(key);
    const at = this.make(SET_HEAD + name.length + value.length);
    this.bytes[at] = SET;
    this.view.setUint32(at + 1, name.length, true);
    this.view.setUint32(at + 5, value.length, true);
    this.bytes.set(name, at + SET_HEAD);
    this.bytes.set(value, at + SET_HEAD + name.length);
  }

  addBoot(boot: number): void {
    const at = this.make(BOOT_SIZE);
    this.bytes[at] = BOOT;
    this.view.setUint32(at + 1, boot, true);
  }

  /** A truncate or a trim, which have the same size. */
  private addPlace(kind: number, index: number): void {
    const at = this.make(TRUNCATE_SIZE);
    this.bytes[at] = kind;
    setU64(this.view, at + 1, index);
  }

  private addEntry(entry: StoredEntry): void {
    const { data } = entry;
    const size = ITEM_HEAD + data.length;
    if (!this.continues(entry, size)) this.openRun(entry, size);
    this.reserve(size);
    const at = this.length;
    this.view.setUint32(at, data.length, true);
    this.bytes.set(data, at + ITEM_HEAD);
    this.length = at + size;
    this.runNext = entry.index + 1;
    this.view.setUint32(this.run + 1, ++this.runCount, true);
    this.view.setUint32(this.run + 5, this.length - this.run - RUN_HEAD, true);
  }

  private continues(entry: StoredEntry, size: number): boolean {
    return this.run !== 0 && entry.index === this.runNext && entry.term === this.runTerm && this.fits(size);
  }

  private openRun(entry: StoredEntry, size: number): void {
    // The first item goes into the record of its run's head, even if the record then exceeds its target size.
    const at = this.make(RUN_HEAD, size);
    this.bytes[at] = RUN;
    setU64(this.view, at + 9, entry.index);
    setU64(this.view, at + 17, entry.term);
    this.run = at;
    this.runCount = 0;
    this.runTerm = entry.term;
  }

  private fits(size: number): boolean {
    const record = this.records[this.records.length - 1] as number;
    return this.length + size - record <= RECORD_TARGET;
  }

  /**
   * Makes room for an operation of `size` bytes, in a new record if the open one would get too large with `more` bytes.
   */
  private make(size: number, more = 0): number {
    this.run = 0;
    const record = this.records[this.records.length - 1];
    const empty = record !== undefined && this.length === record + RECORD_HEADER_SIZE;
    if (record === undefined || (!empty && !this.fits(size + more))) this.openRecord();
    this.reserve(size);
    const at = this.length;
    this.length += size;
    return at;
  }

  private openRecord(): void {
    this.reserve(RECORD_HEADER_SIZE);
    this.records.push(this.length);
    this.length += RECORD_HEADER_SIZE;
    this.run = 0;
  }

  private reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = viewOf(larger);
  }

  /**
   * Completes the headers of all records for `offset` of the segment. A group without operations is one empty record.
   */
  finish(header: SegmentHeader, offset: number, boot: number, writeGroup: number, flags = 0): void {
    if (this.records.length === 0) this.openRecord();
    const last = this.records.length - 1;
    for (let ordinal = 0; ordinal <= last; ordinal++) {
      const at = this.records[ordinal] as number;
      const size = (this.records[ordinal + 1] ?? this.length) - at;
      finishRecord(this.view, this.bytes, at, size, {
        header,
        offset: offset + at,
        boot,
        writeGroup,
        ordinal,
        flags: ordinal === last ? flags | LAST_OF_WRITE_GROUP : 0,
      });
    }
  }
}
