/**
 * The encoding of the durable records of both protocols: hard state and entries. The index and the term of an entry are
 * not in its record, since the storage keeps them beside it. Every record begins with a version; golden files pin the
 * formats.
 */

import { Malformed, Reader, VARINT_MAX_BYTES, Writer, part } from './bytes.js';
import { isReplicaId } from './members.js';
import type { DurableCodec, Entry, EntryId, EntryKind, HardState, Index, Term } from './protocol.js';

const VERSION = 1;
const KINDS: readonly EntryKind[] = ['noop', 'command', 'openSession'];
const MAX_ID = 64;

/** The number of a kind on the wire and on disk. */
export function kindNumber(kind: EntryKind): number {
  return kind === 'command' ? 1 : kind === 'noop' ? 0 : 2;
}

/** @throws Malformed for a number that no kind has */
export function kindOf(number: number): EntryKind {
  const kind = KINDS[number];
  if (kind === undefined) throw new Malformed('an entry is of an unknown kind');
  return kind;
}

/** An upper bound of the bytes that `writeEntryBody` gives beside the data. */
export const ENTRY_BODY_OVERHEAD = 1 + 4 * VARINT_MAX_BYTES;

/** Writes kind, id and data of an entry. */
export function writeEntryBody(writer: Writer, entry: Entry): void {
  const { kind, id, data } = entry;
  const head = kindNumber(kind);
  if (id !== null) return writer.record(head, id.session, id.sequence, id.firstIncomplete, data);
  writer.u8(head);
  writer.bytes(data);
}

/** Reads what `writeEntryBody` wrote; `data` is a view of the reader's input. @throws Malformed */
export function readEntryBody(reader: Reader, index: Index, term: Term): Entry {
  const kind = kindOf(reader.u8());
  const id = kind === 'noop' ? null : readEntryId(reader);
  const data = reader.bytes();
  if (kind === 'noop' && data.length > 0) throw new Malformed('a noop carries data');
  return { index, term, kind, id, data };
}

/** @throws Malformed */
export function readEntryId(reader: Reader): EntryId {
  return { session: reader.varint(), sequence: reader.varint(), firstIncomplete: reader.varint() };
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
    writeEntryBody(writer, entries[at] as Entry);
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
  const entry = readEntryBody(reader, index, term);
  reader.end();
  return entry;
}

/** The part of `Protocol.durable` that both protocols share; each adds its own `tailFrom`. */
export const durableRecords: Omit<DurableCodec, 'tailFrom'> = { encodeHard, decodeHard, encodeEntries, decodeEntry };
