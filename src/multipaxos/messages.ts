/**
 * The messages between Multi-Paxos replicas, one interface each. Phase 1 ("Paxos Made Simple", §2.2): Prepare,
 * PromisePage. Phase 2: Accept, Accepted. Both: Nack. Beside them heartbeats, catch-up and forwarding. Any message may
 * be lost, repeated, delayed or reordered. No message carries its sender, which the transport has authenticated.
 *
 * Only Prepare, Accept and Heartbeat raise a promise. Only Accept makes a vote. Only Accepted, Accept, Heartbeat,
 * Commit, ReadAnswer and CatchUpReply raise the commit index.
 */

import type { Forwarding } from '../core/forwarding.js';
import type { Entry, Index } from '../core/protocol.js';
import type { Ballot } from './ballot.js';

/** Phase 1a: a candidate to everyone when it campaigns, and again for each further page of a promise. */
export interface Prepare {
  readonly kind: 'prepare';
  /** The candidate's own; durable with it before this leaves. */
  readonly ballot: Ballot;
  /** The candidate asks for votes from this slot on, 1-based: at first the one above its commit index. */
  readonly from: Index;
}

/** Phase 1b: an acceptor to the candidate that it promises; one page of its votes. */
export interface PromisePage {
  readonly kind: 'promise';
  /** The ballot promised, durable before this leaves. */
  readonly ballot: Ballot;
  /** The `from` of the Prepare that this answers. */
  readonly from: Index;
  /** The acceptor's commit index, in every page: votes at or below it are left out. */
  readonly commit: Index;
  /** Where the next page begins; 0 when this is the last one. */
  readonly next: Index;
  /** Its votes above `commit`, from `from` on, ascending, with gaps; `term` is the ballot of the vote. */
  readonly votes: readonly Entry[];
}

/** An acceptor to the sender of a Prepare, Accept or Heartbeat whose ballot is below its promise. */
export interface Nack {
  readonly kind: 'nack';
  /** The ballot refused. */
  readonly ballot: Ballot;
  /** The ballot that the acceptor has promised itself. */
  readonly promised: Ballot;
  /** The acceptor's commit index. */
  readonly commit: Index;
}

/** Phase 2a: a leader to every other acceptor, in parallel with its own disk; one run of consecutive slots. */
export interface Accept {
  readonly kind: 'accept';
  readonly ballot: Ballot;
  /** The leader's commit index in this ballot. */
  readonly commit: Index;
  /** At least one, consecutive, all of that ballot. */
  readonly entries: readonly Entry[];
}

/** Phase 2b: an acceptor to the leader, once its votes are durable. */
export interface Accepted {
  readonly kind: 'accepted';
  readonly ballot: Ballot;
  /** The first and last slot voted for; 0 when none was, since all are chosen or beyond the window. */
  readonly from: Index;
  readonly to: Index;
  /** The acceptor's commit index. */
  readonly commit: Index;
}

/** A leader to every other replica, at each heartbeat interval and at once for a read round. */
export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly ballot: Ballot;
  /** The leader's commit index. */
  readonly commit: Index;
  /** The newest read round begun; 0 before the first. */
  readonly readRound: number;
}

/** A follower to its leader, in answer to a Heartbeat: it has promised no higher ballot. Rests on nothing durable. */
export interface HeartbeatReply {
  readonly kind: 'heartbeatReply';
  readonly ballot: Ballot;
  /** The read round of the Heartbeat answered. */
  readonly readRound: number;
  /** The follower's commit index. */
  readonly commit: Index;
  /** The index up to which its log is durable there. */
  readonly durable: Index;
}

/** A leader to a forwarder, when its entries are committed and no other message of the step tells it. */
export interface PaxosCommit {
  readonly kind: 'commit';
  readonly ballot: Ballot;
  readonly commit: Index;
}

/** A replica to one with a higher commit index, to ask for chosen entries. */
export interface CatchUp {
  readonly kind: 'catchUp';
  /** The number of the question, unique within a start of the replica that asks. */
  readonly number: number;
  /** The first slot wanted. */
  readonly from: Index;
}

/** The answer to a CatchUp: a page of chosen entries. */
export interface CatchUpReply {
  readonly kind: 'catchUpReply';
  /** The number of the question. */
  readonly number: number;
  /** The sender's commit index. */
  readonly commit: Index;
  /** From the slot wanted on, consecutive, all chosen; empty when the sender has none of them. */
  readonly entries: readonly Entry[];
}

/** A message of Phase 1 or 2, a heartbeat, or one of catch-up or forwarding. */
export type PaxosMessage =
  | Prepare
  | PromisePage
  | Nack
  | Accept
  | Accepted
  | Heartbeat
  | HeartbeatReply
  | PaxosCommit
  | CatchUp
  | CatchUpReply
  | Forwarding;
