/**
 * Ends requests that nobody will serve any more: their deadline has passed, their caller cancelled them, the leader
 * changed, or the replica stops. A request is a proposal, a read queued at the leader, or a forwarded read; all three
 * end by the same rules.
 */

import { attemptsDeadline, endAllAttempts, endCancelled, endExpired, endOnLeaderChange } from './attempts.js';
import type { AnyDraft } from './draft.js';
import type { ReplicaId } from './members.js';
import type { Milliseconds, Reason, RequestNumber } from './protocol.js';
import { allReads, dropReads, readsDeadline, type ForwardedRead, type LeaderRead } from './reads.js';
import { leaderOf, type CoreState } from './state.js';

/** The request numbers of `requests`, in their order. */
export function requestsOf(requests: readonly { readonly request: RequestNumber }[]): readonly RequestNumber[] {
  return requests.map(({ request }) => request);
}

/** Ends the forwarded reads for which `ends` holds; as `none`, since a read never has an effect. */
export function endReads(
  draft: AnyDraft,
  ends: (read: ForwardedRead) => boolean,
  reason: Reason,
  leader: ReplicaId | null,
): void {
  const { reads } = draft.state;
  if (reads.length === 0) return;
  const ended = reads.filter(ends);
  if (ended.length === 0) return;
  draft.setReads(reads.filter((read) => !ends(read)));
  draft.refuse(requestsOf(ended), reason, leader);
}

/** Ends the queued reads of a leader for which `ends` holds: its own host's, and those that peers passed on. */
function endWaitingReads(
  draft: AnyDraft,
  ends: (read: LeaderRead) => boolean,
  reason: Reason,
  leader: ReplicaId | null,
): void {
  const { role } = draft.state;
  if (role.kind !== 'leader') return;
  const [reads, ended] = dropReads(role.reads, ends);
  if (ended.length === 0) return;
  draft.editLeader().reads = reads;
  for (const { peer, request, forward } of ended) {
    if (peer === null) draft.refuse([request], reason, leader);
    else draft.refuseForward(peer, forward, 'busy');
  }
}

/** Ends the requests whose deadline has passed. */
export function expireRequests(draft: AnyDraft): void {
  const { now } = draft;
  const { attempts } = draft.state;
  if (attempts.length > 0) draft.endAttempts(endExpired(attempts, now));
  const leader = leaderOf(draft.state);
  endReads(draft, (read) => read.deadline <= now, 'deadline', leader);
  endWaitingReads(draft, (read) => read.deadline <= now, 'deadline', leader);
}

/** The host cancels these requests. */
export function onCancel(draft: AnyDraft, requests: readonly RequestNumber[]): void {
  const gone = new Set(requests);
  draft.endAttempts(endCancelled(draft.state.attempts, requests));
  endReads(draft, (read) => gone.has(read.request), 'cancelled', null);
  endWaitingReads(draft, (read) => read.peer === null && gone.has(read.request), 'cancelled', null);
}

/** Ends every request of the own host. */
export function endAllRequests(draft: AnyDraft, reason: Reason): void {
  draft.endAttempts(endAllAttempts(draft.state.attempts, reason));
  endReads(draft, () => true, reason, null);
  endWaitingReads(draft, (read) => read.peer === null, reason, null);
}

/**
 * Ends the requests that cannot go on when this replica changes its role or its leader: those that it forwarded, whose
 * fate it cannot observe any more, and the reads queued here. Called before the role changes.
 * @param leader the next leader, `null` while unknown
 */
export function endForLeaderChange(draft: AnyDraft, leader: ReplicaId | null): void {
  const { role, attempts } = draft.state;
  if (attempts.length > 0) draft.endAttempts(endOnLeaderChange(attempts, leader));
  endReads(draft, () => true, 'leaderChanged', leader);
  if (role.kind !== 'leader') return;
  for (const { peer, request, forward } of allReads(role.reads)) {
    if (peer === null) draft.refuse([request], 'leaderChanged', leader);
    else draft.refuseForward(peer, forward, 'notLeader', leader);
  }
}

/** The next deadline of a request. */
export function requestsDeadline({ role, attempts, reads }: CoreState): Milliseconds {
  let due = attempts.length === 0 ? Infinity : attemptsDeadline(attempts);
  if (reads.length > 0) due = Math.min(due, readsDeadline(reads));
  if (role.kind !== 'leader') return due;
  due = Math.min(due, readsDeadline(role.reads.waiting));
  for (const { reads: begun } of role.reads.begun) due = Math.min(due, readsDeadline(begun));
  return due;
}
