/**
 * The attempts under way, which answer the question: which proposals of this replica's own host have neither taken
 * effect nor failed? An attempt is one sending of proposals to a leader, and each of its requests ends exactly once.
 *
 * Attempts are of two kinds. One that this replica appended, as leader, stands at known indexes. One that it forwarded,
 * or found in its log on a retry, is recognised by its ids when it is committed. Only an attempt of the first kind can
 * end as `none`: when another entry is committed at its index, nothing else of it exists.
 *
 * Every function gives the attempts that remain and the requests to resolve; nothing is changed in place.
 */

import { IdIndex, sameId } from './entries.js';
import type { Entry, EntryId, Index, Milliseconds, Outcome, Proposal, Reason, RequestNumber } from './protocol.js';
import type { ReplicaId } from './members.js';

/** Proposals that the host made together, in the order of their sequence numbers. */
export interface Attempt {
  readonly requests: readonly RequestNumber[];
  readonly ids: readonly EntryId[];
  /** The index of the first entry, which the others follow; 0 unless this replica appended them. */
  readonly first: Index;
  /** The number of the forward that carried it to the leader; 0 unless it was forwarded. */
  readonly forward: number;
  readonly deadline: Milliseconds;
}

export type Attempts = readonly Attempt[];

/** Requests that end now, and their outcome. */
export interface Ending {
  readonly requests: readonly RequestNumber[];
  readonly outcome: Outcome;
}

/** The attempts that remain, and the requests that end. */
export interface EndedAttempts {
  readonly attempts: Attempts;
  readonly endings: readonly Ending[];
}

const COMMITTED: Outcome = { kind: 'committed' };

/** The attempts with one more. `first` 0 and `forward` 0: the proposals were found in the log on a retry. */
export function addAttempt(
  attempts: Attempts,
  proposals: readonly Proposal[],
  first: Index,
  forward: number,
  deadline: Milliseconds,
): Attempts {
  const requests = proposals.map((proposal) => proposal.request);
  const ids = proposals.map((proposal) => proposal.id);
  return [...attempts, { requests, ids, first, forward, deadline }];
}

/** Ends the requests of `attempt` that `entries` (consecutive, committed) decide. Gives what remains of it, or null. */
function completeOne(
  attempt: Attempt,
  entries: readonly Entry[],
  index: () => IdIndex,
  endings: Ending[],
): Attempt | null {
  const from = (entries[0] as Entry).index;
  const to = from + entries.length - 1;
  const { first, ids, requests } = attempt;
  const committed: RequestNumber[] = [];
  const lost: RequestNumber[] = [];
  const left: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as EntryId;
    const at = first + i;
    if (first > 0 && (at < from || at > to)) left.push(i);
    else if (first > 0) {
      const met = sameId((entries[at - from] as Entry).id, id);
      (met ? committed : lost).push(requests[i] as number);
    } else if (index().indexOf(id) > 0) committed.push(requests[i] as number);
    else left.push(i);
  }
  if (committed.length > 0) endings.push({ requests: committed, outcome: COMMITTED });
  if (lost.length > 0) {
    endings.push({ requests: lost, outcome: { kind: 'none', reason: 'superseded', leader: null } });
  }
  if (left.length === ids.length) return attempt;
  if (left.length === 0) return null;
  const firstLeft = first > 0 ? first + (left[0] as number) : 0;
  return {
    ...attempt,
    first: firstLeft,
    ids: left.map((at) => ids[at] as EntryId),
    requests: left.map((at) => requests[at] as number),
  };
}

/** Whether `entries` hold the whole of an attempt that was appended here, as the same objects: the usual case. */
function wholly(attempt: Attempt, entries: readonly Entry[]): boolean {
  const from = (entries[0] as Entry).index;
  const at = attempt.first - from;
  if (attempt.first === 0 || at < 0 || at + attempt.ids.length > entries.length) return false;
  for (let i = 0; i < attempt.ids.length; i++) {
    if ((entries[at + i] as Entry).id !== attempt.ids[i]) return false;
  }
  return true;
}

