/**
 * The session table as bytes, for snapshots. Two tables that are equal have equal bytes, since the table follows from
 * the log alone: members compare them at the same index.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { isReplicaId } from '../../core/members.js';
import { resultBytes, type Session, type SessionTable, type StoredResult } from './session-table.js';

const VERSION = 1;

// The kind of a result: none yet, one of VALUES, a number, or bytes; and two flags.
const NONE = 0;
const VALUES = [undefined, null, false, true] as const;
const FIRST_VALUE = 1;
const NUMBER = 5;
const BYTES = 6;
const REJECTED = 8;
const THREW = 16;

function kindOf({ value, rejected, threw }: StoredResult): number {
  const flags = (rejected ? REJECTED : 0) | (threw === true ? THREW : 0);
  if (value instanceof Uint8Array) return flags | BYTES;
  return flags | (typeof value === 'number' ? NUMBER : FIRST_VALUE + VALUES.indexOf(value));
}

function writeResult(writer: Writer, result: StoredResult | null): void {
  if (result === null) return writer.u8(NONE);
  const { value } = result;
  writer.u8(kindOf(result));
  if (value instanceof Uint8Array) writer.bytes(value);
  else if (typeof value === 'number') writer.raw(new Uint8Array(new Float64Array([value]).buffer));
}

function readResult(reader: Reader): StoredResult | null {
  const kind = reader.u8();
  if (kind === NONE) return null;
  const type = kind & (REJECTED - 1);
  if (type === NONE || type > BYTES || kind >= 2 * THREW) throw new Malformed('a result is of an unknown kind');
  const rejected = (kind & REJECTED) !== 0;
  const value =
    type === BYTES
      ? reader.bytes().slice()
      : type === NUMBER
        ? (new Float64Array(reader.raw(8).slice().buffer)[0] as number)
        : VALUES[type - FIRST_VALUE];
  return (kind & THREW) !== 0 ? { rejected, threw: true, value } : { rejected, value };
}

function writeSession(writer: Writer, session: Session): void {
  writer.ascii(session.replica);
  for (const field of ['incarnation', 'boot', 'start', 'id', 'firstIncomplete', 'lastIndex'] as const)
    writer.varint(session[field]);
  writer.varint(session.results.length);
  for (const result of session.results) writeResult(writer, result);
}

function readSession(reader: Reader): Session {
  const replica = reader.ascii(64);
  if (!isReplicaId(replica)) throw new Malformed('a session is of no replica');
  const [incarnation, boot, start] = [reader.varint(), reader.varint(), reader.varint()];
  const [id, firstIncomplete, lastIndex] = [reader.varint(), reader.varint(), reader.varint()];
  const results: (StoredResult | null)[] = [];
  for (let left = reader.count(1); left > 0; left--) results.push(readResult(reader));
  let bytes = 0;
  for (const result of results) bytes += resultBytes(result);
  return { replica, incarnation, boot, start, id, firstIncomplete, results, bytes, lastIndex };
}

/** No command of the table may be being applied. */
export function encodeSessionTable({ sessions }: SessionTable): Uint8Array {
  const writer = new Writer(4096);
  writer.u8(VERSION);
  writer.varint(sessions.length);
  for (const session of sessions) writeSession(writer, session);
  return writer.finish();
}

/** @throws Malformed */
export function decodeSessionTable(bytes: Uint8Array): SessionTable {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('a session table is of an unknown version');
  const sessions: Session[] = [];
  for (let left = reader.count(8); left > 0; left--) sessions.push(readSession(reader));
  reader.end();
  return { sessions };
}
