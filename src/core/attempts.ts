/**
 * The attempts under way, which answer the question: which proposals of this replica's own host have neither taken
 * effect nor failed? An attempt is one sending of proposals to a leader, and each of its requests ends exactly once.
 *
 * An attempt has a place once its indexes are known: this replica appended it, or found it in its log, or the leader
 * accepted the forward that carried it. Then what is committed there decides: the own id, or another one. A forward is
 * waited for with patience, and a new attempt is made when evidence says so: a refusal, a message that never left, a
 * lost connection, a change of leader, another id at the index; and time as the last resort.
 *
 * Every function gives the attempts that remain and the requests to resolve; nothing is changed in place.
 */

import {
  itemAtOrBelow,
  itemNumbered,
  itemsDue,
  itemsOf,
  itemsThrough,
  withItem,
  withoutItem,
  type Book,
  type BookItem,
} from './book.js';
import { sameId } from './entries.js';
import type { PlaceRun } from './forwarding.js';
import type { Entry, EntryId, Index, Milliseconds, Outcome, Proposal, Reason, RequestNumber } from './protocol.js';
import type { ReplicaId } from './members.js';

/** Proposals that the host made together, in the order in which it made them. */
export interface Attempt extends BookItem {
  /** The first of its requests; those of later attempts are higher. */
  readonly key: RequestNumber;
  /** The index of the first entry, which the others follow; `Infinity` while it is not known. */
  readonly at: Index;
  /** When it ends: the host's deadline, or earlier when the leader's answer is overdue. */
  readonly deadline: Milliseconds;
  /** 0 for a request that has ended. */
  readonly requests: readonly RequestNumber[];
  readonly ids: readonly EntryId[];
  /** The number of the forward that carried it to the leader, which ascends with the keys; 0 at a leader. */
  readonly forward: number;
  /** When the forward left; 0 at a leader. */
  readonly sentAt: Milliseconds;
  /** Bytes of all forwards to that leader up to this one; 0 at a leader. */
  readonly through: number;
  /** The deadline that the host gave. */
  readonly until: Milliseconds;
}

export type Attempts = Book<Attempt>;

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
const SUPERSEDED: Outcome = { kind: 'unknown', reason: 'superseded', leader: null };
const BUSY: Outcome = { kind: 'unknown', reason: 'busy', leader: null };

function isOpen(request: RequestNumber): boolean {
  return request !== 0;
}

/** With an attempt of a leader, whose entries stand at `first` and the indexes that follow. */
export function addPlaced(
  attempts: Attempts,
  proposals: readonly Pick<Proposal, 'request' | 'id'>[],
  first: Index,
  until: Milliseconds,
): Attempts {
  const requests = proposals.map((proposal) => proposal.request);
  const ids = proposals.map((proposal) => proposal.id);
  const key = requests[0] as RequestNumber;
  return withItem(attempts, {
    key,
    deadline: until,
    at: first,
    requests,
    ids,
    forward: 0,
    sentAt: 0,
    through: 0,
    until,
  });
}

/** With an attempt that is forwarded at `sentAt`, and whose answer is overdue after `patience`. */
export function addForwarded(
  attempts: Attempts,
  proposals: readonly Pick<Proposal, 'request' | 'id'>[],
  sending: Pick<Attempt, 'forward' | 'sentAt' | 'through' | 'until'> & { readonly patience: Milliseconds },
): Attempts {
  const requests = proposals.map((proposal) => proposal.request);
  const ids = proposals.map((proposal) => proposal.id);
  const key = requests[0] as RequestNumber;
  const { patience, ...forwarded } = sending;
  const deadline = Math.min(sending.until, sending.sentAt + patience);
  return withItem(attempts, { key, deadline, at: Infinity, requests, ids, ...forwarded });
}

/** The attempt whose forward has this number, while the leader's answer is waited for. */
export function unansweredAttempt(attempts: Attempts, forward: number): Attempt | undefined {
  const attempt = itemNumbered(attempts, (each) => each.forward, forward);
  return attempt?.at === Infinity ? attempt : undefined;
}

/** The part of an attempt from the position `from` on, up to `to`; undefined if no request of it is open. */
function piece(attempt: Attempt, from: number, to: number, at: Index): Attempt | undefined {
  const { requests, ids, until } = attempt;
  let first = from;
  while (first < to && !isOpen(requests[first] as RequestNumber)) first++;
  if (first === to) return undefined;
  return {
    ...attempt,
    key: requests[first] as RequestNumber,
    deadline: until,
    at: at + first - from,
    requests: requests.slice(first, to),
    ids: ids.slice(first, to),
  };
}

/** Collects requests by the way they end. */
class Endings {
  readonly committed: RequestNumber[] = [];
  readonly superseded: RequestNumber[] = [];
  readonly busy: RequestNumber[] = [];

  /** What an entry with this id at the request's place says. */
  judge(request: RequestNumber, own: EntryId, met: EntryId | null | undefined): void {
    if (isOpen(request)) (met !== undefined && sameId(met, own) ? this.committed : this.superseded).push(request);
  }

  list(): readonly Ending[] {
    const all = [
      { requests: this.committed, outcome: COMMITTED },
      { requests: this.superseded, outcome: SUPERSEDED },
      { requests: this.busy, outcome: BUSY },
    ];
    return all.filter(({ requests }) => requests.length > 0);
  }
}

/**
 * The leader has answered a forward, with the places of all proposals. What is delivered by
 * now is judged by `idAt`, which gives `undefined` where it is not known any more; the rest waits at its place.
 */
