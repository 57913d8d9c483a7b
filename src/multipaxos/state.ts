/**
 * What a replica remembers. It is proposer (`role`), acceptor (`promised`, `window`) and learner (`log`) side
 * by side.
 *
 * Two stores, never mixed: `log` is the chosen prefix, whose last index is W; `window` holds the votes above W. What
 * survives a crash is `promised`, the votes, and W as a hint: on disk there are votes only above the W of the hard
 * state, and chosen entries only at or below it.
 */

import type { Delivery } from '../core/delivery.js';
import type { CommonState } from '../core/draft.js';
import type { Unsynced } from '../core/unsynced.js';
import type { Log } from '../core/log.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, Index, Limits, Milliseconds, RequestNumber, Timing } from '../core/protocol.js';
import type { ForwardedRead, ReadQueue } from '../core/reads.js';
import type { Attempts } from '../core/attempts.js';
import type { ElectionTimer } from '../core/election-timer.js';
import type { Ballot } from './ballot.js';
import type { PaxosProgress } from './progress.js';
import type { VoteWindow } from './window.js';

/** What never changes within a start. */
export interface PaxosOptions {
  readonly id: ReplicaId;
  /** This member's number: the lower part of its ballots. */
  readonly number: number;
  /** The other members, in the order of the configuration; everything kept per peer is in this order. */
  readonly others: readonly Member[];
  /** How many slots above W may be under way. */
  readonly alpha: number;
  readonly timing: Timing;
  readonly limits: Limits;
}

/** Proposes nothing. */
export interface PaxosFollower {
  readonly kind: 'follower';
  /** Who leads, by its own word; `null` when unknown. */
  readonly leader: ReplicaId | null;
  /** The ballot in which it leads; 0 when unknown. */
  readonly ballot: Ballot;
}

/** One acceptor's promise as far as it has come. */
export interface PromiseProgress {
  /** The first slot of the page that is waited for. */
  readonly from: Index;
  /** The last page is there: only now it counts. */
  readonly complete: boolean;
  /** The largest chosen prefix of any page. */
  readonly commit: Index;
  /** The votes of all pages, ascending. */
  readonly votes: readonly Entry[];
}

/** In Phase 1. */
export interface PaxosCandidate {
  readonly kind: 'candidate';
  readonly ballot: Ballot;
  readonly promises: readonly PromiseProgress[];
  /** When to ask again whoever has not answered. */
  readonly resendAt: Milliseconds;
}

/** Entries up to `through` came from a peer that should hear when they are chosen. */
export interface Forwarder {
  readonly peer: ReplicaId;
  readonly through: Index;
}

/** In Phase 2. */
export interface PaxosLeader {
  readonly kind: 'leader';
  readonly ballot: Ballot;
  /** F: everything up to here was chosen when it was elected; never proposed. */
  readonly committedAtElection: Index;
  /** The slot of its own first no-op, right above F and every vote reported: what it re-proposes ends before. */
  readonly noopIndex: Index;
  /** The next slot that it proposes. */
  readonly next: Index;
  /** Votes of Phase 1 still to be re-proposed, from `next` on, ascending; gaps become no-ops. */
  readonly toRepropose: readonly Entry[];
  readonly peers: readonly PaxosProgress[];
  readonly heartbeatAt: Milliseconds;
  /** How long a majority has not been heard (CheckQuorum). */
  readonly quorumTimer: ElectionTimer;
  readonly reads: ReadQueue;
  readonly forwarders: readonly Forwarder[];
}

export type PaxosRole = PaxosFollower | PaxosCandidate | PaxosLeader;

/** A question for chosen entries that is under way. */
export interface CatchingUp {
  readonly number: number;
  readonly peer: ReplicaId;
  /** This much is said to be chosen. */
  readonly target: Index;
  /** When to ask another peer. */
  readonly retryAt: Milliseconds;
  /** How many have been asked in vain. */
  readonly asked: number;
}

/** A peer's question for which the storage was asked. */
export interface Serving {
  /** The number of the load. */
  readonly load: number;
  readonly peer: ReplicaId;
  /** The number of the question. */
  readonly number: number;
  readonly from: Index;
}

export interface PaxosState extends CommonState {
  readonly options: PaxosOptions;
  /** The generator's state; used by `nextSeed` only. */
  readonly seed: number;

  /** Acceptor: the highest ballot promised. */
  readonly promised: Ballot;
  /** Acceptor: the votes above W. */
  readonly window: VoteWindow;
  /** Which puts are on their way to disk. */
  readonly unsynced: Unsynced;

  /** Learner: the chosen prefix; `log.last` is W. */
  readonly log: Log;
  /** Learner: the leader of this ballot said that everything up to `leaderCommit` is chosen. */
  readonly leaderCommitBallot: Ballot;
  readonly leaderCommit: Index;
  readonly delivery: Delivery;
  readonly catchingUp: CatchingUp | null;
  readonly serving: readonly Serving[];

  /** Proposer. */
  readonly role: PaxosRole;
  /** The highest ballot that was held against one of ours. */
  readonly highestBallotSeen: Ballot;
  /** When a follower campaigns, and a candidate again. */
  readonly electionTimer: ElectionTimer;

  readonly attempts: Attempts;
  /** Reads passed on to the leader. */
  readonly reads: readonly ForwardedRead[];
  /** Over: nothing changes any more. */
  readonly stopped: boolean;
  /** Why, if its storage failed. */
  readonly fault: string | null;
}

/** W: everything up to here is known to be chosen. */
export function commitOf(state: PaxosState): Index {
  return state.log.last;
}

/** Who leads as far as this replica knows. */
export function leaderOf(state: PaxosState): ReplicaId | null {
  const { role } = state;
  return role.kind === 'leader' ? state.options.id : role.kind === 'follower' ? role.leader : null;
}

/** Where a peer stands in everything that is kept per peer; -1 when it is none. */
export function placeOf(state: PaxosState, id: ReplicaId): number {
  const { others } = state.options;
  for (let at = 0; at < others.length; at++) if ((others[at] as Member).id === id) return at;
  return -1;
}

/** Numbers of the requests in a list of reads that are this replica's own. */
export function ownReads(reads: readonly { readonly request: RequestNumber }[]): readonly RequestNumber[] {
  return reads.filter((read) => read.request !== 0).map((read) => read.request);
}
