/**
 * The queue of reads, for the question: what does each read of this replica's own callers wait for? It waits to be
 * passed to the core, for the core's answer with an index, or for that index to be applied. Reads that wait at the
 * same time are passed to the core as one batch; a batch without an answer is queued again with the reads that came
 * meanwhile.
 *
 * Invariants: a read is served when everything up to its index is applied here, never before; the books are keyed by
 * the callers' numbers, and `asked` is in the order of the requests.
 */

import {
  earliestDeadline,
  highestKey,
  itemsOf,
  itemsThrough,
  withItems,
  withNewest,
  withoutItems,
  type Book,
  type BookItem,
} from '../../core/book.js';
import type { Mutable } from '../../core/draft.js';
import type { Index, Milliseconds, RequestNumber } from '../../core/protocol.js';
import type { CallChoice, EndedCalls } from './calls.js';
import { PartDraft } from './part-draft.js';
import type { Failure, PendingCall, ReadWay } from './state.js';

/** A batch that waits for the core to name its index. */
export interface AskedBatch {
  /** The number of the request to the core. */
  readonly request: RequestNumber;
  readonly calls: Book<BookItem>;
}

/** A stale read that waits until what is applied here is fresh enough. */
export interface AgedRead extends BookItem {
  readonly minIndex: Index;
  readonly maxAge: Milliseconds;
}

/** @see ReadsDraft */
export interface ReadsState {
  readonly queued: Book<BookItem>;
  readonly asked: readonly AskedBatch[];
  /** Each waits until everything up to its `at` is applied. */
  readonly waiting: Book<BookItem>;
  readonly aged: Book<AgedRead>;
  /** When the state was fresh, as far as the aged reads have been told. */
  readonly toldFreshAt: Milliseconds;
  /** How many reads wait in all. */
  readonly count: number;
}

export const noReads: ReadsState = {
  queued: null,
  asked: [],
  waiting: null,
  aged: null,
  toldFreshAt: -Infinity,
  count: 0,
};

function booked(calls: readonly PendingCall[], at: Index): readonly BookItem[] {
  return calls.map(({ call, deadline }) => ({ key: call, deadline, at }));
}

const keyOf = ({ key }: BookItem): number => key;

/** The earliest deadline of a read. */
export function readsDeadline({ queued, asked, waiting, aged }: ReadsState): Milliseconds {
  let deadline = Math.min(earliestDeadline(queued), earliestDeadline(waiting), earliestDeadline(aged));
  for (const { calls } of asked) deadline = Math.min(deadline, earliestDeadline(calls));
  return deadline;
}

export class ReadsDraft extends PartDraft<ReadsState> {
  protected override copy(state: ReadsState): Mutable<ReadsState> {
    const { queued, asked, waiting, aged, toldFreshAt, count } = state;
    return { queued, asked, waiting, aged, toldFreshAt, count };
  }

  /** The highest number of a caller whose read is queued. */
  get newest(): number {
    return highestKey(this.state.queued);
  }

  /** Queues linearizable reads, for which the core must name an index; their callers are newer than all queued. */
  queue(calls: readonly PendingCall[]): void {
    const next = this.edit();
    next.queued = withNewest(next.queued, booked(calls, Infinity));
    next.count += calls.length;
  }

  /** Queues lease reads as linearizable ones; callers of other reads of the same turn may be newer. */
  queueAmong(calls: readonly PendingCall[]): void {
    const next = this.edit();
    next.queued = withItems(next.queued, booked(calls, Infinity));
    next.count += calls.length;
  }

  /** Reads that can be served once everything up to `index` is applied. */
  wait(index: Index, calls: readonly PendingCall[]): void {
    const next = this.edit();
    next.waiting = withItems(next.waiting, booked(calls, index));
    next.count += calls.length;
  }

  /** Reads that can be served once everything up to `minIndex` is applied, and that is fresh enough. */
  waitFresh(minIndex: Index, maxAge: Milliseconds, calls: readonly PendingCall[]): void {
    const next = this.edit();
    const items = booked(calls, Infinity).map((item) => ({ ...item, minIndex, maxAge }));
    next.aged = withItems(next.aged, items);
    next.count += calls.length;
    next.toldFreshAt = -Infinity;
  }

