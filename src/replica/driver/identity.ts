/**
 * Telling a first start from a lost disk (identity/lost-disk-has-no-vote): they look the same from inside. One without
 * the durable mark asks the other members to record its incarnation, and takes part only once ⌊(n−1)/2⌋+1 of them
 * have done so durably and its own mark is durable. Any two such sets share a member, so a replica that lost its
 * disk meets one that knows better, and stops.
 *
 * Also the books of the peers' incarnations: what is said under another one is dropped.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { readConfiguration, writeConfiguration, type Configuration, type ReplicaId } from '../../core/members.js';
import type { Milliseconds } from '../../core/protocol.js';
import { endAll, refusalOf } from './calls.js';
import type { DriverDraft } from './draft.js';
import type { DriverState, Failure, PeerRecord, PeerIntroduction } from './state.js';
import { sealIdentity, type EnvelopeAddress, type IdentityMessage } from './envelope.js';

/** How often those who have not answered are asked again. */
export const INTRODUCE_EVERY: Milliseconds = 250;

export const IDENTITY_KEY = 'identity';
export const PEERS_KEY = 'peers';
/** The durable mark: stored once enough peers have recorded this incarnation. */
export const ESTABLISHED_KEY = 'established';
const VERSION = 1;

/** What is stored at format, and decides whose data this is. */
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
  }
  return writer.finish();
}

/** @throws Malformed */
export function decodePeers(bytes: Uint8Array): readonly PeerRecord[] {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('peer records are of an unknown version');
  const peers: PeerRecord[] = [];
  for (let left = reader.count(2); left > 0; left--) peers.push({ id: reader.ascii(64), incarnation: reader.varint() });
  reader.end();
  return peers;
}

/** How many of the other members must have recorded a replica of a cluster of `members`. */
export function recordersNeeded(members: number): number {
  return members === 1 ? 0 : Math.floor((members - 1) / 2) + 1;
}

function introductionOf(state: DriverState, peer: ReplicaId): PeerIntroduction | undefined {
  return state.introducedTo.find((introduction) => introduction.id === peer);
}

function addressTo(draft: DriverDraft, introduction: PeerIntroduction): EnvelopeAddress {
  return { from: draft.next.options.incarnation, to: introduction.incarnation };
}

function change(draft: DriverDraft, id: ReplicaId, by: Partial<PeerIntroduction>): void {
  draft.next.introducedTo = draft.next.introducedTo.map((each) => (each.id === id ? { ...each, ...by } : each));
}

/** Records whose data goes by a peer's name. Gives the write that makes it durable. */
function record(draft: DriverDraft, id: ReplicaId, incarnation: number): number {
  const known = draft.next.introducedTo.filter((each) => each.incarnation !== 0 && each.id !== id);
  const writeId = draft.set(PEERS_KEY, encodePeers([...known, { id, incarnation }]));
  change(draft, id, { incarnation, writeId });
  return writeId;
}

/** Asks those who have not answered, and goes on when nobody needs to be asked. */
export function introduce(draft: DriverDraft): void {
  const { next } = draft;
  if (next.phase !== 'establishing' || next.establishedWriteId !== 0) return;
  const { configurationHash } = next.options;
  for (const introduction of next.introducedTo) {
    if (introduction.recorded) continue;
    const bytes = sealIdentity({ kind: 'introduce', configurationHash }, { from: next.options.incarnation, to: 0 });
    draft.effect({ kind: 'send', to: introduction.id, bytes, lane: 'control' });
  }
  next.askAt = next.now + INTRODUCE_EVERY;
  establishIfRecorded(draft);
}

/** Enough have recorded us: the durable mark is written, and once it is durable the core starts. */
function establishIfRecorded(draft: DriverDraft): void {
  const { options, introducedTo, establishedWriteId } = draft.next;
  const answered = introducedTo.filter((introduction) => introduction.recorded).length;
  if (establishedWriteId !== 0 || answered < recordersNeeded(options.configuration.members.length)) return;
  draft.next.establishedWriteId = draft.set(ESTABLISHED_KEY, new Uint8Array([VERSION]));
}

/** Whether the mark has become durable and the core is to start. */
export function isEstablished(state: DriverState): boolean {
  return (
    state.phase === 'establishing' && state.establishedWriteId !== 0 && state.establishedWriteId <= state.durableWriteId
  );
}

function onIntroduce(draft: DriverDraft, introduction: PeerIntroduction, incarnation: number, digest: string): void {
  const { options } = draft.next;
  const known = introduction.incarnation;
  if (known !== 0 && known !== incarnation) {
    reply(draft, introduction, { kind: 'refused', reason: 'incarnation' }, incarnation, 0);
  } else if (digest !== options.configurationHash) {
    draft.event({ kind: 'configurationMismatch', peer: introduction.id });
    reply(draft, introduction, { kind: 'refused', reason: 'configuration' }, incarnation, 0);
  } else {
    const writeId = known === 0 ? record(draft, introduction.id, incarnation) : introduction.writeId;
    reply(draft, introduction, { kind: 'recorded' }, incarnation, writeId);
  }
}

function reply(
  draft: DriverDraft,
  to: PeerIntroduction,
  message: IdentityMessage,
  incarnation: number,
  writeId: number,
): void {
  const bytes = sealIdentity(message, { from: draft.next.options.incarnation, to: incarnation });
  draft.sendAfterWrite(to.id, bytes, writeId);
}

/** A message about identity arrived; `address.to` of an answer echoes the incarnation that asked. */
export function onIdentity(
  draft: DriverDraft,
  from: ReplicaId,
  address: EnvelopeAddress,
  message: IdentityMessage,
): void {
  const introduction = introductionOf(draft.next, from);
  const { phase, options } = draft.next;
  if (introduction === undefined || address.from === 0 || (phase !== 'establishing' && phase !== 'running')) return;
  if (message.kind === 'introduce') return onIntroduce(draft, introduction, address.from, message.configurationHash);
  if (phase !== 'establishing' || address.to !== options.incarnation) return;
  if (message.kind === 'recorded') {
    if (introduction.incarnation === 0) record(draft, from, address.from);
    change(draft, from, { recorded: true });
    establishIfRecorded(draft);
  } else if (message.reason === 'configuration') {
    draft.event({ kind: 'configurationMismatch', peer: from });
  } else {
    draft.next.phase = 'lostIdentity';
    endAll(draft, refusalOf(draft.next) as Failure);
    draft.event({ kind: 'lostIdentity', peer: from });
  }
}

/**
 * Whether a core message may be let in: meant for this incarnation, and from the one recorded for its sender. The
 * first word of a peer that nothing is recorded for is recorded.
 */
export function admits(draft: DriverDraft, from: ReplicaId, address: EnvelopeAddress): boolean {
  const introduction = introductionOf(draft.next, from);
  if (introduction === undefined || address.from === 0) return false;
  if (address.to !== 0 && address.to !== draft.next.options.incarnation) return false;
  if (introduction.incarnation === 0) record(draft, from, address.from);
  else if (introduction.incarnation !== address.from) {
    draft.event({ kind: 'dropped', peer: from, reason: 'another incarnation speaks in its name' });
    return false;
  }
  return true;
}

/** The address of a core message to `to`. */
export function coreAddress(draft: DriverDraft, to: ReplicaId): EnvelopeAddress {
  const introduction = introductionOf(draft.next, to);
  return introduction === undefined ? { from: draft.next.options.incarnation, to: 0 } : addressTo(draft, introduction);
}