/** Ends the requests that `entries` (consecutive, committed, being delivered) decide. */
export function completeCommitted(attempts: Attempts, entries: readonly Entry[]): EndedAttempts {
  if (attempts.length === 0 || entries.length === 0) return { attempts, endings: [] };
  const endings: Ending[] = [];
  const left: Attempt[] = [];
  const from = (entries[0] as Entry).index;
  const to = from + entries.length - 1;
  let known: IdIndex | undefined;
  const index = (): IdIndex => (known ??= new IdIndex(entries));
  for (const attempt of attempts) {
    if (attempt.first > to || (attempt.first > 0 && attempt.first + attempt.ids.length <= from)) {
      left.push(attempt); // elsewhere in the log
      continue;
    }
    if (wholly(attempt, entries)) {
      endings.push({ requests: attempt.requests, outcome: COMMITTED });
      continue;
    }
    const rest = completeOne(attempt, entries, index, endings);
    if (rest !== null) left.push(rest);
  }
  return { attempts: left, endings };
}

function endWhere(
  attempts: Attempts,
  ends: (attempt: Attempt) => boolean,
  reason: Reason,
  leader: ReplicaId | null,
): EndedAttempts {
  const endings: Ending[] = [];
  const left = attempts.filter((attempt) => {
    if (!ends(attempt)) return true;
    endings.push({ requests: attempt.requests, outcome: { kind: 'unknown', reason, leader } });
    return false;
  });
  return endings.length === 0 ? { attempts, endings } : { attempts: left, endings };
}

/** Ends, when the leader changes, what was forwarded or found in the log: its fate cannot be observed any more. */
export function endOnLeaderChange(attempts: Attempts, leader: ReplicaId | null): EndedAttempts {
  return endWhere(attempts, (attempt) => attempt.first === 0, 'leaderChanged', leader);
}

/** Ends the attempt whose forward a peer refused; as `unknown`, since another copy of it may still be accepted. */
export function endRefused(
  attempts: Attempts,
  forward: number,
  reason: Reason,
  leader: ReplicaId | null,
): EndedAttempts {
  return endWhere(attempts, (attempt) => attempt.forward === forward, reason, leader);
}

/** Ends the attempts whose deadline has passed. */
export function endExpired(attempts: Attempts, now: Milliseconds): EndedAttempts {
  return endWhere(attempts, (attempt) => attempt.deadline <= now, 'deadline', null);
}

/** Ends all attempts, when the replica stops or its storage has failed. */
export function endAllAttempts(attempts: Attempts, reason: Reason): EndedAttempts {
  return endWhere(attempts, () => true, reason, null);
}

/** Ends these requests, whose callers have gone; the others of the same attempt stay. */
export function endCancelled(attempts: Attempts, requests: readonly RequestNumber[]): EndedAttempts {
  const gone = new Set(requests);
  const cancelled: RequestNumber[] = [];
  const left: Attempt[] = [];
  for (const attempt of attempts) {
    if (!attempt.requests.some((request) => gone.has(request))) {
      left.push(attempt);
      continue;
    }
    attempt.requests.forEach((request, at) => {
      if (gone.has(request)) cancelled.push(request);
      else left.push(single(attempt, at));
    });
  }
  if (cancelled.length === 0) return { attempts, endings: [] };
  const outcome: Outcome = { kind: 'unknown', reason: 'cancelled', leader: null };
  return { attempts: left, endings: [{ requests: cancelled, outcome }] };
}

function single(attempt: Attempt, at: number): Attempt {
  const first = attempt.first > 0 ? attempt.first + at : 0;
  const request = attempt.requests[at] as RequestNumber;
  return { ...attempt, first, requests: [request], ids: [attempt.ids[at] as EntryId] };
}

/** The next deadline among the attempts. */
export function attemptsDeadline(attempts: Attempts): Milliseconds {
  let deadline = Infinity;
  for (const attempt of attempts) deadline = Math.min(deadline, attempt.deadline);
  return deadline;
}
