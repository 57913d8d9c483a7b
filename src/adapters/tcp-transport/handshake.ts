/**
 * The handshake of a connection. The dialer sends its identity and the id that it wants to reach; the acceptor checks
 * both and answers `welcome`, with its own identity for the dialer to check, or `refused` with a reason. Then the
 * dialer sends frames (frames.ts) and the acceptor nothing but answers, which are frames, too.
 *
 *     "QUOR"   u16 LE length   body: u8 kind, then by kind
 *     hello    least version, greatest version, cluster, id, incarnation, lane, expected id
 *     welcome  version, cluster, id, incarnation, id of the dialer, largest message
 *     refused  u8 why (0 other, 1 incarnation)   reason
 *
 * Invariants: at most `HANDSHAKE_BYTES` of a socket are held before its peer is known; the head, the kinds, the
 * versions and `refused` have the same form in every version, so that a peer of any version understands a refusal.
 * Identities are compared in both directions (transport/right-peer). This authenticates nobody.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';

export const VERSION = 1;
const MAGIC = Uint8Array.of(0x51, 0x55, 0x4f, 0x52);
const HEAD_BYTES = MAGIC.length + 2;
const BODY_BYTES = 768;
/** The longest handshake message. */
export const HANDSHAKE_BYTES = HEAD_BYTES + BODY_BYTES;
/** The longest name of a cluster, in bytes of UTF-8. */
export const MAX_CLUSTER = 256;
const MAX_ID = 64;
const MAX_REASON = 200;

const HELLO = 1;
const WELCOME = 2;
const REFUSED = 3;
const LANES: readonly TransportLane[] = ['control', 'bulk'];

export interface Hello extends TransportIdentity {
  readonly kind: 'hello';
  readonly lane: TransportLane;
  /** The id of the replica that the dialer wants to reach. */
  readonly expected: string;
}

/** A hello without a version in common; its other fields cannot be read. */
export interface UnknownVersion {
  readonly kind: 'unknown version';
  readonly least: number;
  readonly greatest: number;
}

export interface Welcome extends TransportIdentity {
  readonly kind: 'welcome';
  /** The id of the dialer as the acceptor read it. */
  readonly dialer: string;
  /** The acceptor ends a connection on which a larger message comes. */
  readonly maxMessageBytes: number;
}

/** Why a handshake is refused: the dialer's incarnation is not the one that is expected, or anything else. */
export type RefusalCause = 'other' | 'incarnation';
/** By their numbers on the wire; a cause of a later version is read as `other`. */
const CAUSES: readonly RefusalCause[] = ['other', 'incarnation'];

export interface HandshakeRefused {
  readonly kind: 'refused';
  readonly why: RefusalCause;
  readonly reason: string;
}

/** A peer as the handshake needs it: the incarnation that it must have; `null` for any. */
export interface ExpectedPeer {
  readonly incarnation: number | null;
}

function sealed(body: Writer): Uint8Array {
  const message = new Writer(HANDSHAKE_BYTES);
  message.raw(MAGIC);
  message.u8(body.size & 0xff);
  message.u8(body.size >>> 8);
  message.raw(body.finish());
  return message.finish();
}

function writeIdentity(body: Writer, { cluster, id, incarnation }: TransportIdentity): void {
  body.bytes(new TextEncoder().encode(cluster));
  body.ascii(id);
  body.varint(incarnation);
}

/** @param versions other than our own only in tests */
export function encodeHello(hello: Omit<Hello, 'kind'>, versions = { least: VERSION, greatest: VERSION }): Uint8Array {
  const body = new Writer(BODY_BYTES);
  body.u8(HELLO);
  body.varint(versions.least);
  body.varint(versions.greatest);
  writeIdentity(body, hello);
  body.u8(LANES.indexOf(hello.lane));
  body.ascii(hello.expected);
  return sealed(body);
}

export function encodeWelcome(welcome: Omit<Welcome, 'kind'>): Uint8Array {
  const body = new Writer(BODY_BYTES);
  body.u8(WELCOME);
  body.varint(VERSION);
  writeIdentity(body, welcome);
  body.ascii(welcome.dialer);
  body.varint(welcome.maxMessageBytes);
  return sealed(body);
}

export function encodeRefused(reason: string, why: RefusalCause = 'other'): Uint8Array {
  const body = new Writer(BODY_BYTES);
  body.u8(REFUSED);
  body.u8(CAUSES.indexOf(why));
  body.ascii(printable(reason).slice(0, MAX_REASON));
  return sealed(body);
}

