/**
 * The identity of a replica. A first start and a start after the loss of the disk look the same to the replica itself.
 * So a replica that is not established asks the other members to record its incarnation, and takes part only once
 * ⌊(n−1)/2⌋+1 of them have recorded it durably and its own flag `established` is durable. Any two such sets share a
 * member, so a replica that lost its disk reaches a member that has recorded the earlier incarnation, and stops.
 *
 * This file also keeps the peers' incarnations: a message from an incarnation other than the recorded one is dropped.
 *
 * Invariants: a recorded incarnation never changes; a member answers that it has recorded one only when that is
 * durable.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import { readConfiguration, writeConfiguration, type Configuration, type ReplicaId } from '../../core/members.js';
import type { Mutable } from '../../core/draft.js';
import type { Milliseconds } from '../../core/protocol.js';
import { sealIdentity, type EnvelopeAddress, type IdentityMessage } from './envelope.js';
import { PartDraft } from './part-draft.js';
import type { DriverOptions, PeerRecord } from './state.js';

/** The interval at which members that have not answered are asked again. */
const INTRODUCE_EVERY: Milliseconds = 250;

export const IDENTITY_KEY = 'identity';
export const PEERS_KEY = 'peers';
/** Stored once enough peers have recorded this incarnation. */
export const ESTABLISHED_KEY = 'established';
const VERSION = 1;

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
function recordersNeeded(members: number): number {
  return members === 1 ? 0 : Math.floor((members - 1) / 2) + 1;
}

/** The incarnation recorded for a peer, and the write that makes the record durable; 0 if it was recovered. */
export interface PeerIncarnation {
  readonly incarnation: number;
  readonly writeId: number;
}

/** Another member: the incarnation recorded for it here, and whether it has recorded this replica's. */
export interface PeerIntroduction {
  readonly id: ReplicaId;
  /** `null` before its first message. */
  readonly known: PeerIncarnation | null;
  /** Whether it has recorded this replica's incarnation durably. */
  readonly recorded: boolean;
}

/** The stages of a first start: asking the peers, writing the flag `established`, and that flag is durable. */
export type Standing =
  | { readonly kind: 'introducing'; readonly askAt: Milliseconds }
  | { readonly kind: 'recorded'; readonly writeId: number }
  | { readonly kind: 'established' };

/** @see IdentityDraft */
export interface IdentityState {
  readonly standing: Standing;
  readonly introducedTo: readonly PeerIntroduction[];
}

export function initialIdentity(options: DriverOptions): IdentityState {
  const recovered = new Map(options.peers.map(({ id, incarnation }) => [id, { incarnation, writeId: 0 }]));
  const others = options.configuration.members.filter(({ id }) => id !== options.id);
  return {
    standing: options.established ? { kind: 'established' } : { kind: 'introducing', askAt: options.now },
    introducedTo: others.map(({ id }) => ({ id, known: recovered.get(id) ?? null, recorded: false })),
  };
}

export class IdentityDraft extends PartDraft<IdentityState> {
  protected override copy(state: IdentityState): Mutable<IdentityState> {
    return { standing: state.standing, introducedTo: state.introducedTo };
  }

  private peer(id: ReplicaId): PeerIntroduction | undefined {
    return this.state.introducedTo.find((peer) => peer.id === id);
  }

  private change(id: ReplicaId, by: Partial<PeerIntroduction>): void {
    const next = this.edit();
    next.introducedTo = next.introducedTo.map((peer) => (peer.id === id ? { ...peer, ...by } : peer));
  }

  /** Records a peer's incarnation. Returns the `writeId` of the write that makes the record durable. */
  private record(id: ReplicaId, incarnation: number): number {
    const records: PeerRecord[] = [];
    for (const { id: peer, known } of this.state.introducedTo) {
      if (known !== null && peer !== id) records.push({ id: peer, incarnation: known.incarnation });
    }
    const writeId = this.draft.lane.set(PEERS_KEY, encodePeers([...records, { id, incarnation }]));
    this.change(id, { known: { incarnation, writeId } });
    return writeId;
  }

