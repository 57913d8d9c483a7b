/**
 * The encoding of ballots, slots and entries in messages; entries as runs of consecutive slots with one ballot. The
 * bytes of all entries of a message are copied once, and their data are views of that copy, so that they do not retain
 * received frames.
 */

import { Malformed, Reader, type Writer } from '../core/bytes.js';
import { readEntryBody, writeEntryBody } from '../core/record-codec.js';
import type { Entry, Index } from '../core/protocol.js';
import { numberOf, roundOf, type Ballot } from './ballot.js';
import type { VoteSpan } from './messages.js';

/** Slots stay below it, so that arithmetic on them is exact. */
const MAX_SLOT = 2 ** 48;
/** An entry takes at least a kind, a stamp and a length. */
export const LEAST_ENTRY = 3;

/** Where the run that begins at `at` ends: consecutive slots of one ballot. */
function runEnd(entries: readonly Entry[], at: number): number {
  const { index, term } = entries[at] as Entry;
  let end = at + 1;
  for (; end < entries.length; end++) {
    const entry = entries[end] as Entry;
    if (entry.term !== term || entry.index !== index + end - at) break;
  }
  return end;
}

/** The bodies of the entries from place `from` to the one before `to`, with their stamps as differences. Gives `to`. */
export function writeBodies(writer: Writer, entries: readonly Entry[], from: number, to: number): number {
  for (let at = from, before = 0; at < to; at++) {
    const entry = entries[at] as Entry;
    writeEntryBody(writer, entry, before);
    before = entry.time;
  }
  return to;
}

/** Runs: how many, then of each its first slot, ballot and length, then its entries. */
export function writeRuns(writer: Writer, entries: readonly Entry[]): void {
  let runs = 0;
  for (let at = 0; at < entries.length; at = runEnd(entries, at)) runs++;
  writer.varint(runs);
  for (let at = 0; at < entries.length; ) {
    const { index, term } = entries[at] as Entry;
    const end = runEnd(entries, at);
    writer.varint(index);
    writer.varint(term);
    writer.varint(end - at);
    at = writeBodies(writer, entries, at, end);
  }
}

/** How many, then of each its first slot, its length less one, and its ballot. */
export function writeSpans(writer: Writer, spans: readonly VoteSpan[]): void {
  writer.varint(spans.length);
  for (const { from, to, ballot } of spans) {
    writer.varint(from);
    writer.varint(to - from);
    writer.varint(ballot);
  }
}

/** @throws Malformed unless it has a round and an owner */
export function checkBallot(ballot: Ballot): void {
  if (numberOf(ballot) === 0 || roundOf(ballot) === 0) throw new Malformed('no such ballot');
}

/** A ballot. @throws Malformed */
export function ballotIn(reader: Reader): Ballot {
  const ballot = reader.varint();
  checkBallot(ballot);
  return ballot;
}

/** @throws Malformed for a slot that is out of range */
export function checkSlot(slot: Index): void {
  if (slot > MAX_SLOT) throw new Malformed('a slot is out of range');
}

/** A slot, or 0 for none. */
export function markIn(reader: Reader): Index {
  const slot = reader.varint();
  checkSlot(slot);
  return slot;
}

/** A slot, 1-based. */
export function slotIn(reader: Reader): Index {
  const slot = markIn(reader);
  if (slot === 0) throw new Malformed('slots begin at 1');
  return slot;
}

/** Reads what `writeSpans` wrote. @throws Malformed unless the spans ascend */
export function readSpans(reader: Reader): readonly VoteSpan[] {
  const spans: VoteSpan[] = [];
  let end = 0;
  for (let left = reader.count(3); left > 0; left--) {
    const from = slotIn(reader);
    if (from <= end) throw new Malformed('spans overlap');
    end = from + reader.varint();
    checkSlot(end);
    spans.push({ from, to: end, ballot: ballotIn(reader) });
  }
  return spans;
}

/** What is left of the input, copied: entries are views of this copy. */
export function copied(reader: Reader): Reader {
  return new Reader(new Uint8Array(reader.raw(reader.remaining))); // `slice` of a Buffer would be a view
}

/** `length` entries of one ballot from `from` on, pushed. */
export function readRun(reader: Reader, entries: Entry[], from: Index, ballot: Ballot, length: number): void {
  checkSlot(from + length - 1);
  for (let i = 0, before = 0; i < length; i++) {
    const entry = readEntryBody(reader, from + i, ballot, before);
    before = entry.time;
    entries.push(entry);
  }
}

/** Reads what `writeRuns` wrote, up to the end of the input. @throws Malformed unless runs ascend and are maximal */
export function readRuns(input: Reader): readonly Entry[] {
  const reader = copied(input);
  const entries: Entry[] = [];
  let end = 0;
  let before = 0;
  for (let left = reader.count(3 + LEAST_ENTRY); left > 0; left--) {
    const from = slotIn(reader);
    const ballot = ballotIn(reader);
    const length = reader.count(LEAST_ENTRY);
    if (from <= end) throw new Malformed('runs overlap');
    if (length === 0 || (from === end + 1 && ballot === before)) throw new Malformed('a run is not whole');
    readRun(reader, entries, from, ballot, length);
    end = from + length - 1;
    before = ballot;
  }
  reader.end();
  return entries;
}
