/**
 * Linearizable reads (ReadIndex, Raft thesis 6.4): at the leader a queue in which one confirmation
 * round serves everything that waited when it began; elsewhere the books of reads that were passed on.
 *
 * A round is a number that leader messages carry and their answers echo. Numbers only grow within one leadership,
 * so an answer can confirm nothing that was asked after it left (etcd#20418). A read joins a
 * round only when that round begins after the read arrived.
 */

import type { AnyDraft } from './draft.js';
import type { ForwardRead, ReadAnswer } from './forwarding.js';
import type { ReplicaId } from './members.js';
import type { Index, Milliseconds, Read, RequestNumber } from './protocol.js';
import { majorityReached } from './quorum.js';
import { leaderOf } from './state.js';

/** One read at the leader: its own, or a peer's. */
export interface LeaderRead {
  /** Of a read of this replica itself; 0 otherwise. */
  readonly request: RequestNumber;
  /** Whose it is; `null` for its own. */
  readonly peer: ReplicaId | null;
  /** The number by which the peer knows it; 0 for its own. */
  readonly forward: number;
  /** `Infinity` for a peer's: it ends with its round or with the leadership, and its own replica gives up by itself. */
  readonly deadline: Milliseconds;
}

/** The reads of one round. */
export interface ReadRound {
  readonly readRound: number;
  /** Where the leader stood when the round began: what the reads must see. */
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

/** With everything that waits in a new round, to be confirmed by answers to messages sent from now on. */
export function beginReadRound(queue: ReadQueue, index: Index): ReadQueue {
  const readRound = queue.readRound + 1;
  return { readRound, waiting: [], begun: [...queue.begun, { readRound, index, reads: queue.waiting }] };
}

/** When a quorum has answered `readRound` or later ones: the queue without, and the rounds that are served. */
export function confirmReadRound(queue: ReadQueue, readRound: number): readonly [ReadQueue, readonly ReadRound[]] {
  const served = queue.begun.filter((begun) => begun.readRound <= readRound);
  if (served.length === 0) return [queue, served];
  return [{ ...queue, begun: queue.begun.filter((begun) => begun.readRound > readRound) }, served];
}

/** Every read that is in the queue. */
export function allReads(queue: ReadQueue): readonly LeaderRead[] {
  return [...queue.begun.flatMap((begun) => begun.reads), ...queue.waiting];
}

/** Without the reads for which `ends` holds, and those. */
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

/** A read that was passed on to the leader. */
export interface ForwardedRead {
  readonly request: RequestNumber;
  /** Names it towards the leader; starts with the boot, so that no answer of an earlier start can match. */
  readonly forward: number;
  readonly deadline: Milliseconds;
}

/** The next deadline among the reads. */
export function readsDeadline(reads: readonly { readonly deadline: Milliseconds }[]): Milliseconds {
  let deadline = Infinity;
  for (const read of reads) deadline = Math.min(deadline, read.deadline);
  return deadline;
}

/** What a round of confirmation asks of a protocol. */
export interface ReadRules<D> {
  /** What a read must see that arrived before now; `null` while the leader does not know it yet. */
  index(draft: D): Index | null;
  /** Asks every peer to confirm the newest round. */
  ask(draft: D): void;
  /** The newest round that each peer has confirmed. */
  confirmed(draft: D): readonly number[];
}

function queueOf(draft: AnyDraft): ReadQueue {
  return draft.leaderRole.reads;
}

/** The host asks for a read: it waits for a round at the leader, and is passed on elsewhere. */
export function onRead<D extends AnyDraft>(draft: D, rules: ReadRules<D>, { request, deadline }: Read): void {
  const leader = leaderOf(draft.state);
  if (deadline <= draft.now) return draft.refuse([request], 'deadline', leader);
  if (leader === null) return draft.refuse([request], 'noLeader', null);
  if (draft.state.role.kind === 'leader') return wait(draft, rules, { request, peer: null, forward: 0, deadline });
  const number = draft.freshNumber();
  draft.setReads([...draft.state.reads, { request, forward: number, deadline }]);
  draft.send(leader, { kind: 'forwardRead', term: draft.termOf(draft.state), number }, 0, 'control');
}

/** A follower passes a read on. */
export function onForwardRead<D extends AnyDraft>(
  draft: D,
  rules: ReadRules<D>,
  from: ReplicaId,
  { number }: ForwardRead,
): void {
  if (draft.state.role.kind !== 'leader') return draft.refuseForward(from, number, 'notLeader');
  wait(draft, rules, { request: 0, peer: from, forward: number, deadline: Infinity });
}

function wait<D extends AnyDraft>(draft: D, rules: ReadRules<D>, read: LeaderRead): void {
  draft.editLeader().reads = queueRead(queueOf(draft), read);
  tryReadRound(draft, rules);
}

/** Begins a round when reads wait, none is under way, and the leader knows what they must see. */
export function tryReadRound<D extends AnyDraft>(draft: D, rules: ReadRules<D>): void {
  const queue = queueOf(draft);
  if (queue.waiting.length === 0 || queue.begun.length > 0) return;
  const index = rules.index(draft);
  if (index === null) return;
  draft.editLeader().reads = beginReadRound(queue, index);
  rules.ask(draft);
  serveConfirmed(draft, rules);
}

/** Serves the rounds that a majority has confirmed, this replica included. */
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

/** The leader's answer to a read that was passed on; unless it has ended. */
export function answerRead(draft: AnyDraft, { number, index }: ReadAnswer): void {
  const { reads } = draft.state;
  const read = reads.find((each) => each.forward === number);
  if (read === undefined) return;
  draft.setReads(reads.filter((each) => each !== read));
  draft.readReady(read.request, index);
}
