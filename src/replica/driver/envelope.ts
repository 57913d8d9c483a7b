/**
 * The wire format of messages between replicas: the core's messages, and the driver's own about identity. Every
 * message names the incarnation of its sender and, if known, of its receiver, so that a message to a replica whose
 * disk was lost is never handled by its successor.
 */

import { Malformed, Reader, VARINT_MAX_BYTES, Writer } from '../../core/bytes.js';
import type { Codec } from '../../core/protocol.js';

const VERSION = 1;

/** The incarnations of sender and receiver; `to` is `null` while the receiver's is not known. */
export interface EnvelopeAddress {
  readonly from: number;
  readonly to: number | null;
}

/** Asks a member to record the sender's incarnation durably; repeated until enough members have answered. */
export interface Introduce {
  readonly kind: 'introduce';
  /** The hash of the sender's initial configuration: members with different ones do not start together. */
  readonly configurationHash: string;
}

/** Answers `introduce`: the incarnation is recorded durably. The address repeats the incarnation that asked. */
export interface IdentityRecorded {
  readonly kind: 'recorded';
}

/** Answers `introduce`: another incarnation is recorded for this id, or the initial configurations differ. */
export interface IdentityRefused {
  readonly kind: 'refused';
  readonly reason: 'incarnation' | 'configuration';
}

export type IdentityMessage = Introduce | IdentityRecorded | IdentityRefused;

const CORE = 0;
const INTRODUCE = 1;
const RECORDED = 2;
const REFUSED = 3;
/** Stands on the wire for an unknown incarnation; an incarnation is never 0. */
const UNKNOWN = 0;
const HEADER = 2 + 2 * VARINT_MAX_BYTES;

function begin(capacity: number, kind: number, address: EnvelopeAddress): Writer {
  const writer = new Writer(HEADER + capacity);
  writer.u8(VERSION);
  writer.u8(kind);
  writer.varint(address.from);
  writer.varint(address.to ?? UNKNOWN);
  return writer;
}

/** A message of the core in its envelope. */
export function sealCore<M>(codec: Codec<M>, message: M, address: EnvelopeAddress): Uint8Array {
  const writer = begin(codec.sizeOf(message), CORE, address);
  codec.write(writer, message);
  return writer.finish();
}

/** A message about identity in its envelope. */
export function sealIdentity(message: IdentityMessage, address: EnvelopeAddress): Uint8Array {
  switch (message.kind) {
    case 'introduce': {
      const writer = begin(80, INTRODUCE, address);
      writer.ascii(message.configurationHash);
      return writer.finish();
    }
    case 'recorded':
      return begin(0, RECORDED, address).finish();
    case 'refused': {
      const writer = begin(1, REFUSED, address);
      writer.u8(message.reason === 'incarnation' ? 0 : 1);
      return writer.finish();
    }
  }
}

/** A decoded envelope. For a core message, `reader` stands at the bytes that the core's codec decodes. */
export type OpenedEnvelope =
  | { readonly kind: 'core'; readonly address: EnvelopeAddress; readonly reader: Reader }
  | { readonly kind: 'identity'; readonly address: EnvelopeAddress; readonly message: IdentityMessage };

function readIdentity(kind: number, reader: Reader): IdentityMessage {
  switch (kind) {
    case INTRODUCE:
      return { kind: 'introduce', configurationHash: reader.ascii(64) };
    case RECORDED:
      return { kind: 'recorded' };
    case REFUSED: {
      const reason = reader.u8();
      if (reason > 1) throw new Malformed('a refusal gives an unknown reason');
      return { kind: 'refused', reason: reason === 0 ? 'incarnation' : 'configuration' };
    }
    default:
      throw new Malformed('an envelope is of an unknown kind');
  }
}

function readAddress(reader: Reader): EnvelopeAddress {
  const from = reader.varint();
  const to = reader.varint();
  if (from === UNKNOWN) throw new Malformed('an envelope does not say from whose data it comes');
  return { from, to: to === UNKNOWN ? null : to };
}

/** @throws Malformed */
export function openEnvelope(bytes: Uint8Array): OpenedEnvelope {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('an envelope is of an unknown version');
  const kind = reader.u8();
  const address = readAddress(reader);
  if (kind === CORE) return { kind: 'core', address, reader };
  const message = readIdentity(kind, reader);
  reader.end();
  return { kind: 'identity', address, message };
}
