/**
 * What a replica's storage says about identities, as bytes: whose data it is, that its peers know it, and what it has
 * recorded of them. The driver keeps these values beside the core's lane.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { readConfiguration, writeConfiguration, type Configuration, type ReplicaId } from '../../core/members.js';
import type { PeerRecord } from './state.js';

export const IDENTITY_KEY = 'identity';
export const PEERS_KEY = 'peers';
/** Stored once enough peers hold a final record of this incarnation. */
export const ESTABLISHED_KEY = 'established';
const VERSION = 1;

/** The value of `ESTABLISHED_KEY`. */
export const ESTABLISHED_VALUE: Uint8Array = new Uint8Array([VERSION]);

/** The first value written to an empty storage: it says which replica of which cluster the data belongs to. */
export interface StoredIdentity {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly cluster: string;
  readonly protocol: string;
  readonly configuration: Configuration;
}

export function encodeIdentity(identity: StoredIdentity): Uint8Array {
  const writer = new Writer(256);
  writer.u8(VERSION);
  writer.ascii(identity.id);
  writer.varint(identity.incarnation);
  writer.ascii(identity.cluster);
  writer.ascii(identity.protocol);
  writeConfiguration(writer, identity.configuration);
  return writer.finish();
}

/** @throws Malformed */
export function decodeIdentity(bytes: Uint8Array): StoredIdentity {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('an identity is of an unknown version');
  const identity = {
    id: reader.ascii(64),
    incarnation: reader.varint(),
    cluster: reader.ascii(128),
    protocol: reader.ascii(64),
    configuration: readConfiguration(reader),
  };
  reader.end();
  return identity;
}

export function encodePeers(peers: readonly PeerRecord[]): Uint8Array {
  const writer = new Writer(128);
  writer.u8(VERSION);
  writer.varint(peers.length);
  for (const peer of peers) {
    writer.ascii(peer.id);
    writer.varint(peer.incarnation);
    writer.u8(peer.final ? 1 : 0);
  }
  return writer.finish();
}

/** @throws Malformed */
export function decodePeers(bytes: Uint8Array): readonly PeerRecord[] {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('peer records are of an unknown version');
  const peers: PeerRecord[] = [];
  for (let left = reader.count(3); left > 0; left--) {
    const id = reader.ascii(64);
    const incarnation = reader.varint();
    const final = reader.u8();
    if (final > 1) throw new Malformed('a peer record is neither a note nor final');
    peers.push({ id, incarnation, final: final === 1 });
  }
  reader.end();
  return peers;
}
