/** The state of a Raft replica: the box "State" of Figure 2, and what a host's promises and bounds add to it. */

import type { Mutable } from '../core/draft.js';
import type { ReplicaId } from '../core/members.js';
import type { Index, Milliseconds, Term } from '../core/protocol.js';
import type { ReadQueue } from '../core/reads.js';
import type { CoreFollower, CoreLeader, CoreState, Forwarder } from '../core/state.js';

/** Entries under way to a peer in one message. */
export interface RaftInflight {
  readonly last: Index;
  readonly bytes: number;
}

/** A leader's view of one follower ("volatile state on leaders"). */
export interface RaftProgress {
  readonly id: ReplicaId;
  /** Names this view, in every append and its answers. */
  readonly viewId: number;
  /** matchIndex: durable there and agreeing with our log. */
  readonly match: Index;
  /** nextIndex: the next entry to send. */
  readonly next: Index;
  /** Where the logs agree is not known yet: one append at a time. */
  readonly probing: boolean;
  /** A probe is under way; the next leaves with its answer or the next heartbeat. */
  readonly asked: boolean;
  readonly inflight: readonly RaftInflight[];
  readonly inflightBytes: number;
  /** Something was acknowledged since the last heartbeat. */
  readonly progressed: boolean;
  /** It answered since a majority was last known to follow. */
  readonly answered: boolean;
  /** The newest read round that it confirmed. */
  readonly readRound: number;
  /** The load under way for it; 0 for none. */
  readonly loading: number;
}

export interface RaftFollower extends CoreFollower {
  /** Up to where our log is known to agree with this leader's. */
  readonly matched: Index;
  /** The newest read round of this leader that was confirmed. */
  readonly readRound: number;
}

export interface RaftCandidate {
  readonly kind: 'candidate';
  /** Who voted for us, ourselves once our vote is durable; each once. */
  readonly votes: readonly ReplicaId[];
}

/** Entries appended and not yet committed, by batch: what bounds the uncommitted bytes. */
export interface UncommittedBatch {
  readonly through: Index;
  readonly bytes: number;
}

export interface RaftLeader extends CoreLeader {
  readonly peers: readonly RaftProgress[];
  /** The index of our noop: with it everything before is committed (§5.4.2, §8). */
  readonly noopIndex: Index;
  readonly heartbeatAt: Milliseconds;
  readonly reads: ReadQueue;
  readonly forwarders: readonly Forwarder[];
  readonly uncommitted: readonly UncommittedBatch[];
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

/** A copy to change, by a literal: several times faster than a spread. */
export function copyState(s: RaftState): Mutable<RaftState> {
  return {
    options: s.options,
    now: s.now,
    seed: s.seed,
    lastNumber: s.lastNumber,
    persistSeq: s.persistSeq,
    durableSeq: s.durableSeq,
    hardSeq: s.hardSeq,
    unsynced: s.unsynced,
    log: s.log,
    delivery: s.delivery,
    role: s.role,
    electionTimer: s.electionTimer,
    attempts: s.attempts,
    reads: s.reads,
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
    forwarders: leader.forwarders,
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
    progressed: peer.progressed,
    answered: peer.answered,
    readRound: peer.readRound,
    loading: peer.loading,
  };
}
