/**
 * The wire format of messages between replicas: the core's messages, and the driver's own about identity and about
 * snapshots. Every
 * message names the incarnation of its sender and, if known, of its receiver, so that a message to a replica whose
 * disk was lost is never handled by its successor.
 */

import { Malformed, Reader, VARINT_MAX_BYTES, Writer } from '../../core/bytes.js';
import type { Codec } from '../../core/protocol.js';
import {
  readSnapshotMessage,
  snapshotMessageBound,
  writeSnapshotMessage,
  type SnapshotMessage,
} from './snapshot-messages.js';

const VERSION = 1;

/** The incarnations of sender and receiver; `to` is `null` while the receiver's is not known. */
export interface EnvelopeAddress {
  readonly from: number;
  readonly to: number | null;
}

/**
 * Asks a member to note the sender's incarnation durably: the first round of a first start. Repeated until it is
 * answered.
 */
export interface IdentityNote {
  readonly kind: 'note';
  /** Tells the answer to this question from later ones; grows over all starts. */
  readonly round: number;
  /** The hash of the sender's initial configuration: members with different ones do not start together. */
  readonly configurationHash: string;
}

/** Answers `note`: the incarnation is noted durably. The address of every answer repeats the incarnation that asked. */
export interface IdentityNoted {
  readonly kind: 'noted';
  readonly round: number;
}

/** Asks a member that noted the sender's incarnation to make the note final: the second round. */
export interface IdentityConfirm {
  readonly kind: 'confirm';
  readonly round: number;
}

/** Answers `note` or `confirm`: the final record, which is never replaced, is durable and names this incarnation. */
export interface IdentityConfirmed {
  readonly kind: 'confirmed';
  readonly round: number;
}

/**
 * Why a member does not record a replica. `incarnation`: its final record of this id names another one.
 * `configuration`: the initial configurations differ. `replaced`: its note names another one, or there is none.
 */
export type RefusalReason = 'incarnation' | 'configuration' | 'replaced';

/** Answers `note` or `confirm`. */
export interface IdentityRefused {
  readonly kind: 'refused';
  readonly round: number;
  readonly reason: RefusalReason;
}

/**
 * The stamps of a core message, by which replicas measure round trips. A stamp is a safe integer that only its own
 * asker understands, 0 for none.
 */
export interface EnvelopeTiming {
  /** The receiver repeats it in its next message to the sender. */
  readonly question: number;
  /** A question of the receiver, repeated, and how many whole milliseconds the sender kept it. */
  readonly answer: number;
  readonly kept: number;
}

export type IdentityMessage = IdentityNote | IdentityNoted | IdentityConfirm | IdentityConfirmed | IdentityRefused;

const CORE = 0;
const NOTE = 1;
const NOTED = 2;
const CONFIRM = 3;
const CONFIRMED = 4;
const REFUSED = 5;
/** A core message with stamps, which stand before the address. */
const TIMED = 6;
const SNAPSHOT = 7;
/** By their numbers on the wire. */
const REASONS: readonly RefusalReason[] = ['incarnation', 'configuration', 'replaced'];
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

/** Whether this envelope holds a message of the core, without stamps. */
export function isCoreMessage(envelope: Uint8Array): boolean {
  return envelope[1] === CORE;
}

/** A copy of a core message's envelope, with these stamps. */
export function withTiming(envelope: Uint8Array, { question, answer, kept }: EnvelopeTiming): Uint8Array {
  const writer = new Writer(envelope.length + 3 * VARINT_MAX_BYTES);
  writer.u8(VERSION);
  writer.u8(TIMED);
  writer.varint(question);
  writer.varint(answer);
  writer.varint(kept);
  writer.raw(envelope.subarray(2));
  return writer.finish();
}

const KINDS = { note: NOTE, noted: NOTED, confirm: CONFIRM, confirmed: CONFIRMED, refused: REFUSED } as const;

/** A message about identity in its envelope. */
export function sealIdentity(message: IdentityMessage, address: EnvelopeAddress): Uint8Array {
  const writer = begin(VARINT_MAX_BYTES + 80, KINDS[message.kind], address);
  writer.varint(message.round);
  if (message.kind === 'note') writer.ascii(message.configurationHash);
  if (message.kind === 'refused') writer.u8(REASONS.indexOf(message.reason));
  return writer.finish();
}

/** A message about snapshots in its envelope. */
export function sealSnapshotMessage(message: SnapshotMessage, address: EnvelopeAddress): Uint8Array {
  const writer = begin(snapshotMessageBound(message), SNAPSHOT, address);
  writeSnapshotMessage(writer, message);
  return writer.finish();
}

/** A decoded envelope. For a core message, `reader` stands at the bytes that the core's codec decodes. */
export type OpenedEnvelope =
  | {
      readonly kind: 'core';
      readonly address: EnvelopeAddress;
      /** `null` in a message without stamps. */
      readonly timing: EnvelopeTiming | null;
      readonly reader: Reader;
    }
  | { readonly kind: 'snapshot'; readonly address: EnvelopeAddress; readonly message: SnapshotMessage }
  | { readonly kind: 'identity'; readonly address: EnvelopeAddress; readonly message: IdentityMessage };

function readIdentity(kind: number, reader: Reader): IdentityMessage {
  const round = reader.varint();
  switch (kind) {
    case NOTE:
      return { kind: 'note', round, configurationHash: reader.ascii(64) };
    case NOTED:
      return { kind: 'noted', round };
    case CONFIRM:
      return { kind: 'confirm', round };
    case CONFIRMED:
      return { kind: 'confirmed', round };
    case REFUSED: {
      const reason = REASONS[reader.u8()];
      if (reason === undefined) throw new Malformed('a refusal gives an unknown reason');
      return { kind: 'refused', round, reason };
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

function readTiming(reader: Reader): EnvelopeTiming {
  const question = reader.varint();
  const answer = reader.varint();
  return { question, answer, kept: reader.varint() };
}

/** @throws Malformed */
export function openEnvelope(bytes: Uint8Array): OpenedEnvelope {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('an envelope is of an unknown version');
  const kind = reader.u8();
  const timing = kind === TIMED ? readTiming(reader) : null;
  const address = readAddress(reader);
  if (kind === CORE || kind === TIMED) return { kind: 'core', address, timing, reader };
  if (kind === SNAPSHOT) {
    const message = readSnapshotMessage(reader);
    reader.end();
    return { kind: 'snapshot', address, message };
  }
  const message = readIdentity(kind, reader);
  reader.end();
  return { kind: 'identity', address, message };
}
