/**
 * Linearizable reads (ReadIndex, Ongaro's thesis 6.4). The leader queues reads, and one round of confirmation serves
 * all that waited when it began; any other replica forwards a read to the leader, and remembers it until the answer
 * comes.
 *
 * A read round is a number that the leader's messages carry and their answers echo. The numbers rise within one
 * leadership, so that an answer confirms no read that arrived after the answer left. A read joins only a round that
 * begins after the read arrived.
 */

import type { AnyDraft } from './draft.js';
import type { ForwardRead, ReadAnswer } from './forwarding.js';
import type { ReplicaId } from './members.js';
import type { Index, Milliseconds, Read, RequestNumber } from './protocol.js';
import { majorityReached } from './quorum.js';
import { leaderOf } from './state.js';

/** A peer's read waits at the leader for so many of the longest election timeouts, like an attempt of its own host. */
const FORWARDED_READ_TIMEOUTS = 2;

/** One read at the leader: of its own host, or forwarded by a peer. */
export interface LeaderRead {
  /** The request number of a read of the own host; 0 otherwise. */
  readonly request: RequestNumber;
  /** The peer that forwarded it; `null` for a read of the own host. */
  readonly peer: ReplicaId | null;
  /** The number of the forward; 0 for a read of the own host. */
  readonly forward: number;
  /** `Infinity` for a forwarded one: it ends with its round or with the leadership, and the peer keeps the deadline. */
  readonly deadline: Milliseconds;
}

/** The reads of one round. */
export interface ReadRound {
  readonly readRound: number;
  /** The index that the reads must see applied, taken when the round began. */
  readonly index: Index;
  readonly reads: readonly LeaderRead[];
}

/** A leader's queue. */
export interface ReadQueue {
  /** The newest round begun; 0 before the first. */
  readonly readRound: number;
  /** Waiting for the next round to begin. */
  readonly waiting: readonly LeaderRead[];
  /** Begun and not yet confirmed, oldest first. */
  readonly begun: readonly ReadRound[];
}

export const noReads: ReadQueue = { readRound: 0, waiting: [], begun: [] };

/** With one more read waiting. */
export function queueRead(queue: ReadQueue, read: LeaderRead): ReadQueue {
  return { ...queue, waiting: [...queue.waiting, read] };
}

/** With all waiting reads in a new round, which answers to messages sent from now on confirm. */
export function beginReadRound(queue: ReadQueue, index: Index): ReadQueue {
  const readRound = queue.readRound + 1;
  return { readRound, waiting: [], begun: [...queue.begun, { readRound, index, reads: queue.waiting }] };
}

/** The queue without the rounds up to `readRound`, which a quorum has confirmed; and those rounds. */
export function confirmReadRound(queue: ReadQueue, readRound: number): readonly [ReadQueue, readonly ReadRound[]] {
  const served = queue.begun.filter((begun) => begun.readRound <= readRound);
  if (served.length === 0) return [queue, served];
  return [{ ...queue, begun: queue.begun.filter((begun) => begun.readRound > readRound) }, served];
}

/** Every read that is in the queue. */
export function allReads(queue: ReadQueue): readonly LeaderRead[] {
  return [...queue.begun.flatMap((begun) => begun.reads), ...queue.waiting];
}

/** The queue without the reads for which `ends` holds; and those reads. */
export function dropReads(
  queue: ReadQueue,
  ends: (read: LeaderRead) => boolean,
): readonly [ReadQueue, readonly LeaderRead[]] {
  const ended = allReads(queue).filter(ends);
  if (ended.length === 0) return [queue, ended];
  const keep = (read: LeaderRead): boolean => !ends(read);
  const begun = queue.begun
    .map((each) => ({ ...each, reads: each.reads.filter(keep) }))
    .filter((each) => each.reads.length > 0);
  return [{ readRound: queue.readRound, waiting: queue.waiting.filter(keep), begun }, ended];
}

/** A read of the own host that was forwarded to the leader. */
export interface ForwardedRead {
  readonly request: RequestNumber;
  /** The number of the forward, in the range of this boot, so that no answer to an earlier start can match. */
  readonly forward: number;
  readonly deadline: Milliseconds;
}

/** The next deadline among the reads. */
export function readsDeadline(reads: readonly { readonly deadline: Milliseconds }[]): Milliseconds {
  let deadline = Infinity;
  for (const read of reads) deadline = Math.min(deadline, read.deadline);
  return deadline;
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
export function onRead<D extends AnyDraft>(draft: D, rules: ReadRules<D>, { request, deadline }: Read): void {
  const leader = leaderOf(draft.state);
  if (deadline <= draft.now) return draft.refuse([request], 'deadline', leader);
  if (leader === null) return draft.refuse([request], 'noLeader', null);
  if (draft.state.role.kind === 'leader') return wait(draft, rules, { request, peer: null, forward: 0, deadline });
  const number = draft.freshNumber();
  draft.setReads([...draft.state.reads, { request, forward: number, deadline }]);
  draft.send(leader, { kind: 'forwardRead', term: draft.termOf(draft.state), number }, 0, 'control');
}

/** A follower forwarded a read. */
export function onForwardRead<D extends AnyDraft>(
  draft: D,
  rules: ReadRules<D>,
  from: ReplicaId,
  { number }: ForwardRead,
): void {
  if (draft.state.role.kind !== 'leader') return draft.refuseForward(from, number, 'notLeader');
  const deadline = draft.now + FORWARDED_READ_TIMEOUTS * draft.state.options.timing.electionMax;
  wait(draft, rules, { request: 0, peer: from, forward: number, deadline });
}

function wait<D extends AnyDraft>(draft: D, rules: ReadRules<D>, read: LeaderRead): void {
  draft.editLeader().reads = queueRead(queueOf(draft), read);
  tryReadRound(draft, rules);
}

/** Begins a round if reads wait, no round is under way, and the leader knows the index that they must see. */
export function tryReadRound<D extends AnyDraft>(draft: D, rules: ReadRules<D>): void {
  const queue = queueOf(draft);
  if (queue.waiting.length === 0 || queue.begun.length > 0) return;
  const index = rules.index(draft);
  if (index === null) return;
  draft.editLeader().reads = beginReadRound(queue, index);
  rules.ask(draft);
  serveConfirmed(draft, rules);
}

/** Serves the rounds that a majority, this replica included, has confirmed. */
export function serveConfirmed<D extends AnyDraft>(draft: D, rules: ReadRules<D>): void {
  const queue = queueOf(draft);
  if (queue.begun.length === 0) return;
  const [left, served] = confirmReadRound(queue, majorityReached([queue.readRound, ...rules.confirmed(draft)]));
  if (served.length === 0) return;
  draft.editLeader().reads = left;
  for (const round of served) serve(draft, round);
  tryReadRound(draft, rules);
}

function serve(draft: AnyDraft, { index, reads }: ReadRound): void {
  const term = draft.termOf(draft.state);
  const commit = draft.commitIndex;
  for (const { peer, request, forward } of reads) {
    if (peer === null) draft.readReady(request, index);
    else draft.send(peer, { kind: 'readAnswer', term, number: forward, index, commit }, 0, 'control');
  }
}

/** Serves a forwarded read by the leader's answer, unless the read has ended. */
export function answerRead(draft: AnyDraft, { number, index }: ReadAnswer): void {
  const { reads } = draft.state;
  const read = reads.find((each) => each.forward === number);
  if (read === undefined) return;
  draft.setReads(reads.filter((each) => each !== read));
  draft.readReady(read.request, index);
}
