/**
 * The messages around elections that both protocols have, and their encoding: a pre-vote and its answer (Ongaro's
 * thesis 9.6), handled in `pre-vote.ts`, with the question whether a member could take over and its answer; the
 * messages of a transfer (thesis 3.10), handled in `transfer.ts`; those of lease reads, handled in `lease-reads.ts`;
 * and the one that says that a log was trimmed, which each protocol handles itself.
 */

import { Malformed, type Reader, type Writer } from './bytes.js';
import { readFlag, type Forwarding } from './forwarding.js';
import type { Index, Milliseconds, Term } from './protocol.js';

/**
 * A replica to every member, before it campaigns, or before it is handed the leadership: would you let me lead? Neither
 * side changes its term or vote.
 */
export interface PreVote {
  readonly kind: 'preVote';
  /** The term or ballot in which it would campaign, ≥ 1. */
  readonly term: Term;
  /** The number of this round, in the range of the sender's boot. */
  readonly number: number;
  /** Raft: index and term of its last entry. Multi-Paxos: its commit index, and 0. */
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** If it asks for its leader's sake: that leader, and what the log still lacks, are no reason to refuse. */
  readonly handover: boolean;
}

/** A member to a replica that asked. */
export interface PreVoteReply {
  readonly kind: 'preVoteReply';
  /** Echoed. */
  readonly term: Term;
  /** Echoed. */
  readonly number: number;
  /** The member's own term, or the ballot that it has promised; 0 for none. It teaches whoever lags behind. */
  readonly current: Term;
  readonly granted: boolean;
}

/** A leader to the member that is to lead instead: campaign now (thesis 3.10, TimeoutNow). */
export interface Handover {
  readonly kind: 'handover';
  /** The leader's term or ballot, ≥ 1: for any other one it means nothing. */
  readonly term: Term;
  /** In the range of the sender's boot; a Handover that is sent again keeps it. */
  readonly number: number;
}

/** A member to the leader that would hand over to it: it leaves, or its disk has stalled or is full. */
export interface HandoverRefused {
  readonly kind: 'handoverRefused';
  /** Both echoed. */
  readonly term: Term;
  readonly number: number;
}

/** A leader to the member that it would like to hand over to: would a majority let you lead? */
export interface AskTakeOver {
  readonly kind: 'askTakeOver';
  /** The leader's term or ballot, ≥ 1: for any other one it means nothing. */
  readonly term: Term;
  /** In the range of the sender's boot. */
  readonly number: number;
}

/** A member to its leader: a majority would. */
export interface CanTakeOver {
  readonly kind: 'canTakeOver';
  /** Both echoed. */
  readonly term: Term;
  readonly number: number;
}

/** A leader to every member: will you elect nobody else for a while? */
export interface AskGrant {
  readonly kind: 'askGrant';
  readonly term: Term;
  /** In the range of the sender's boot. */
  readonly number: number;
}

/** A member to its leader: it elects nobody else for so long. */
export interface Grant {
  readonly kind: 'grant';
  /** Both echoed. */
  readonly term: Term;
  readonly number: number;
  /** By the member's clock, from when it got the question. */
  readonly length: Milliseconds;
}

/** A replica to one that needs entries which it has trimmed: what it needs is in a snapshot. */
export interface LogBegins {
  readonly kind: 'logBegins';
  /** The sender's term, or the ballot that it has promised. */
  readonly term: Term;
  /** Multi-Paxos: the number of the question, echoed. Raft: 0. */
  readonly number: number;
  /** The lowest index that the sender's log holds, ≥ 2. */
  readonly first: Index;
}

export type ElectionMessage =
  | PreVote
  | PreVoteReply
  | Handover
  | HandoverRefused
  | AskGrant
  | Grant
  | LogBegins
  | AskTakeOver
  | CanTakeOver;

/** A message that both protocols have. */
export type CoreMessage = Forwarding | ElectionMessage;

/** In the order of their numbers on the wire, after the kinds of forwarding. */
export const ELECTION_KINDS = [
  'preVote',
  'preVoteReply',
  'handover',
  'handoverRefused',
  'askGrant',
  'grant',
  'logBegins',
  'askTakeOver',
  'canTakeOver',
] as const;

export function isElectionMessage(message: { readonly kind: string }): message is ElectionMessage {
  return (ELECTION_KINDS as readonly string[]).includes(message.kind);
}

/** Writes everything but kind and term. */
export function writeElectionMessage(writer: Writer, message: ElectionMessage): void {
  writer.varint(message.number);
  switch (message.kind) {
    case 'preVote':
      writer.varint(message.lastIndex);
      writer.varint(message.lastTerm);
      return writer.u8(message.handover ? 1 : 0);
    case 'preVoteReply':
      writer.varint(message.current);
      return writer.u8(message.granted ? 1 : 0);
    case 'grant':
      return writer.varint(message.length);
    case 'logBegins':
      return writer.varint(message.first);
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'askTakeOver':
    case 'canTakeOver':
      return;
  }
}

/** What `writeElectionMessage` wrote. @throws Malformed */
export function readElectionMessage(reader: Reader, kind: ElectionMessage['kind'], term: Term): ElectionMessage {
  const number = reader.varint();
  switch (kind) {
    case 'preVote': {
      const [lastIndex, lastTerm] = [reader.varint(), reader.varint()];
      return { kind, term, number, lastIndex, lastTerm, handover: readFlag(reader) };
    }
    case 'preVoteReply':
      return { kind, term, number, current: reader.varint(), granted: readFlag(reader) };
    case 'grant':
      return { kind, term, number, length: reader.varint() };
    case 'logBegins': {
      const first = reader.varint();
      if (first < 2) throw new Malformed('a log that begins at the beginning was not trimmed');
      return { kind, term, number, first };
    }
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'askTakeOver':
    case 'canTakeOver':
      return { kind, term, number };
  }
}