/** Replaces characters that are not safe to print in a log. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

function readIdentity(reader: Reader): TransportIdentity {
  const bytes = reader.bytes();
  if (bytes.length > MAX_CLUSTER) throw new Malformed('the name of a cluster is too long');
  let cluster: string;
  try {
    cluster = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed('the name of a cluster is not UTF-8');
  }
  return { cluster, id: printable(reader.ascii(MAX_ID)), incarnation: reader.varint() };
}

/** Decodes the first message of a dialer. @throws Malformed */
export function decodeHello(body: Uint8Array): Hello | UnknownVersion {
  const reader = new Reader(body);
  if (reader.u8() !== HELLO) throw new Malformed('a handshake does not begin with a hello');
  const least = reader.varint();
  const greatest = reader.varint();
  if (least > VERSION || greatest < VERSION) return { kind: 'unknown version', least, greatest };
  const identity = readIdentity(reader);
  const lane = LANES[reader.u8()];
  if (lane === undefined) throw new Malformed('a hello names an unknown lane');
  const expected = printable(reader.ascii(MAX_ID));
  // A dialer of a later version may append fields that this version does not know.
  if (greatest === VERSION) reader.end();
  return { kind: 'hello', ...identity, lane, expected };
}

/** Decodes the answer of an acceptor. @throws Malformed */
export function decodeAnswer(body: Uint8Array): Welcome | HandshakeRefused {
  const reader = new Reader(body);
  const kind = reader.u8();
  if (kind === REFUSED) {
    const why = CAUSES[reader.u8()] ?? 'other';
    return { kind: 'refused', why, reason: printable(reader.ascii(MAX_REASON)) };
  }
  if (kind !== WELCOME) throw new Malformed('a hello is answered by neither welcome nor refused');
  if (reader.varint() !== VERSION) throw new Malformed('an answer is of a version that was not offered');
  const identity = readIdentity(reader);
  const dialer = printable(reader.ascii(MAX_ID));
  const maxMessageBytes = reader.varint();
  reader.end();
  return { kind: 'welcome', ...identity, dialer, maxMessageBytes };
}

/** The reason to refuse this dialer, or null. It names no cluster, so that a stranger learns nothing from it. */
export function refusalOf(
  hello: Hello | UnknownVersion,
  self: TransportIdentity,
  peerNamed: (id: string) => ExpectedPeer | undefined,
): Omit<HandshakeRefused, 'kind'> | null {
  const other = (reason: string): Omit<HandshakeRefused, 'kind'> => ({ why: 'other', reason });
  if (hello.kind === 'unknown version') {
    return other(`speaks versions ${hello.least} to ${hello.greatest} of the protocol, expected ${VERSION}`);
  }
  if (hello.cluster !== self.cluster) return other('belongs to another cluster');
  if (hello.id === self.id) return other(`has the id of this very replica, ${self.id}`);
  if (hello.expected !== self.id) return other(`wants to reach ${hello.expected}, but this is ${self.id}`);
  const peer = peerNamed(hello.id);
  if (peer === undefined) return other(`is not a member: ${hello.id}`);
  const reason = otherIncarnation(hello, peer);
  return reason === null ? null : { why: 'incarnation', reason };
}

/** Whether a peer comes with another incarnation than the one that is expected (transport/right-incarnation). */
function otherIncarnation({ incarnation }: TransportIdentity, { incarnation: expected }: ExpectedPeer): string | null {
  if (expected === null || incarnation === expected) return null;
  return `has incarnation ${incarnation}, expected ${expected}`;
}

/** The reason for which the dialer ends the connection after this welcome, or null. */
export function mismatchOf(
  welcome: Welcome,
  self: TransportIdentity,
  expected: string,
  peer: ExpectedPeer = { incarnation: null },
): string | null {
  if (welcome.cluster !== self.cluster) return 'belongs to another cluster';
  if (welcome.id !== expected) return `is ${welcome.id}, expected ${expected}`;
  if (welcome.dialer !== self.id) return `takes us for ${welcome.dialer}`;
  return otherIncarnation(welcome, peer);
}

/** Collects one handshake message from the beginning of a stream. */
export class HandshakeReader {
  private readonly held = new Uint8Array(HANDSHAKE_BYTES);
  private filled = 0;

  /** How many bytes have come. */
  get size(): number {
    return this.filled;
  }

  /**
   * The body, once it is complete; null before.
   * @throws Malformed as soon as the bytes cannot become a message, and when bytes follow it before its answer
   */
  push(chunk: Uint8Array): Uint8Array | null {
    if (chunk.length > this.held.length - this.filled) throw new Malformed('a handshake is too long');
    this.held.set(chunk, this.filled);
    this.filled += chunk.length;
    for (let at = 0; at < Math.min(this.filled, MAGIC.length); at++) {
      if (this.held[at] !== MAGIC[at]) throw new Malformed('this is not the protocol of Quorate');
    }
    if (this.filled < HEAD_BYTES) return null;
    const length = (this.held[MAGIC.length] as number) | ((this.held[MAGIC.length + 1] as number) << 8);
    if (length > BODY_BYTES) throw new Malformed('a handshake is too long');
    if (this.filled > HEAD_BYTES + length) throw new Malformed('bytes follow a handshake');
    return this.filled < HEAD_BYTES + length ? null : this.held.subarray(HEAD_BYTES, this.filled);
  }
}
