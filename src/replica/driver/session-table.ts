/**
 * The request table: which proposals have taken effect, and with what result. It works where entries are applied,
 * from the log alone, so it is the same on every replica at the same index. By it a proposal that stands in the
 * log twice takes effect once (contract, Requests).
 *
 * An origin is one start of one replica; its number is the index of the `open` entry by which it opened itself.
 * The table is bounded: by the number of origins, by the window of each, and by the bytes of results each may
 * hold. Bytes are looked at where the index is a multiple of `CHECK_EVERY`, so that a replica may apply the
 * entries between two such places in one go without knowing their results.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { isReplicaId, type Constants, type ReplicaId } from '../../core/members.js';
import type { Entry, EntryId, Index } from '../../core/protocol.js';

export const CHECK_EVERY = 256;

/** What the state machine made of a command. Primitives stand as they are, everything else is encoded. */
export interface StoredResult {
  /** The machine threw `CommandRejected` (or, by `onApplyError`, anything): `value` is the reason. */
  readonly rejected: boolean;
  readonly value: undefined | null | boolean | number | Uint8Array;
}

/** What an `open` entry says about its origin. */
export interface Opening {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly boot: number;
}

export interface Origin extends Opening {
  readonly number: Index;
  /** The origin waits for no counter below this. */
  readonly lowest: number;
  /** By counter, from `lowest` on: `null` was not met yet, `PENDING` is being applied. */
  readonly results: readonly (StoredResult | null)[];
  readonly bytes: number;
  /** The index of its newest entry. */
  readonly lastIndex: Index;
}

export interface RequestTable {
  readonly origins: readonly Origin[];
}

export const emptyTable: RequestTable = { origins: [] };

/** Stands for the result of a command that was handed to the machine and has not come back yet. */
const PENDING: StoredResult = { rejected: false, value: undefined };
/** What a result costs beside its encoded bytes. */
const RESULT_BYTES = 16;

/** What is to be done with a command: apply it, or not: it was applied before, or can never be again. */
export type Verdict = 'new' | 'known' | 'refused';

export function encodeOpening(opening: Opening): Uint8Array {
  const writer = new Writer(96);
  writer.ascii(opening.id);
  writer.varint(opening.incarnation);
  writer.varint(opening.boot);
  return writer.finish();
}

/** `null` for what `encodeOpening` never wrote: such an entry opens nothing, on every replica. */
export function decodeOpening(data: Uint8Array): Opening | null {
  try {
    const reader = new Reader(data);
    const opening = { id: reader.ascii(64), incarnation: reader.varint(), boot: reader.varint() };
    reader.end();
    return isReplicaId(opening.id) ? opening : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface WorkingOrigin extends Omit<Mutable<Origin>, 'results'> {
  results: (StoredResult | null)[];
}

function sizeOf(result: StoredResult | null): number {
  if (result === null) return 0;
  return result.value instanceof Uint8Array ? RESULT_BYTES + result.value.length : RESULT_BYTES;
}

/** A private copy of the table for a run of entries; `finish` gives the new value. */
export class TableDraft {
  private readonly before: RequestTable;
  private readonly constants: Constants;
  private origins: Origin[] | null = null;
  private readonly working = new Map<number, WorkingOrigin>();

  constructor(table: RequestTable, constants: Constants) {
    this.before = table;
    this.constants = constants;
  }

  private get all(): readonly Origin[] {
    return this.origins ?? this.before.origins;
  }

  private edit(number: number): WorkingOrigin | undefined {
    const known = this.working.get(number);
    if (known !== undefined) return known;
    const origin = this.all.find((each) => each.number === number);
    if (origin === undefined) return undefined;
    const copy: WorkingOrigin = { ...origin, results: origin.results.slice() };
    this.origins = this.all.map((each) => (each === origin ? copy : each));
    this.working.set(number, copy);
    return copy;
  }

  private remove(ends: (origin: Origin) => boolean): void {
    if (!this.all.some(ends)) return;
    for (const origin of this.all) if (ends(origin)) this.working.delete(origin.number);
    this.origins = this.all.filter((origin) => !ends(origin));
  }

  has(number: number): boolean {
    return this.all.some((origin) => origin.number === number);
  }

  /**
   * Applies an `open` entry. Gives the number of its origin, which is an earlier one's when it was opened before;
   * 0 when it opens nothing, since a later start of the same replica has opened already.
   */
  open(opening: Opening, index: Index): number {
    const same = this.all.find((origin) => origin.id === opening.id && origin.incarnation === opening.incarnation);
    if (same !== undefined && same.boot > opening.boot) return 0;
    if (same !== undefined && same.boot === opening.boot) return same.number;
    this.remove((origin) => origin.id === opening.id);
    const fresh = { ...opening, number: index, lowest: 1, results: [], bytes: 0, lastIndex: index };
    this.origins = [...this.all, fresh];
    if (this.origins.length > this.constants.origins) this.dropOldest(index);
    return index;
  }

  private dropOldest(spared: number): void {
    let oldest: Origin | undefined;
    for (const origin of this.all) {
      if (origin.number !== spared && (oldest === undefined || origin.lastIndex < oldest.lastIndex)) oldest = origin;
    }
    this.remove((origin) => origin === oldest);
  }

  /** Where `index` is a multiple of `CHECK_EVERY`, before its entry: drops origins that hold too many bytes. */
  check(index: Index): void {
    if (index % CHECK_EVERY === 0) this.remove((origin) => origin.bytes > this.constants.originBytes);
  }

  /** What to do with a command; a new one is noted, and `record` must follow. */
  admit(entry: Entry): Verdict {
    const id = entry.id as EntryId;
    const origin = this.edit(id.origin);
    if (origin === undefined || id.counter < origin.lowest || id.lowest > id.counter) return 'refused';
    origin.lastIndex = entry.index;
    if (id.lowest > origin.lowest) this.raise(origin, id.lowest);
    const at = id.counter - origin.lowest;
    if (at >= this.constants.requestWindow) return 'refused';
    if ((origin.results[at] ?? null) !== null) return 'known';
    while (origin.results.length <= at) origin.results.push(null);
    origin.results[at] = PENDING;
    origin.bytes += sizeOf(PENDING);
    return 'new';
  }

  private raise(origin: WorkingOrigin, lowest: number): void {
    const gone = origin.results.splice(0, lowest - origin.lowest);
    for (const result of gone) origin.bytes -= sizeOf(result);
    origin.lowest = lowest;
  }

  /** Keeps the result of a command that was `new`; one that nobody waits for any more is not kept. */
  record(id: EntryId, result: StoredResult): void {
    const origin = this.edit(id.origin);
    if (origin === undefined || id.counter < origin.lowest) return;
    const at = id.counter - origin.lowest;
    origin.bytes += sizeOf(result) - sizeOf(origin.results[at] ?? null);
    origin.results[at] = result;
  }

  finish(): RequestTable {
    return this.origins === null ? this.before : { origins: this.origins };
  }
}
