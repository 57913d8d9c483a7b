/**
 * What replicas say to each other. Phase 1: Prepare, PromisePage. Phase 2: Accept, Accepted. Both: Nack. Beside
 * them heartbeats, catch-up, and what is passed on to the leader. Any of them may be lost, repeated, delayed or
 * reordered. No message carries its sender: the transport says who it was.
 *
 * Which kind may change what: only Prepare, Accept and Heartbeat raise a promise; only Accept makes a vote; Accepted,
 * Accept, Heartbeat, Commit, ReadAnswer and CatchUpReply can make slots known as chosen.
 */

import type { Forwarding } from '../core/forwarding.js';
import type { Entry, Index } from '../core/protocol.js';
import type { Ballot } from './ballot.js';

/** Phase 1a: a candidate to everyone when it campaigns, and again for each further page of a promise. */
export interface Prepare {
  readonly kind: 'prepare';
  /** The candidate's own; durable with it before this leaves. */
  readonly ballot: Ballot;
  /** Votes are asked for from this slot on, 1-based: first the one after the candidate's chosen prefix. */
  readonly from: Index;
}

/** Phase 1b: an acceptor to the candidate that it promises; one page of what it has voted for. */
export interface PromisePage {
  readonly kind: 'promise';
  /** The ballot promised, durable before this leaves. */
  readonly ballot: Ballot;
  /** The `from` of the Prepare that this answers. */
  readonly from: Index;
  /** The acceptor's chosen prefix, in every page: votes at or below it are not in here. */
  readonly commit: Index;
  /** Where the next page begins; 0 when this is the last one. */
  readonly next: Index;
  /** Its votes above both, ascending, with gaps; `term` is the ballot voted in. */
  readonly votes: readonly Entry[];
}

/** An acceptor to the sender of a Prepare, Accept or Heartbeat whose ballot is below its promise. */
export interface Nack {
  readonly kind: 'nack';
  /** The ballot refused. */
  readonly ballot: Ballot;
  /** What the acceptor has promised itself, at first hand. */
  readonly promised: Ballot;
  /** The acceptor's chosen prefix. */
  readonly commit: Index;
}

/** Phase 2a: a leader to every other acceptor, in parallel with its own disk; one run of consecutive slots. */
export interface Accept {
  readonly kind: 'accept';
  readonly ballot: Ballot;
  /** The leader's chosen prefix, advertised under its ballot. */
  readonly commit: Index;
  /** At least one, consecutive, all of that ballot. */
  readonly entries: readonly Entry[];
}

/** Phase 2b: an acceptor to the leader, once its votes are durable. */
export interface Accepted {
  readonly kind: 'accepted';
  readonly ballot: Ballot;
  /** The first and last slot voted for; 0 when none was, since all are chosen or too far ahead. */
  readonly from: Index;
  readonly to: Index;
  /** The acceptor's chosen prefix. */
  readonly commit: Index;
}

/** A leader to every other replica, each heartbeat interval and whenever a read needs confirming. */
export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly ballot: Ballot;
  /** The leader's chosen prefix. */
  readonly commit: Index;
  /** The newest read round begun; 0 before the first. */
  readonly readRound: number;
}

/** The answer to a Heartbeat: when it left, nothing above that ballot was promised. Rests on nothing durable. */
export interface HeartbeatReply {
  readonly kind: 'heartbeatReply';
  readonly ballot: Ballot;
  /** The round of the Heartbeat answered. */
  readonly readRound: number;
  /** The acceptor's chosen prefix. */
  readonly commit: Index;
  /** How much of it is durable there. */
  readonly durable: Index;
}

/** A leader to a peer that forwarded something, when it is chosen and nothing else would say so soon. */
export interface PaxosCommit {
  readonly kind: 'commit';
  readonly ballot: Ballot;
  readonly commit: Index;
}

/** Anyone to anyone that knows more to be chosen. */
export interface CatchUp {
  readonly kind: 'catchUp';
  /** Names this question within a start of the asker. */
  readonly number: number;
  /** The first slot wanted. */
  readonly from: Index;
}

/** The answer to CatchUp: a page of chosen entries. */
export interface CatchUpReply {
  readonly kind: 'catchUpReply';
  /** The number of the question. */
  readonly number: number;
  /** The answerer's chosen prefix. */
  readonly commit: Index;
  /** From the slot wanted on, consecutive, all chosen; empty when it has none of them. */
  readonly entries: readonly Entry[];
}

/** Everything that replicas say. */
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