  /** Serves the reads for which the state is fresh enough. They are looked at only when it became fresher. */
  serveFresh(freshAt: Milliseconds): void {
    const { aged, toldFreshAt } = this.state;
    const { now } = this.draft;
    if (aged === null || freshAt <= toldFreshAt) return;
    const { applied } = this.draft.applying.state;
    const fits = ({ minIndex, maxAge }: AgedRead): boolean => minIndex <= applied && now - freshAt <= maxAge;
    const keys = itemsOf<AgedRead>(aged).filter(fits).map(keyOf);
    if (keys.length > 0) this.draft.serve(keys, applied);
    const next = this.edit();
    next.aged = withoutItems(aged, keys);
    next.count -= keys.length;
    next.toldFreshAt = freshAt;
  }

  /** Asks the core for an index at which all queued reads can be served. */
  feed(): void {
    const { queued } = this.state;
    if (queued === null) return;
    this.edit().queued = null;
    this.askCore(queued, 'leader');
  }

  /** Asks the core for an index for these reads, at once. Without an answer they are queued as any others. */
  ask(calls: readonly PendingCall[], by: ReadWay): void {
    this.edit().count += calls.length;
    this.askCore(withNewest(null, booked(calls, Infinity)), by);
  }

  private askCore(calls: Book<BookItem>, by: ReadWay): void {
    const { draft } = this;
    const request = draft.freshRequest();
    const next = this.edit();
    next.asked = [...next.asked, { request, calls }];
    const { now } = draft;
    const deadline = draft.calls.attemptDeadline;
    draft.toCore({ kind: 'read', now, request, deadline, byLease: by === 'lease', byQuorum: by === 'quorum' });
  }

  /** The core answered: these reads are linearizable at `index`. */
  ready(request: RequestNumber, index: Index): void {
    const batch = this.state.asked.find((each) => each.request === request);
    if (batch === undefined) return;
    const next = this.edit();
    next.asked = next.asked.filter((each) => each !== batch);
    const items = itemsOf(batch.calls).map(({ key, deadline }) => ({ key, deadline, at: index }));
    next.waiting = withItems(next.waiting, items);
  }

  /** The core could not answer these requests: their reads are queued again, before those that came later. */
  ended(attempts: EndedCalls): void {
    const back = this.state.asked.filter(({ request }) => attempts.has(request));
    if (back.length === 0) return;
    const next = this.edit();
    next.asked = next.asked.filter(({ request }) => !attempts.has(request));
    for (const { calls } of back) next.queued = withItems(next.queued, itemsOf(calls));
  }

  /** Serves the reads whose index is applied. */
  serve(): void {
    const { waiting } = this.state;
    const { applied } = this.draft.applying.state;
    if (waiting === null || waiting.at > applied) return;
    const keys = itemsThrough(waiting, applied).map(keyOf);
    this.draft.serve(keys, applied);
    const next = this.edit();
    next.waiting = withoutItems(waiting, keys);
    next.count -= keys.length;
  }

  /** Fails the chosen reads. Returns the requests to the core that no read waits for any more. */
  end(choice: CallChoice, failure: Failure): readonly RequestNumber[] {
    const { queued, asked, waiting, aged } = this.state;
    const leftAged = this.failChosen(aged, choice, failure);
    const left = this.failChosen(queued, choice, failure);
    const leftWaiting = this.failChosen(waiting, choice, failure);
    const leftAsked = asked.map((batch) => {
      const calls = this.failChosen(batch.calls, choice, failure);
      return calls === batch.calls ? batch : { request: batch.request, calls };
    });
    const next = this.edit();
    next.queued = left;
    next.waiting = leftWaiting;
    next.aged = leftAged;
    next.asked = leftAsked.filter(({ calls }) => calls !== null);
    return leftAsked.filter(({ calls }) => calls === null).map(({ request }) => request);
  }

  private failChosen<I extends BookItem>(calls: Book<I>, choice: CallChoice, failure: Failure): Book<I> {
    const keys = choice(calls).map(keyOf);
    if (keys.length === 0) return calls;
    this.draft.fail(keys, failure);
    this.edit().count -= keys.length;
    return withoutItems(
      calls,
      keys.sort((a, b) => a - b),
    );
  }
}
