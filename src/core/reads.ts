/**
 * Linearizable reads (ReadIndex, Raft thesis 6.4): at the leader a queue in which one confirmation
 * round serves everything that waited when it began; elsewhere the books of reads that were passed on.
 *
 * A round is a number that leader messages carry and their answers echo. Numbers only grow within one leadership,
 * so an answer can confirm nothing that was asked after it left (etcd#20418). A read joins a
 * round only when that round begins after the read arrived.
 */

import type { Index, Milliseconds, RequestNumber } from './protocol.js';
import type { ReplicaId } from './members.js';

/** One read at the leader: its own, or a peer's. */
export interface LeaderRead {
  /** Of a read of this replica itself; 0 otherwise. */
  readonly request: RequestNumber;
  /** Whose it is; `null` for its own. */
  readonly peer: ReplicaId | null;
  /** The number by which the peer knows it; 0 for its own. */
  readonly forward: number;
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
