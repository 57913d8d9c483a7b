/**
 * What a replica records of its peers: notes, which another incarnation may take, and final records, which it never
 * may. Whoever is established, out or still asking records and answers alike.
 *
 * A message of the core proves that its sender is established: it makes the record final, and waits until that is
 * durable. Messages from any other incarnation than that of the final record are dropped.
 *
 * Invariants: a final record never changes; a member answers that it has noted or confirmed an incarnation only when
 * that is durable.
 */

import type { Member, ReplicaId } from '../../core/members.js';
import type { Mutable } from '../../core/draft.js';
import type { Milliseconds } from '../../core/protocol.js';
import { firstNumberOf } from '../../core/state.js';
import { sealIdentity, type EnvelopeAddress, type IdentityMessage } from './envelope.js';
import { PartDraft } from './part-draft.js';
import { PEERS_KEY, encodePeers } from './stored-identity.js';
import type { DriverOptions, PeerRecord, PeerToReach } from './state.js';

/** Members that have not answered are asked again after this time, which doubles up to the longest one. */
export const ASK_EVERY: Milliseconds = 250;
/** How many bytes of the core's messages may wait for the final records of their senders; more are dropped. */
const HELD_BYTES = 1024 * 1024;

/** What is recorded of a peer, and the write that makes it durable; 0 if it was recovered. */
export interface PeerIncarnation {
  readonly incarnation: number;
  /** A note may be replaced, a final record never. */
  readonly final: boolean;
  readonly writeId: number;
}

/** Another member: what is recorded of it here, and what it has answered in the current round of this replica. */
export interface PeerIntroduction {
  readonly id: ReplicaId;
  readonly record: PeerIncarnation | null;
  readonly answer: 'none' | 'noted' | 'confirmed';
  /** Why it last refused this replica, for people; `null` if it has not, or has answered since. */
  readonly refusal: string | null;
}

/** The stages of a first start: asking the peers, writing the flag `established`, and that flag is durable. */
export type Standing =
  | {
      readonly kind: 'asking';
      /** Names the questions; answers to earlier ones are ignored. */
      readonly round: number;
      readonly askedAt: Milliseconds;
      readonly askAt: Milliseconds;
      /** The back-off after another incarnation took a note away. */
      readonly notBefore: Milliseconds;
      readonly wait: Milliseconds;
      readonly seed: number;
    }
  | { readonly kind: 'marking'; readonly writeId: number }
  | { readonly kind: 'established' };

export type Asking = Extract<Standing, { readonly kind: 'asking' }>;

/** A message of the core that waits until the final record of its sender is durable. */
export interface HeldReceipt {
  readonly from: ReplicaId;
  readonly bytes: Uint8Array;
  readonly writeId: number;
}

/** @see IdentityDraft */
export interface IdentityState {
  readonly standing: Standing;
  readonly introducedTo: readonly PeerIntroduction[];
  readonly held: readonly HeldReceipt[];
}

export function initialIdentity(options: DriverOptions): IdentityState {
  const { id: own, boot, configuration, established, now, peers, seed } = options;
  const recovered = new Map(peers.map(({ id, incarnation, final }) => [id, { incarnation, final, writeId: 0 }]));
  const others = configuration.members.filter(({ id }) => id !== own);
  return {
    standing: established
      ? { kind: 'established' }
      : {
          kind: 'asking',
          round: firstNumberOf(boot) + 1,
          askedAt: -Infinity,
          askAt: now,
          notBefore: now,
          wait: ASK_EVERY,
          seed,
        },
    introducedTo: others.map(({ id }) => ({ id, record: recovered.get(id) ?? null, answer: 'none', refusal: null })),
    held: [],
  };
}

/**
 * The members as the transport is to reach them. Only an established replica names incarnations: one that is not may
 * need the answers of a member that has lost its identity (identity/first-starts-complete).
 */
function reachableBy({ standing, introducedTo }: IdentityState, members: readonly Member[]): readonly PeerToReach[] {
  return members.map(({ id, address }) => {
    const record = introducedTo.find((peer) => peer.id === id)?.record;
    const isKnown = standing.kind === 'established' && record?.final === true;
    return isKnown ? { id, address, incarnation: record.incarnation } : { id, address };
  });
}

/** The members as the transport is to reach them at a start. */
export function peersAtStart(options: DriverOptions): readonly PeerToReach[] {
  return reachableBy(initialIdentity(options), options.configuration.members);
}

export class PeerRecordsDraft extends PartDraft<IdentityState> {
  protected override copy(state: IdentityState): Mutable<IdentityState> {
    return { standing: state.standing, introducedTo: state.introducedTo, held: state.held };
  }

  protected peer(id: ReplicaId): PeerIntroduction | undefined {
    return this.state.introducedTo.find((peer) => peer.id === id);
  }

