/**
 * Linearizable reads (ReadIndex, Ongaro's thesis 6.4). The leader queues reads, and one round of confirmation serves
 * all that waited when it began; any other replica forwards a read to the leader, and remembers it until the answer
 * comes.
 *
 * A read round is a number that the leader's messages carry and their answers echo. The numbers rise within one
 * leadership, so that an answer confirms no read that arrived after the answer left. A read joins only a round that
 * begins after the read arrived.
 */

import {
  earliestDeadline,
  itemNumbered,
  itemsDue,
  itemsKeyed,
  itemsOf,
  withItem,
  withoutItem,
  type Book,
  type BookItem,
} from './book.js';
import type { AnyDraft } from './draft.js';
import type { ForwardRead, ReadAnswer } from './forwarding.js';
import { leaseReadIndex } from './lease-reads.js';
import type { ReplicaId } from './members.js';
import { noteAnswerTime } from './patience.js';
import { leadsIn } from './leadership.js';
import type { Index, Milliseconds, Read, RequestNumber } from './protocol.js';
import { majorityReached } from './quorum.js';
import { leaderOf } from './state.js';

/** A peer's read waits at the leader for so many of the longest election timeouts, like an attempt of its own host. */
const FORWARDED_READ_TIMEOUTS = 2;

/** The answer to a read takes the round under way, the next one, and the way there and back. */
export const READ_EXCHANGES = 3;

/** One read at the leader: of its own host, or forwarded by a peer. */
export interface LeaderRead extends BookItem {
  /** Of the own host: the request number. Of a peer: the number under which it was booked here. */
  readonly key: number;
  /** The peer that forwarded it; `null` for a read of the own host. */
  readonly peer: ReplicaId | null;
  /** The number of the forward; 0 for a read of the own host. */
  readonly forward: number;
}

/** Reads at the leader: of its own host by request number, and of peers as they came. */
export interface LeaderReads {
  readonly own: Book<LeaderRead>;
  readonly ofPeers: Book<LeaderRead>;
}

/** The reads of one round. */
export interface ReadRound {
  readonly readRound: number;
  /** The index that the reads must see applied, taken when the round began. */
  readonly index: Index;
  readonly reads: LeaderReads;
}

/** A leader's queue. */
export interface ReadQueue {
  /** The newest round begun; 0 before the first. */
  readonly readRound: number;
  /** Waiting for the next round to begin. */
  readonly waiting: LeaderReads;
  /** The round that is not confirmed yet, if one is under way. */
  readonly begun: ReadRound | null;
}

const NO_READS: LeaderReads = { own: null, ofPeers: null };

export const noReads: ReadQueue = { readRound: 0, waiting: NO_READS, begun: null };

/** With one more read waiting. */
export function queueRead(queue: ReadQueue, read: LeaderRead): ReadQueue {
  const { own, ofPeers } = queue.waiting;
  const waiting =
    read.peer === null ? { own: withItem(own, read), ofPeers } : { own, ofPeers: withItem(ofPeers, read) };
  return { ...queue, waiting };
}

/** With all waiting reads in a new round, which answers to messages sent from now on confirm. */
export function beginReadRound({ readRound, waiting }: ReadQueue, index: Index): ReadQueue {
  const next = readRound + 1;
  return { readRound: next, waiting: NO_READS, begun: { readRound: next, index, reads: waiting } };
}

function isEmpty({ own, ofPeers }: LeaderReads): boolean {
  return own === null && ofPeers === null;
}

/** These reads, in the order of their keys, those of the own host first. */
export function readsOf({ own, ofPeers }: LeaderReads): readonly LeaderRead[] {
  return [...itemsOf(own), ...itemsOf(ofPeers)];
}

/** Every read that is in the queue. */
export function allReads({ begun, waiting }: ReadQueue): readonly LeaderRead[] {
  return begun === null ? readsOf(waiting) : [...readsOf(begun.reads), ...readsOf(waiting)];
}

/** The earliest deadline of the reads in the queue. */
export function queueDeadline({ begun, waiting }: ReadQueue): Milliseconds {
  let deadline = Math.min(earliestDeadline(waiting.own), earliestDeadline(waiting.ofPeers));
  if (begun === null) return deadline;
  deadline = Math.min(deadline, earliestDeadline(begun.reads.own));
  return Math.min(deadline, earliestDeadline(begun.reads.ofPeers));
}

function without({ own, ofPeers }: LeaderReads, ended: readonly LeaderRead[]): LeaderReads {
  let left = own;
  let leftOfPeers = ofPeers;
  for (const { key, peer } of ended) {
    if (peer === null) left = withoutItem(left, key);
    else leftOfPeers = withoutItem(leftOfPeers, key);
  }
  return { own: left, ofPeers: leftOfPeers };
}

/** The queue without these reads, which end. A round that nobody waits for any more ends with them. */
export function dropReads(queue: ReadQueue, ended: readonly LeaderRead[]): ReadQueue {
  const { readRound } = queue;
  const waiting = without(queue.waiting, ended);
  if (queue.begun === null) return { readRound, waiting, begun: null };
  const begun = { ...queue.begun, reads: without(queue.begun.reads, ended) };
  return { readRound, waiting, begun: isEmpty(begun.reads) ? null : begun };
}

/** The reads of the queue whose deadline has come. */
export function readsDue({ begun, waiting }: ReadQueue, now: Milliseconds): readonly LeaderRead[] {
  const books = [waiting.own, waiting.ofPeers];
  if (begun !== null) books.push(begun.reads.own, begun.reads.ofPeers);
  return books.flatMap((book) => itemsDue(book, now));
}

