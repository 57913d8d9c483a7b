/**
 * The sessions of replicas and of clients as bytes, for snapshots. Both tables follow from the log alone, so members
 * have the same bytes at the same index.
 */

import { itemsOf, withItems, type BookItem } from '../../core/book.js';
import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { isReplicaId } from '../../core/members.js';
import type { Index } from '../../core/protocol.js';
import { MAX_NAME } from './client-commands.js';
import {
  clientTableOf,
  weighed,
  type ClientResult,
  type ClientTable,
  type StoredClientSession,
} from './client-sessions.js';
import {
  resultBytes,
  type Session,
  type SessionRefusal,
  type SessionTable,
  type StoredResult,
} from './session-table.js';

const VERSION = 3;

// The kind of a result: none yet, one of VALUES, a number, or bytes; and two flags.
const NONE = 0;
const VALUES = [undefined, null, false, true] as const;
const FIRST_VALUE = 1;
const NUMBER = 5;
const BYTES = 6;
const REJECTED = 8;
const THREW = 16;
const REFUSED = 32;
/** By their numbers in the bytes. */
const REFUSALS: readonly SessionRefusal[] = ['expired', 'fenced', 'completed', 'reused', 'busy'];

function kindOf({ value, rejected, threw, refusal }: StoredResult): number {
  const flags = (rejected ? REJECTED : 0) | (threw === true ? THREW : 0) | (refusal === undefined ? 0 : REFUSED);
  if (value instanceof Uint8Array) return flags | BYTES;
  return flags | (typeof value === 'number' ? NUMBER : FIRST_VALUE + VALUES.indexOf(value));
}

function writeResult(writer: Writer, result: StoredResult | null): void {
  if (result === null) return writer.u8(NONE);
  const { value } = result;
  writer.u8(kindOf(result));
  if (value instanceof Uint8Array) writer.bytes(value);
  else if (typeof value === 'number') writer.raw(new Uint8Array(new Float64Array([value]).buffer));
  if (result.refusal !== undefined) writer.u8(REFUSALS.indexOf(result.refusal));
}

function readResult(reader: Reader): StoredResult | null {
  const kind = reader.u8();
  if (kind === NONE) return null;
  const type = kind & (REJECTED - 1);
  if (type === NONE || type > BYTES || kind >= 2 * REFUSED) throw new Malformed('a result is of an unknown kind');
  const rejected = (kind & REJECTED) !== 0;
  const value =
    type === BYTES
      ? reader.bytes().slice()
      : type === NUMBER
        ? (new Float64Array(reader.raw(8).slice().buffer)[0] as number)
        : VALUES[type - FIRST_VALUE];
  const result: StoredResult = (kind & THREW) !== 0 ? { rejected, threw: true, value } : { rejected, value };
  if ((kind & REFUSED) === 0) return result;
  const refusal = REFUSALS[reader.u8()];
  if (refusal === undefined) throw new Malformed('a session was refused for no reason that is known');
  return { ...result, refusal };
}

function writeSession(writer: Writer, session: Session): void {
  writer.ascii(session.replica);
  for (const field of ['incarnation', 'boot', 'start', 'id', 'firstIncomplete', 'lastIndex'] as const)
    writer.varint(session[field]);
  writer.varint(session.results.length);
  session.results.forEach((result, at) => {
    writeResult(writer, result);
    if (result !== null) writer.varint(session.indexes[at] as Index);
  });
}

function readSession(reader: Reader): Session {
  const replica = reader.ascii(64);
  if (!isReplicaId(replica)) throw new Malformed('a session is of no replica');
  const [incarnation, boot, start] = [reader.varint(), reader.varint(), reader.varint()];
  const [id, firstIncomplete, lastIndex] = [reader.varint(), reader.varint(), reader.varint()];
  const results: (StoredResult | null)[] = [];
  const indexes: Index[] = [];
  let bytes = 0;
  for (let left = reader.count(1); left > 0; left--) {
    const result = readResult(reader);
    results.push(result);
    indexes.push(result === null ? 0 : reader.varint());
    bytes += resultBytes(result);
  }
  return { replica, incarnation, boot, start, id, firstIncomplete, results, indexes, bytes, lastIndex };
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

function writeClientResult(writer: Writer, { key, at, digest, result }: ClientResult): void {
  writer.varint(key);
  writer.varint(at);
  writer.ascii(digest);
  writeResult(writer, result);
}

function readClientResult(reader: Reader): ClientResult {
  const [key, at, digest] = [reader.varint(), reader.varint(), reader.ascii(64)];
  const result = readResult(reader);
  if (result === null) throw new Malformed("a command of a client's session has no result");
  return { key, deadline: Infinity, at, digest, result };
}

/** No command of the table may be being applied. */
export function encodeClientTable({ sessions, count, excess }: ClientTable): Uint8Array {
  const writer = new Writer(1024);
  writer.u8(VERSION);
  writer.varint(excess);
  writer.varint(count);
  for (const { name, key, at, firstIncomplete, deadline, results } of itemsOf(sessions)) {
    const items = itemsOf(results);
    writer.ascii(name);
    for (const field of [key, at, firstIncomplete, deadline, items.length]) writer.varint(field);
    for (const result of items) writeClientResult(writer, result);
  }
  return writer.finish();
}

function demandAscending(items: readonly BookItem[], { key }: BookItem): void {
  if (key <= (items[items.length - 1]?.key ?? -1)) throw new Malformed("the clients' sessions are out of order");
}

function readClientSession(reader: Reader): StoredClientSession {
  const name = reader.ascii(MAX_NAME);
  const [key, at, firstIncomplete, deadline] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const results: ClientResult[] = [];
  for (let left = reader.count(4); left > 0; left--) {
    const result = readClientResult(reader);
    demandAscending(results, result);
    results.push(result);
  }
  return weighed({ key, deadline, at, name, firstIncomplete, results: withItems(null, results) });
}

/** @throws Malformed */
export function decodeClientTable(bytes: Uint8Array): ClientTable {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed("the clients' sessions are of an unknown version");
  const excess = reader.varint();
  const sessions: StoredClientSession[] = [];
  for (let left = reader.count(6); left > 0; left--) {
    const session = readClientSession(reader);
    demandAscending(sessions, session);
    sessions.push(session);
  }
  reader.end();
  return clientTableOf(sessions, excess);
}