  protected change(id: ReplicaId, by: Partial<PeerIntroduction>): void {
    const next = this.edit();
    next.introducedTo = next.introducedTo.map((peer) => (peer.id === id ? { ...peer, ...by } : peer));
  }

  /** Records a peer's incarnation. Returns the `writeId` of the write that makes the record durable. */
  protected record(id: ReplicaId, incarnation: number, final: boolean): number {
    const records: PeerRecord[] = [];
    for (const { id: peer, record } of this.state.introducedTo) {
      if (record !== null && peer !== id) {
        records.push({ id: peer, incarnation: record.incarnation, final: record.final });
      }
    }
    const writeId = this.draft.lane.set(PEERS_KEY, encodePeers([...records, { id, incarnation, final }]));
    this.change(id, { record: { incarnation, final, writeId } });
    if (final) this.tellTransport();
    return writeId;
  }

  /** The members as the transport is to reach them. */
  reachable(members: readonly Member[]): readonly PeerToReach[] {
    return reachableBy(this.state, members);
  }

  protected tellTransport(): void {
    const { draft } = this;
    if (this.state.standing.kind !== 'established') return;
    draft.effect({ kind: 'peers', members: this.reachable(draft.options.configuration.members) });
  }

  /** A peer asks to be noted under this incarnation. */
  protected note(
    { id, record }: PeerIntroduction,
    incarnation: number,
    round: number,
    configurationHash: string,
  ): void {
    const isKnown = record !== null && record.incarnation === incarnation;
    if (record !== null && record.final && !isKnown) {
      this.reply(id, { kind: 'refused', round, reason: 'incarnation' }, incarnation, 0);
    } else if (configurationHash !== this.draft.options.configurationHash) {
      this.draft.event({ kind: 'configurationMismatch', peer: id });
      this.reply(id, { kind: 'refused', round, reason: 'configuration' }, incarnation, 0);
    } else {
      const writeId = isKnown ? record.writeId : this.record(id, incarnation, false);
      this.reply(id, { kind: isKnown && record.final ? 'confirmed' : 'noted', round }, incarnation, writeId);
    }
  }

  /** A peer asks to make its note final. */
  protected confirm({ id, record }: PeerIntroduction, incarnation: number, round: number): void {
    if (record === null || record.incarnation !== incarnation) {
      const reason = record?.final === true ? 'incarnation' : 'replaced';
      return this.reply(id, { kind: 'refused', round, reason }, incarnation, 0);
    }
    const writeId = record.final ? record.writeId : this.record(id, incarnation, true);
    this.reply(id, { kind: 'confirmed', round }, incarnation, writeId);
  }

  /** @param after the `writeId` that must be durable before the answer is sent; 0 for none */
  protected reply(to: ReplicaId, message: IdentityMessage, incarnation: number, after: number): void {
    const bytes = sealIdentity(message, { from: this.draft.options.incarnation, to: incarnation });
    this.draft.lane.sendAfterWrite(to, bytes, after);
  }

  /**
   * Whether the core gets a message now: it must be addressed to this incarnation and come from the incarnation of the
   * final record of its sender. If there is none it becomes final; the message waits until that is durable, and comes
   * back by `release`.
   */
  admits(from: ReplicaId, { from: incarnation, to }: EnvelopeAddress, bytes: Uint8Array): boolean {
    const { draft } = this;
    const peer = this.peer(from);
    if (peer === undefined || (to !== null && to !== draft.options.incarnation)) return false;
    const { record } = peer;
    if (record?.final === true && record.incarnation !== incarnation) {
      draft.event({ kind: 'dropped', peer: from, reason: 'another incarnation speaks in its name' });
      return false;
    }
    const writeId = record?.final === true ? record.writeId : this.record(from, incarnation, true);
    if (draft.phase.kind !== 'running') return false;
    if (writeId <= draft.lane.state.durableWriteId) return true;
    const { held } = this.state;
    const size = held.reduce((sum, each) => sum + each.bytes.length, bytes.length);
    if (size <= HELD_BYTES) this.edit().held = [...held, { from, bytes, writeId }];
    return false;
  }

  /** The messages that have waited for a record that is durable now. */
  release(): readonly HeldReceipt[] {
    const { held } = this.state;
    if (held.length === 0) return held;
    const { durableWriteId } = this.draft.lane.state;
    const due = held.filter(({ writeId }) => writeId <= durableWriteId);
    if (due.length > 0) this.edit().held = held.filter(({ writeId }) => writeId > durableWriteId);
    return due;
  }

  /** The address of a core message to `to`. */
  addressOf(to: ReplicaId): EnvelopeAddress {
    const record = this.peer(to)?.record;
    return { from: this.draft.options.incarnation, to: record?.final === true ? record.incarnation : null };
  }
}
