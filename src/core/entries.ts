/** Comparing, sizing and finding entries, in one way for the log, both protocols and the rig. */

import { sameBytes } from './bytes.js';
import type { Entry, EntryId, EntryKind, Index, Milliseconds, Term } from './protocol.js';

const NO_DATA = new Uint8Array(0);

/** No stamp is higher, so that differences of stamps, written with their sign, are safe integers. */
export const MAX_TIME = 2 ** 52 - 1;

/** The bytes that an entry takes beside its data, roughly, wherever bytes are bounded. */
const ENTRY_OVERHEAD = 48;

/** The size of an entry wherever bytes are bounded. */
export function entryBytes(entry: Pick<Entry, 'data'>): number {
  return entry.data.length + ENTRY_OVERHEAD;
}

/** @see entryBytes */
export function bytesOf(entries: readonly Pick<Entry, 'data'>[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += (entries[i] as Pick<Entry, 'data'>).data.length;
  return bytes + entries.length * ENTRY_OVERHEAD;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * A constructor of plain objects. Entries and ids are made by one, not by literals: once what a literal made has
 * outlived some collections, V8 makes all that follow among the old objects, for ever. Entries die young, and there
 * they wait for a look at the whole heap: after a time of single commands, batches took twice as long.
 */
function plainBy<F extends unknown[], T>(make: (this: Writable<T>, ...fields: F) => void): new (...fields: F) => T {
  make.prototype = Object.prototype;
  return make as unknown as new (...fields: F) => T;
}

/** `new PlainEntry(...)` makes an entry. */
export const PlainEntry = /* @__PURE__ */ plainBy(function (
  this: Writable<Entry>,
  index: Index,
  term: Term,
  kind: EntryKind,
  time: Milliseconds,
  id: EntryId | null,
  data: Uint8Array,
) {
  this.index = index;
  this.term = term;
  this.kind = kind;
  this.time = time;
  this.id = id;
  this.data = data;
});

/** `new PlainEntryId(...)` makes the id of a proposal. */
export const PlainEntryId = /* @__PURE__ */ plainBy(function (
  this: Writable<EntryId>,
  session: number,
  sequence: number,
  firstIncomplete: number,
) {
  this.session = session;
  this.sequence = sequence;
  this.firstIncomplete = firstIncomplete;
});

/** A no-op of that term or ballot, with this stamp. */
export function noopAt(index: Index, term: Term, time: Milliseconds): Entry {
  return new PlainEntry(index, term, 'noop', time, null, NO_DATA);
}

/** Whether two ids name the same proposal. */
export function sameId(a: EntryId | null, b: EntryId | null): boolean {
  return a === b || (a !== null && b !== null && a.session === b.session && a.sequence === b.sequence);
}

/** Whether two entries have the same value: all but the index, and the term or ballot. */
export function sameValue(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  return (
    a.kind === b.kind &&
    a.time === b.time &&
    sameId(a.id, b.id) &&
    a.id?.firstIncomplete === b.id?.firstIncomplete &&
    sameBytes(a.data, b.data)
  );
}