  /** Asks the members that have not answered, if it is time; goes on at once if no answer is needed. */
  introduce(): void {
    const { draft } = this;
    const { standing, introducedTo } = this.state;
    if (draft.phase.kind !== 'establishing' || standing.kind !== 'introducing' || draft.now < standing.askAt) return;
    const { configurationHash, incarnation } = draft.options;
    for (const { id, recorded } of introducedTo) {
      if (recorded) continue;
      const bytes = sealIdentity({ kind: 'introduce', configurationHash }, { from: incarnation, to: null });
      draft.effect({ kind: 'send', to: id, bytes, lane: 'control' });
    }
    this.edit().standing = { kind: 'introducing', askAt: draft.now + INTRODUCE_EVERY };
    this.establishIfRecorded();
  }

  /** If enough members have recorded this replica, writes the flag; the core starts once that is durable. */
  private establishIfRecorded(): void {
    const { standing, introducedTo } = this.state;
    const recorders = introducedTo.filter(({ recorded }) => recorded).length;
    const needed = recordersNeeded(this.draft.options.configuration.members.length);
    if (standing.kind !== 'introducing' || recorders < needed) return;
    const writeId = this.draft.lane.set(ESTABLISHED_KEY, new Uint8Array([VERSION]));
    this.edit().standing = { kind: 'recorded', writeId };
  }

  /** Returns whether the flag has become durable since the last call, so that the core can start. */
  establish(): boolean {
    const { standing } = this.state;
    if (standing.kind !== 'recorded' || standing.writeId > this.draft.lane.state.durableWriteId) return false;
    this.edit().standing = { kind: 'established' };
    return true;
  }

  /** A message about identity arrived. The address of an answer repeats the incarnation that asked. */
  receive(from: ReplicaId, address: EnvelopeAddress, message: IdentityMessage): void {
    const peer = this.peer(from);
    const { phase, options } = this.draft;
    if (peer === undefined || (phase.kind !== 'establishing' && phase.kind !== 'running')) return;
    if (message.kind === 'introduce') return this.answer(peer, address.from, message.configurationHash);
    if (phase.kind !== 'establishing' || address.to !== options.incarnation) return;
    if (message.kind === 'recorded') {
      if (peer.known === null) this.record(from, address.from);
      this.change(from, { recorded: true });
      this.establishIfRecorded();
    } else if (message.reason === 'configuration') {
      this.draft.event({ kind: 'configurationMismatch', peer: from });
    } else {
      this.draft.loseIdentity(from);
    }
  }

  /** A peer asks to be recorded under this incarnation. */
  private answer({ id, known }: PeerIntroduction, incarnation: number, configurationHash: string): void {
    if (known !== null && known.incarnation !== incarnation) {
      this.reply(id, { kind: 'refused', reason: 'incarnation' }, incarnation, 0);
    } else if (configurationHash !== this.draft.options.configurationHash) {
      this.draft.event({ kind: 'configurationMismatch', peer: id });
      this.reply(id, { kind: 'refused', reason: 'configuration' }, incarnation, 0);
    } else {
      const writeId = known === null ? this.record(id, incarnation) : known.writeId;
      this.reply(id, { kind: 'recorded' }, incarnation, writeId);
    }
  }

  /** @param after the `writeId` that must be durable before the answer is sent; 0 for none */
  private reply(to: ReplicaId, message: IdentityMessage, incarnation: number, after: number): void {
    const bytes = sealIdentity(message, { from: this.draft.options.incarnation, to: incarnation });
    this.draft.lane.sendAfterWrite(to, bytes, after);
  }

  /**
   * Whether the core gets a message: it must be addressed to this incarnation and come from the incarnation recorded
   * for its sender. If none is recorded yet, this one is.
   */
  admits(from: ReplicaId, { from: incarnation, to }: EnvelopeAddress): boolean {
    const peer = this.peer(from);
    if (peer === undefined || (to !== null && to !== this.draft.options.incarnation)) return false;
    if (peer.known === null) this.record(from, incarnation);
    else if (peer.known.incarnation !== incarnation) {
      this.draft.event({ kind: 'dropped', peer: from, reason: 'another incarnation speaks in its name' });
      return false;
    }
    return true;
  }

  /** The address of a core message to `to`. */
  addressOf(to: ReplicaId): EnvelopeAddress {
    const incarnation = this.peer(to)?.known?.incarnation ?? null;
    return { from: this.draft.options.incarnation, to: incarnation };
  }
}
