/** Comparing, sizing and finding entries, in one way for the log, both protocols and the rig. */

import { sameBytes } from './bytes.js';
import type { Entry, EntryId, Index, Milliseconds, Term } from './protocol.js';

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

/** A no-op of that term or ballot, with this stamp. */
export function noopAt(index: Index, term: Term, time: Milliseconds): Entry {
  return { index, term, kind: 'noop', time, id: null, data: NO_DATA };
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