/** The reads of the own host with these request numbers. */
export function readsRequested(
  { begun, waiting }: ReadQueue,
  requests: readonly RequestNumber[],
): readonly LeaderRead[] {
  const books = begun === null ? [waiting.own] : [waiting.own, begun.reads.own];
  return books.flatMap((book) => itemsKeyed(book, requests));
}

/** A read of the own host that was forwarded to the leader. */
export interface ForwardedRead extends BookItem {
  /** The request number. */
  readonly key: RequestNumber;
  /** The number of the forward, in the range of this boot, so that no answer to an earlier start can match. */
  readonly forward: number;
  /** When it was forwarded. */
  readonly sentAt: Milliseconds;
  /** The deadline that the host gave; `deadline` is earlier when the leader's answer is overdue before. */
  readonly until: Milliseconds;
}

export type ForwardedReads = Book<ForwardedRead>;

/** The forwarded read whose forward has this number. */
export function readForwarded(reads: ForwardedReads, forward: number): ForwardedRead | undefined {
  return itemNumbered(reads, (read) => read.forward, forward);
}

/** What this file asks of a protocol. */
export interface ReadRules<D> {
  /** The index that a read arriving now must see applied; `null` while the leader does not know it yet. */
  index(draft: D): Index | null;
  /** Asks every peer to confirm the newest round. */
  ask(draft: D): void;
  /** The newest round that each peer has confirmed. */
  confirmed(draft: D): readonly number[];
}

function queueOf(draft: AnyDraft): ReadQueue {
  return draft.leaderRole.reads;
}

/** The host asks for a read: the leader queues it, any other replica forwards it. */
export function onRead<D extends AnyDraft>(draft: D, rules: ReadRules<D>, m: Read): void {
  const { request, deadline, byLease = false } = m;
  const { state } = draft;
  const leader = leaderOf(state);
  if (deadline <= draft.now) return draft.refuse([request], 'deadline', leader);
  if (leader === null) return draft.refuse([request], 'noLeader', null);
  if (state.role.kind === 'leader') {
    const index = byLease ? leaseReadIndex(draft, rules.index) : null;
    if (index !== null) return draft.readReady(request, index);
    return wait(draft, { key: request, peer: null, forward: 0, deadline, at: Infinity });
  }
  const number = draft.freshNumber();
  const sentAt = draft.now;
  const overdue = Math.min(deadline, sentAt + READ_EXCHANGES * state.patience);
  const read = { key: request, forward: number, deadline: overdue, until: deadline, sentAt, at: Infinity };
  draft.setReads(withItem(state.reads, read));
  draft.sendForward(leader, { kind: 'forwardRead', term: draft.termOf(state), number, byLease }, 'control');
}

/** A follower forwarded a read. */
export function onForwardRead<D extends AnyDraft>(
  draft: D,
  rules: ReadRules<D>,
  from: ReplicaId,
  { term, number, byLease }: ForwardRead,
): void {
  const { state } = draft;
  if (!leadsIn(draft, term)) return draft.refuseForward(from, number, 'notLeader');
  const index = byLease ? leaseReadIndex(draft, rules.index) : null;
  if (index !== null) return answer(draft, from, number, index);
  const deadline = draft.now + FORWARDED_READ_TIMEOUTS * state.options.timing.electionMax;
  wait(draft, { key: draft.freshNumber(), peer: from, forward: number, deadline, at: Infinity });
}

function wait(draft: AnyDraft, read: LeaderRead): void {
  draft.editLeader().reads = queueRead(queueOf(draft), read);
}

/**
 * At the end of every step of a leader: serves the round that a majority, this replica included, has confirmed, and
 * begins the next one if reads wait, none is under way, and the leader knows the index that they must see.
 */
export function conductReads<D extends AnyDraft>(draft: D, rules: ReadRules<D>): void {
  if (queueOf(draft).begun !== null) serveConfirmed(draft, rules);
  const queue = queueOf(draft);
  if (queue.begun !== null || isEmpty(queue.waiting)) return;
  const index = rules.index(draft);
  if (index === null) return;
  draft.editLeader().reads = beginReadRound(queue, index);
  rules.ask(draft);
  serveConfirmed(draft, rules);
}

function serveConfirmed<D extends AnyDraft>(draft: D, rules: ReadRules<D>): void {
  const queue = queueOf(draft);
  const { begun } = queue;
  if (begun === null || majorityReached([begun.readRound, ...rules.confirmed(draft)]) < begun.readRound) return;
  draft.editLeader().reads = { ...queue, begun: null };
  serve(draft, begun);
}

function serve(draft: AnyDraft, { index, reads }: ReadRound): void {
  for (const { key, peer, forward } of readsOf(reads)) {
    if (peer === null) draft.readReady(key, index);
    else answer(draft, peer, forward, index);
  }
}

function answer(draft: AnyDraft, peer: ReplicaId, number: number, index: Index): void {
  const term = draft.termOf(draft.state);
  draft.send(peer, { kind: 'readAnswer', term, number, index, commit: draft.commitIndex }, 0, 'control');
}

/** Serves a forwarded read by the leader's answer, unless the read has ended. */
export function answerRead(draft: AnyDraft, { number, index }: ReadAnswer): void {
  const { reads } = draft.state;
  const read = readForwarded(reads, number);
  if (read === undefined) return;
  noteAnswerTime(draft, (draft.now - read.sentAt) / READ_EXCHANGES);
  draft.setReads(withoutItem(reads, read.key));
  draft.readReady(read.key, index);
}
