/**
 * The messages between Multi-Paxos replicas, one interface each. Phase 1 ("Paxos Made Simple", §2.2): Prepare,
 * PromisePage. Phase 2: Accept, Accepted. Both: Nack. Beside them heartbeats, catch-up and forwarding. Any message may
 * be lost, repeated, delayed or reordered. No message carries its sender, which the transport has authenticated.
 *
 * Only Prepare, Accept and Heartbeat raise a promise. Only Accept makes a vote. Only Accepted, Accept, Heartbeat,
 * Commit, ReadAnswer and CatchUpReply raise the commit index.
 */

import type { ElectionMessage } from '../core/election-messages.js';
import type { Forwarding } from '../core/forwarding.js';
import type { Entry, Index, Milliseconds } from '../core/protocol.js';
import type { Ballot } from './ballot.js';

/** Votes for slots `from` to `to` in one ballot, named without their values. */
export interface VoteSpan {
  readonly from: Index;
  readonly to: Index;
  readonly ballot: Ballot;
}

/**
 * Phase 1a: a candidate to everyone when it campaigns, and again for further pages of a promise, for pages that have
 * not come, and at each heartbeat interval to tell that Phase 1 goes on.
 */
export interface Prepare {
  readonly kind: 'prepare';
  /** The candidate's own; durable with it before this leaves. */
  readonly ballot: Ballot;
  /** The candidate asks for votes from this slot on, 1-based: at first the one above its commit index. */
  readonly from: Index;
  /** The candidate has accepted no page since it asked last: this does not make the acceptor wait any longer. */
  readonly first: boolean;
  /** How many pages it asks for; 0 for none. */
  readonly pages: number;
  /** The leader of the ballot before handed over to the candidate: no acceptor holds it up for that leader. */
  readonly handover: boolean;
  /** Votes whose values the candidate knows: ascending, apart. An acceptor does not send these. */
  readonly held: readonly VoteSpan[];
}

/** Phase 1b: an acceptor to the candidate that it promises; one page of its votes. */
export interface PromisePage {
  readonly kind: 'promise';
  /** The ballot promised, durable before this leaves. */
  readonly ballot: Ballot;
  /** The first slot that this page covers. */
  readonly from: Index;
  /** The acceptor's commit index, in every page: votes at or below it are left out. */
  readonly commit: Index;
  /** Where the next page begins: this one covers all slots before it. 0 when it covers all slots from `from` on. */
  readonly next: Index;
  /** Where the first page begins that the Prepare did not ask for, so that it can be asked for; 0 when none is left. */
  readonly rest: Index;
  /**
   * Its votes above `commit`, from `from` on, ascending, with gaps, without those that the Prepare named as held;
   * `term` is the ballot of the vote.
   */
  readonly votes: readonly Entry[];
  /** What the acceptor's wall clock shows, in milliseconds since the epoch; 0 when it is not known. */
  readonly wall: Milliseconds;
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
  /** What its wall clock shows, in milliseconds since the epoch; 0 when it is not known. */
  readonly wall: Milliseconds;
}

/** A leader to a forwarder, when its entries are committed and no other message of the step tells it. */
export interface PaxosCommit {
  readonly kind: 'commit';
  readonly ballot: Ballot;
  readonly commit: Index;
}

/** A replica to one with a higher commit index, to ask for chosen entries; several may be under way. */
export interface CatchUp {
  readonly kind: 'catchUp';
  /** The number of the question, unique within a start of the replica that asks. */
  readonly number: number;
  /** The first and last slot wanted. */
  readonly from: Index;
  readonly to: Index;
  /** The answer takes no more, but at least one entry; 0 asks whether there are any, for an answer without. */
  readonly bytes: number;
}

/** The answer to a CatchUp: one of several pages of chosen entries. */
export interface CatchUpReply {
  readonly kind: 'catchUpReply';
  /** The number of the question. */
  readonly number: number;
  /** The sender's commit index. */
  readonly commit: Index;
  /**
   * Where the answer ends and the sender has more of what was asked for; 0 when it has not, or goes on itself.
   */
  readonly rest: Index;
  /** Consecutive, all chosen; empty when the sender has none of those wanted, or was only asked whether it has. */
  readonly entries: readonly Entry[];
}

/** A replica to every other one, for a quorum read: what is the highest slot that you have voted for? */
export interface AskSlots {
  readonly kind: 'askSlots';
  /** The number of the read, unique within a start of the replica that asks. */
  readonly number: number;
}

/** The answer to an AskSlots. */
export interface Slots {
  readonly kind: 'slots';
  /** Echoed. */
  readonly number: number;
  /** The highest slot that the sender has voted for or knows to be chosen; 0 for none. */
  readonly highest: Index;
}

/** A message of Phase 1 or 2, a heartbeat, or one of catch-up, quorum reads, pre-votes, transfers or forwarding. */
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
  | AskSlots
  | Slots
  | ElectionMessage
  | Forwarding;
