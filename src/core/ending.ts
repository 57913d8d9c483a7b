/**
 * Ends requests that nobody will serve any more: their deadline has passed, their caller cancelled them, the leader
 * changed, or the replica stops. A request is a proposal, a read queued at the leader, or a forwarded read; all three
 * end by the same rules.
 */

import { endAllAttempts, endAttempt, endCancelled, endExpired, endUnanswered, unansweredAttempt } from './attempts.js';
import { earliestDeadline, itemsDue, itemsKeyed, itemsOf, withoutItem } from './book.js';
import type { AnyDraft } from './draft.js';
import type { ReplicaId } from './members.js';
import { doublePatience, forgetForwarded, noteAnswered, restorePatience } from './patience.js';
import type { Milliseconds, Reason, RequestNumber } from './protocol.js';
import {
  allReads,
  dropReads,
  queueDeadline,
  readForwarded,
  readsDue,
  readsRequested,
  type ForwardedRead,
  type LeaderRead,
} from './reads.js';
import { leaderOf, type CoreState } from './state.js';
import { cancelTransfer, endTransferForLeaderChange, resolveTransfer } from './transfer.js';

/** The request numbers of `requests`, in their order. */
export function requestsOf(requests: readonly { readonly request: RequestNumber }[]): readonly RequestNumber[] {
  return requests.map(({ request }) => request);
}

/** Ends these forwarded reads; as `none`, since a read never has an effect. */
function endReads(draft: AnyDraft, ended: readonly ForwardedRead[], reason: Reason, leader: ReplicaId | null): void {
  if (ended.length === 0) return;
  let { reads } = draft.state;
  for (const { key } of ended) reads = withoutItem(reads, key);
  draft.setReads(reads);
  draft.refuse(
    ended.map(({ key }) => key),
    reason,
    leader,
  );
}

/** Ends these reads in the queue of a leader: of its own host, and those that peers forwarded. */
function endQueued(draft: AnyDraft, ended: readonly LeaderRead[], reason: Reason, leader: ReplicaId | null): void {
  if (ended.length === 0) return;
  draft.editLeader().reads = dropReads(draft.leaderRole.reads, ended);
  for (const { key, peer, forward } of ended) {
    if (peer === null) draft.refuse([key], reason, leader);
    else draft.refuseForward(peer, forward, 'busy');
  }
}

/** Ends the requests whose deadline has passed, and the forwards whose answer is overdue. */
export function expireRequests(draft: AnyDraft): void {
  const { now, state } = draft;
  const leader = leaderOf(state);
  const attempts = itemsDue(state.attempts, now);
  const reads = itemsDue(state.reads, now);
  if (attempts.length > 0) draft.endAttempts(endExpired(state.attempts, now));
  for (const read of reads) endReads(draft, [read], read.until <= now ? 'deadline' : 'unanswered', leader);
  if ([...attempts, ...reads].some(({ until }) => until > now)) doublePatience(draft);
  if (state.role.kind === 'leader') endQueued(draft, readsDue(state.role.reads, now), 'deadline', leader);
}

/** The host cancels these requests. */
export function onCancel(draft: AnyDraft, requests: readonly RequestNumber[]): void {
  const { state } = draft;
  draft.endAttempts(endCancelled(state.attempts, requests));
  endReads(draft, itemsKeyed(state.reads, requests), 'cancelled', null);
  if (state.role.kind === 'leader') endQueued(draft, readsRequested(state.role.reads, requests), 'cancelled', null);
  cancelTransfer(draft, requests);
}

/** A forward ends without an answer: the leader refused it, or it never left. */
export function endForward(
  draft: AnyDraft,
  number: number,
  kind: 'none' | 'unknown',
  reason: Reason,
  leader: ReplicaId | null,
): void {
  const { attempts, reads } = draft.state;
  const attempt = unansweredAttempt(attempts, number);
  if (attempt !== undefined) {
    if (reason !== 'unsent') noteAnswered(draft, attempt.through);
    draft.endAttempts(endAttempt(attempts, attempt, { kind, reason, leader }));
  }
  const read = readForwarded(reads, number);
  if (read !== undefined) endReads(draft, [read], reason, leader);
}

/** A connection with a peer was lost: what waits for its answer as leader is to be tried again. */
export function endForDisconnect(draft: AnyDraft, peer: ReplicaId): void {
  const { role, attempts, reads } = draft.state;
  if (role.kind !== 'follower' || role.leader !== peer) return;
  draft.endAttempts(endUnanswered(attempts, peer));
  endReads(draft, itemsOf(reads), 'disconnected', peer);
  forgetForwarded(draft);
}

/** Ends every request of the own host. */
export function endAllRequests(draft: AnyDraft, reason: Reason): void {
  const { attempts, reads, role } = draft.state;
  draft.endAttempts(endAllAttempts(attempts, reason, null));
  endReads(draft, itemsOf(reads), reason, null);
  if (role.kind !== 'leader') return;
  resolveTransfer(draft, reason);
  const own = allReads(role.reads).filter(({ peer }) => peer === null);
  endQueued(draft, own, reason, null);
}

/**
 * Ends the requests that this replica cannot follow any more when it changes its role, its leader or its term: what it
 * appended or forwarded may never be committed, and the next leader is to be asked. Called before the role changes.
 * @param leader the next leader, `null` while unknown
 */
export function endForLeaderChange(draft: AnyDraft, leader: ReplicaId | null): void {
  const { role, attempts, reads } = draft.state;
  draft.endAttempts(endAllAttempts(attempts, 'leaderChanged', leader));
  endReads(draft, itemsOf(reads), 'leaderChanged', leader);
  restorePatience(draft);
  endTransferForLeaderChange(draft);
  if (role.kind !== 'leader') return;
  for (const { key, peer, forward } of allReads(role.reads)) {
    if (peer === null) draft.refuse([key], 'leaderChanged', leader);
    else draft.refuseForward(peer, forward, 'notLeader', leader);
  }
}

/** The next deadline of a request. */
export function requestsDeadline({ role, attempts, reads }: CoreState): Milliseconds {
  const due = Math.min(earliestDeadline(attempts), earliestDeadline(reads));
  return role.kind === 'leader' ? Math.min(due, queueDeadline(role.reads)) : due;
}
