/** The state of a Raft replica: the box "State" of Figure 2, and what a host's promises and bounds add to it. */

import type { Delivery } from '../core/delivery.js';
import type { CommonState, Mutable } from '../core/draft.js';
import type { Unsynced } from '../core/unsynced.js';
import type { Log } from '../core/log.js';
import type { Index, Limits, Milliseconds, Term, Timing } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { ForwardedRead, ReadQueue } from '../core/reads.js';
import type { Attempts } from '../core/attempts.js';
import type { ElectionTimer } from '../core/election-timer.js';

/** What never changes during a start. */
export interface RaftOptions {
  readonly id: ReplicaId;
  /** The other voters, ascending by number. */
  readonly others: readonly ReplicaId[];
  readonly timing: Timing;
  readonly limits: Limits;
}

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
  readonly heard: boolean;
  /** The newest read round that it confirmed. */
  readonly readRound: number;
  /** The load under way for it; 0 for none. */
  readonly loading: number;
}

export interface RaftFollower {
  readonly kind: 'follower';
  readonly leader: ReplicaId | null;
  readonly electionTimer: ElectionTimer;
  /** Up to where our log is known to agree with this leader's. */
  readonly matched: Index;
  /** The newest read round of this leader that was confirmed. */
  readonly readRound: number;
}

export interface RaftCandidate {
  readonly kind: 'candidate';
  /** Who voted for us, ourselves once our vote is durable; each once. */
  readonly votes: readonly ReplicaId[];
  readonly electionTimer: ElectionTimer;
}

/** Entries appended and not yet committed, by batch: what bounds the uncommitted bytes. */
export interface UncommittedBatch {
  readonly through: Index;
  readonly bytes: number;
}

export interface RaftLeader {
  readonly kind: 'leader';
  readonly peers: readonly RaftProgress[];
  /** The index of our noop: with it everything before is committed (§5.4.2, §8). */
  readonly noopIndex: Index;
  readonly heartbeatAt: Milliseconds;
  /** The silence of a majority. */
  readonly electionTimer: ElectionTimer;
  readonly reads: ReadQueue;
  /** Whose proposals were appended up to which index: they hear of the commit at once. */
  readonly forwarders: readonly { readonly peer: ReplicaId; readonly through: Index }[];
  readonly uncommitted: readonly UncommittedBatch[];
  readonly uncommittedBytes: number;
}

export type RaftRole = RaftFollower | RaftCandidate | RaftLeader;

export interface RaftState extends CommonState {
  readonly options: RaftOptions;
  readonly seed: number;
  /** currentTerm and votedFor: durable, one atomic record. */
  readonly term: Term;
  readonly vote: ReplicaId | null;
  /** log[]: durable as far as `unsynced` says. */
  readonly log: Log;
  readonly unsynced: Unsynced;
  /** commitIndex. */
  readonly commit: Index;
  readonly role: RaftRole;
  readonly attempts: Attempts;
  /** Reads that were passed on to the leader. */
  readonly reads: readonly ForwardedRead[];
  readonly delivery: Delivery;
  /** Why it takes no part any more. */
  readonly fault: string | null;
  readonly stopped: boolean;
}

/** Who leads, as far as is known. */
export function leaderOf(state: RaftState): ReplicaId | null {
  const { role } = state;
  if (role.kind === 'leader') return state.options.id;
  return role.kind === 'follower' ? role.leader : null;
}

/** The size of the cluster. */
export function voters(state: RaftState): number {
  return state.options.others.length + 1;
}

/** A copy to change, by a literal: several times faster than a spread. */
export function copyState(s: RaftState): Mutable<RaftState> {
  return {
    now: s.now,
    persistSeq: s.persistSeq,
    durableSeq: s.durableSeq,
    hardSeq: s.hardSeq,
    lastNumber: s.lastNumber,
    options: s.options,
    seed: s.seed,
    term: s.term,
    vote: s.vote,
    log: s.log,
    unsynced: s.unsynced,
    commit: s.commit,
    role: s.role,
    attempts: s.attempts,
    reads: s.reads,
    delivery: s.delivery,
    fault: s.fault,
    stopped: s.stopped,
  };
}

/** @see copyState */
export function copyLeader(leader: RaftLeader): Mutable<RaftLeader> {
  return {
    kind: 'leader',
    peers: leader.peers,
    noopIndex: leader.noopIndex,
    heartbeatAt: leader.heartbeatAt,
    electionTimer: leader.electionTimer,
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
    heard: peer.heard,
    readRound: peer.readRound,
    loading: peer.loading,
  };
}
