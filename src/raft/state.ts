/** The state of a Raft replica: the box "State" of Figure 2, and what flow control, reads and forwarding add to it. */

import type { Book, BookItem } from '../core/book.js';
import type { Mutable } from '../core/draft.js';
import type { Grants } from '../core/lease-reads.js';
import type { ReplicaId } from '../core/members.js';
import type { Index, Lane, Milliseconds, Term } from '../core/protocol.js';
import type { Preferred } from '../core/priority.js';
import type { ReadQueue } from '../core/reads.js';
import type { StandingProposals } from '../core/standing.js';
import type { CoreFollower, CoreLeader, CoreProgress, CoreState } from '../core/state.js';
import type { Transferring } from '../core/transferring.js';

/** Entries under way to a peer in one message. */
export interface RaftInflight {
  readonly last: Index;
  readonly bytes: number;
}

/** A leader's view of one follower ("volatile state on leaders"). */
export interface RaftProgress extends CoreProgress {
  readonly id: ReplicaId;
  /** The id of this record, in every append and its answers. */
  readonly viewId: number;
  /** matchIndex: up to here its log is durable and agrees with ours. */
  readonly match: Index;
  /** nextIndex: the next entry to send. */
  readonly next: Index;
  /** It is not known yet where the logs agree: one append at a time. */
  readonly probing: boolean;
  /** A probe is under way; the next one leaves after its answer, or at the next heartbeat. */
  readonly asked: boolean;
  /** The appends with entries that were not answered; while it is probed, the probe. */
  readonly inflight: readonly RaftInflight[];
  readonly inflightBytes: number;
  /** The lane of what is under way: appends that follow one another do not overtake each other. */
  readonly lane: Lane;
  /** When something was last acknowledged, or asked for, or sent while nothing was under way. */
  readonly progressedAt: Milliseconds;
  /** It was asked whether it has what is under way, and nothing was sent or acknowledged since. */
  readonly questioned: boolean;
  readonly answeredAt: Milliseconds;
  /** The newest read round that it confirmed. */
  readonly readRound: number;
  /** The load under way for it; 0 for none. */
  readonly loading: number;
}

export interface RaftFollower extends CoreFollower {
  /** The highest index up to which our log is known to agree with this leader's. */
  readonly matched: Index;
  /** The newest read round of this leader that was confirmed. */
  readonly readRound: number;
}

export interface RaftCandidate {
  readonly kind: 'candidate';
  /** The voters, each once; this replica itself once its vote is durable. */
  readonly votes: readonly ReplicaId[];
}

/** A batch of entries appended and not yet committed, by its last index: counted to bound the uncommitted bytes. */
export interface UncommittedBatch extends BookItem {
  readonly key: Index;
  readonly bytes: number;
}

export interface RaftLeader extends CoreLeader {
  readonly peers: readonly RaftProgress[];
  /** The index of our no-op: once it is committed, everything before it is (§5.4.2, §8). */
  readonly noopIndex: Index;
  readonly heartbeatAt: Milliseconds;
  readonly reads: ReadQueue;
  readonly told: readonly Index[];
  readonly forwarded: readonly Index[];
  readonly standing: StandingProposals | null;
  readonly grants: Grants;
  readonly transfer: Transferring | null;
  readonly giveWayAt: Milliseconds;
  readonly preferred: Preferred | null;
  readonly uncommitted: Book<UncommittedBatch>;
  readonly uncommittedBytes: number;
}

export type RaftRole = RaftFollower | RaftCandidate | RaftLeader;

export interface RaftState extends CoreState {
  /** currentTerm and votedFor: durable, one atomic record. */
  readonly term: Term;
  readonly vote: ReplicaId | null;
  // log[] is `log`: durable as far as `unsynced` says.
  /** commitIndex. */
  readonly commit: Index;
  readonly role: RaftRole;
}

/** A copy to change, written as a literal: several times faster than a spread. */
export function copyState(s: RaftState): Mutable<RaftState> {
  return {
    options: s.options,
    now: s.now,
    seed: s.seed,
    lastNumber: s.lastNumber,
    persistSeq: s.persistSeq,
    durableSeq: s.durableSeq,
    hardSeq: s.hardSeq,
    unsyncedSince: s.unsyncedSince,
    unsynced: s.unsynced,
    log: s.log,
    delivery: s.delivery,
    role: s.role,
    electionTimer: s.electionTimer,
    preVoting: s.preVoting,
    attempts: s.attempts,
    reads: s.reads,
    patience: s.patience,
    leaving: s.leaving,
    storageFull: s.storageFull,
    refusedHandover: s.refusedHandover,
    bound: s.bound,
    freshness: s.freshness,
    snapshot: s.snapshot,
    stamp: s.stamp,
    stampedAt: s.stampedAt,
    clocks: s.clocks,
    wake: s.wake,
    forwardedBytes: s.forwardedBytes,
    answeredBytes: s.answeredBytes,
    stopped: s.stopped,
    fault: s.fault,
    term: s.term,
    vote: s.vote,
    commit: s.commit,
  };
}

/** @see copyState */
export function copyLeader(leader: RaftLeader): Mutable<RaftLeader> {
  return {
    kind: 'leader',
    peers: leader.peers,
    noopIndex: leader.noopIndex,
    heartbeatAt: leader.heartbeatAt,
    reads: leader.reads,
    told: leader.told,
    forwarded: leader.forwarded,
    standing: leader.standing,
    grants: leader.grants,
    transfer: leader.transfer,
    giveWayAt: leader.giveWayAt,
    preferred: leader.preferred,
    uncommitted: leader.uncommitted,
    uncommittedBytes: leader.uncommittedBytes,
  };
}

/** @see copyState */
export function copyProgress(peer: RaftProgress): Mutable<RaftProgress> {
  return {
    id: peer.id,
    viewId: peer.viewId,
    match: peer.match,
    next: peer.next,
    probing: peer.probing,
    asked: peer.asked,
    inflight: peer.inflight,
    inflightBytes: peer.inflightBytes,
    lane: peer.lane,
    progressedAt: peer.progressedAt,
    questioned: peer.questioned,
    answeredAt: peer.answeredAt,
    readRound: peer.readRound,
    loading: peer.loading,
  };
}
