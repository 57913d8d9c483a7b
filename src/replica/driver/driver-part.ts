/**
 * What the driver adds to a snapshot of the machine: the sessions of replicas and of clients, log time, what sessions
 * expire by, and when the machine asked to be woken. All of it follows from the log alone, so members of one cluster
 * have the same bytes at the same index.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { ApplyingState } from './apply.js';
import { noClients } from './client-sessions.js';
import { emptyTable } from './session-table.js';
import { decodeClientTable, decodeSessionTable, encodeClientTable, encodeSessionTable } from './session-table-codec.js';

export type DriverPart = Pick<ApplyingState, 'sessionTable' | 'clients' | 'time' | 'expiryTime' | 'wakeAt'>;

export const emptyPart: DriverPart = {
  sessionTable: emptyTable,
  clients: noClients,
  time: 0,
  expiryTime: 0,
  wakeAt: Infinity,
};

const VERSION = 1;
const NEVER = 0;

export function encodeDriverPart({ sessionTable, clients, time, expiryTime, wakeAt }: DriverPart): Uint8Array {
  const [table, client] = [encodeSessionTable(sessionTable), encodeClientTable(clients)];
  const writer = new Writer(64 + table.length + client.length);
  writer.u8(VERSION);
  writer.varint(time);
  writer.varint(expiryTime);
  writer.varint(wakeAt === Infinity ? NEVER : wakeAt + 1);
  writer.bytes(table);
  writer.bytes(client);
  return writer.finish();
}

/** @throws Malformed */
export function decodeDriverPart(bytes: Uint8Array): DriverPart {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed("the driver's part of a snapshot is of an unknown version");
  const [time, expiryTime, wake] = [reader.varint(), reader.varint(), reader.varint()];
  const sessionTable = decodeSessionTable(reader.bytes());
  const clients = decodeClientTable(reader.bytes());
  reader.end();
  return { sessionTable, clients, time, expiryTime, wakeAt: wake === NEVER ? Infinity : wake - 1 };
}
