/**
 * The encoding of the durable records of both protocols: hard state and entries. The index and the term of an entry are
 * not in its record, since the storage keeps them beside it. Every record begins with a version; golden files pin the
 * formats.
 */

import { Malformed, Reader, VARINT_MAX_BYTES, Writer, part } from './bytes.js';
import { MAX_TIME, PlainEntry, PlainEntryId } from './entries.js';
import { isReplicaId } from './members.js';
import type { DurableCodec, Entry, EntryId, EntryKind, HardState, Index, Milliseconds, Term } from './protocol.js';

const VERSION = 1;
const KINDS: readonly EntryKind[] = ['noop', 'command', 'openSession', 'session'];
const MAX_ID = 64;

/** The number of a kind on the wire and on disk. */
export function kindNumber(kind: EntryKind): number {
  return kind === 'command' ? 1 : KINDS.indexOf(kind);
}

/** @throws Malformed for a number that no kind has */
export function kindOf(number: number): EntryKind {
  const kind = KINDS[number];
  if (kind === undefined) throw new Malformed('an entry is of an unknown kind');
  return kind;
}

/** An upper bound of the bytes that `writeEntryBody` gives beside the data. */
export const ENTRY_BODY_OVERHEAD = 1 + 5 * VARINT_MAX_BYTES;

/** A difference as a number ≥ 0, small if it is: its sign is the lowest bit. */
function folded(difference: number): number {
  return difference < 0 ? -2 * difference - 1 : 2 * difference;
}

function unfolded(number: number): number {
  return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
}

/** Writes kind, stamp, id and data of an entry. @param before the stamp of the entry before, 0 for the first one */
export function writeEntryBody(writer: Writer, entry: Entry, before: Milliseconds): void {
  const { kind, time, id, data } = entry;
  const head = kindNumber(kind);
  const since = folded(time - before);
  if (id !== null) return writer.record(head, since, id.session, id.sequence, id.firstIncomplete, data);
  writer.u8(head);
  writer.varint(since);
  writer.bytes(data);
}

/** Reads what `writeEntryBody` wrote; `data` is a view of the reader's input. @throws Malformed */
export function readEntryBody(reader: Reader, index: Index, term: Term, before: Milliseconds): Entry {
  const kind = kindOf(reader.u8());
  const time = before + unfolded(reader.varint());
  if (time < 0 || time > MAX_TIME) throw new Malformed('an entry is of a time that cannot be');
  const id = kind === 'noop' ? null : readEntryId(reader);
  const data = reader.bytes();
  if (kind === 'noop' && data.length > 0) throw new Malformed('a noop carries data');
  return new PlainEntry(index, term, kind, time, id, data);
}

/** @throws Malformed */
export function readEntryId(reader: Reader): EntryId {
  return new PlainEntryId(reader.varint(), reader.varint(), reader.varint());
}

function encodeHard(hard: HardState): Uint8Array {
  const writer = new Writer(MAX_ID + 32);
  writer.u8(VERSION);
  writer.varint(hard.term);
  writer.varint(hard.commit);
  writer.ascii(hard.vote ?? '');
  return writer.finish();
}

function decodeHard(bytes: Uint8Array): HardState {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('a hard state is of an unknown version');
  const term = reader.varint();
  const commit = reader.varint();
  const vote = reader.ascii(MAX_ID);
  reader.end();
  if (vote !== '' && !isReplicaId(vote)) throw new Malformed('a vote names no replica');
  return { term, vote: vote === '' ? null : vote, commit };
}

function encodeEntries(entries: readonly Entry[]): readonly Uint8Array[] {
  let capacity = 0;
  for (const entry of entries) capacity += entry.data.length + ENTRY_BODY_OVERHEAD + 1;
  const writer = new Writer(capacity);
  const ends = new Array<number>(entries.length);
  for (let at = 0; at < entries.length; at++) {
    writer.u8(VERSION);
    writeEntryBody(writer, entries[at] as Entry, 0);
    ends[at] = writer.size;
  }
  const all = writer.finish();
  const records = new Array<Uint8Array>(entries.length);
  for (let at = 0, from = 0; at < entries.length; at++) {
    const to = ends[at] as number;
    records[at] = part(all, from, to);
    from = to;
  }
  return records;
}

function decodeEntry(index: Index, term: Term, bytes: Uint8Array): Entry {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('an entry is of an unknown version');
  const entry = readEntryBody(reader, index, term, 0);
  reader.end();
  return entry;
}

/** The part of `Protocol.durable` that both protocols share; each adds its own `tailFrom`. */
export const durableRecords: Omit<DurableCodec, 'tailFrom'> = { encodeHard, decodeHard, encodeEntries, decodeEntry };