export function placeAccepted(
  attempts: Attempts,
  attempt: Attempt,
  places: readonly PlaceRun[],
  delivered: Index,
  idAt: (index: Index) => EntryId | null | undefined,
): EndedAttempts {
  const { requests, ids } = attempt;
  const endings = new Endings();
  let left = withoutItem(attempts, attempt.key);
  let from = 0;
  for (const { first, count } of places) {
    const decided = first === 0 ? count : Math.min(count, Math.max(0, delivered + 1 - first));
    for (let i = 0; i < decided; i++) {
      const request = requests[from + i] as RequestNumber;
      if (first > 0) endings.judge(request, ids[from + i] as EntryId, idAt(first + i));
      else if (isOpen(request)) endings.busy.push(request);
    }
    const waiting = piece(attempt, from + decided, from + count, first + decided);
    if (waiting !== undefined) left = withItem(left, waiting);
    from += count;
  }
  return { attempts: left, endings: endings.list() };
}

/** Whether `entries` hold the whole of an attempt that was appended here, as the same objects: the usual case. */
function wholly({ at: first, ids, requests }: Attempt, entries: readonly Entry[], from: Index): boolean {
  const at = first - from;
  if (at < 0 || at + ids.length > entries.length) return false;
  for (let i = 0; i < ids.length; i++) {
    if ((entries[at + i] as Entry).id !== ids[i] || !isOpen(requests[i] as RequestNumber)) return false;
  }
  return true;
}

/** Ends the requests that `entries` (consecutive, committed, being delivered) decide. */
export function completeCommitted(attempts: Attempts, entries: readonly Entry[]): EndedAttempts {
  if (attempts === null || entries.length === 0) return { attempts, endings: [] };
  const from = (entries[0] as Entry).index;
  const to = from + entries.length - 1;
  const endings: Ending[] = [];
  let left: Attempts = attempts;
  for (const attempt of itemsThrough(attempts, to)) {
    left = withoutItem(left, attempt.key);
    if (wholly(attempt, entries, from)) {
      endings.push({ requests: attempt.requests, outcome: COMMITTED });
      continue;
    }
    const { at, requests, ids } = attempt;
    const decided = Math.min(requests.length, to - at + 1);
    const judged = new Endings();
    for (let i = 0; i < decided; i++) {
      judged.judge(requests[i] as RequestNumber, ids[i] as EntryId, entries[at + i - from]?.id);
    }
    endings.push(...judged.list());
    const rest = piece(attempt, decided, requests.length, at + decided);
    if (rest !== undefined) left = withItem(left, rest);
  }
  return { attempts: left, endings };
}

/** Ends these attempts of a book. */
function end(attempts: Attempts, ending: readonly Attempt[], outcome: (attempt: Attempt) => Outcome): EndedAttempts {
  let left = attempts;
  const endings = ending.map((attempt) => {
    left = withoutItem(left, attempt.key);
    return { requests: attempt.requests.filter(isOpen), outcome: outcome(attempt) };
  });
  return { attempts: left, endings };
}

/** Ends one attempt: its forward was refused or never left. */
export function endAttempt(attempts: Attempts, attempt: Attempt, outcome: Outcome): EndedAttempts {
  return end(attempts, [attempt], () => outcome);
}

/** Ends all attempts: the leader changes, or the replica stops. */
export function endAllAttempts(attempts: Attempts, reason: Reason, leader: ReplicaId | null): EndedAttempts {
  const outcome: Outcome = { kind: 'unknown', reason, leader };
  return { attempts: null, endings: end(null, itemsOf(attempts), () => outcome).endings };
}

/** Ends the forwards that wait for the leader's answer: the connection to it was lost, and they may be, too. */
export function endUnanswered(attempts: Attempts, leader: ReplicaId | null): EndedAttempts {
  const unanswered = itemsOf(attempts).filter(({ at }) => at === Infinity);
  return end(attempts, unanswered, () => ({ kind: 'unknown', reason: 'disconnected', leader }));
}

/** Ends the attempts whose deadline has come, and the forwards whose answer is overdue. */
export function endExpired(attempts: Attempts, now: Milliseconds): EndedAttempts {
  return end(attempts, itemsDue(attempts, now), ({ until }) => ({
    kind: 'unknown',
    reason: until <= now ? 'deadline' : 'unanswered',
    leader: null,
  }));
}

/** Ends these requests, whose callers have gone; the others of the same attempt stay. */
export function endCancelled(attempts: Attempts, requests: readonly RequestNumber[]): EndedAttempts {
  const cancelled: RequestNumber[] = [];
  const touched = new Map<Attempt, Set<RequestNumber>>();
  for (const request of requests) {
    const attempt = itemAtOrBelow(attempts, request);
    if (attempt === undefined) continue;
    const gone = touched.get(attempt) ?? new Set();
    touched.set(attempt, gone.add(request));
  }
  let left = attempts;
  for (const [attempt, gone] of touched) {
    const others = attempt.requests.map((request) => (gone.has(request) ? 0 : request));
    const ended = attempt.requests.filter((request) => isOpen(request) && gone.has(request));
    if (ended.length === 0) continue;
    for (const request of ended) cancelled.push(request);
    left = others.some(isOpen) ? withItem(left, { ...attempt, requests: others }) : withoutItem(left, attempt.key);
  }
  if (cancelled.length === 0) return { attempts, endings: [] };
  const outcome: Outcome = { kind: 'unknown', reason: 'cancelled', leader: null };
  return { attempts: left, endings: [{ requests: cancelled, outcome }] };
}
