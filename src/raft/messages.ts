/**
 * The messages between Raft replicas, one interface each, named as in Figure 2 of the Raft paper (Ongaro and
 * Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version). A bare § in this folder is a
 * section of it.
 */

import type { ElectionMessage } from '../core/election-messages.js';
import type { Forwarding } from '../core/forwarding.js';
import type { Entry, Index, Milliseconds, Term } from '../core/protocol.js';

/** No message has a higher term: so there is always a safe integer left for what is counted from it. */
export const MAX_TERM: Term = 2 ** 52;

/** A candidate to every member, when it starts an election, to gather votes (§5.2). */
export interface RequestVote {
  readonly kind: 'requestVote';
  /** The candidate's term, ≥ 1. */
  readonly term: Term;
  /** Index and term of the candidate's last entry; 0 and 0 for an empty log (§5.4.1). */
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** The leader of the term before handed over to the candidate: nobody holds it up for that leader (thesis 4.2.3). */
  readonly handover: boolean;
}

/** A voter to a candidate that asked (§5.2). A refusal with a higher term teaches the candidate that term. */
export interface RequestVoteReply {
  readonly kind: 'requestVoteReply';
  /** The voter's term. */
  readonly term: Term;
  readonly granted: boolean;
  /** What the voter's wall clock shows, in milliseconds since the epoch; 0 when it is not known. */
  readonly wall: Milliseconds;
}

/** A leader to a follower: entries to append (§5.3); without entries a heartbeat, a probe or a read round. */
export interface AppendEntries {
  readonly kind: 'appendEntries';
  /** The leader's term. */
  readonly term: Term;
  /** The id of the leader's progress record; answers echo it, so that an answer to an earlier record does not count. */
  readonly viewId: number;
  /** Index and term of the entry before the first one sent; 0 and 0 at the start of the log. */
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  /** Consecutive from `prevIndex` + 1, terms not falling. */
  readonly entries: readonly Entry[];
  /** The leader's commit index. */
  readonly commit: Index;
  /** The newest read round, which an answer confirms; 0 for none (Ongaro's thesis 6.4). */
  readonly readRound: number;
}

/** A follower to its leader, in answer to an append that agreed with its log, once that is durable (§5.3). */
export interface AppendAccepted {
  readonly kind: 'appendAccepted';
  readonly term: Term;
  readonly viewId: number;
  /** Everything up to here is durable and agrees with the leader's log; never beyond what the append carried. */
  readonly match: Index;
  /** To an append without entries: what the follower's wall clock shows; 0 otherwise, or when it is not known. */
  readonly wall: Milliseconds;
}

/** A follower to a leader whose append did not agree with its log; also tells a stale leader the newer term. */
export interface AppendRejected {
  readonly kind: 'appendRejected';
  readonly term: Term;
  /** Echoed; 0 towards a stale leader. */
  readonly viewId: number;
  /** The `prevIndex` that did not match. */
  readonly prevIndex: Index;
  /** Where the logs may agree at best: the follower's highest index with a term ≤ the refused one, and its term. */
  readonly hintIndex: Index;
  readonly hintTerm: Term;
}

/** A follower to its leader, at once, when an append carries a read round: it still follows (Ongaro's thesis 6.4). */
export interface ReadRoundConfirmed {
  readonly kind: 'roundConfirmed';
  readonly term: Term;
  readonly viewId: number;
  readonly readRound: number;
}

/** A leader to a follower, when it commits and no append is about to tell: its commit index. Not answered. */
export interface RaftCommit {
  readonly kind: 'commit';
  readonly term: Term;
  /** The leader's commit index, or less: no higher than what the follower has acknowledged. */
  readonly commit: Index;
}

/** A message of a pre-vote, an election, a transfer, of replication or of forwarding. */
export type RaftMessage =
  | RequestVote
  | RequestVoteReply
  | AppendEntries
  | AppendAccepted
  | AppendRejected
  | ReadRoundConfirmed
  | RaftCommit
  | ElectionMessage
  | Forwarding;
