/**
 * The queue of reads, for the question: what does each read of this replica's own callers wait for? It waits to be
 * passed to the core, for the core's answer with an index, or for that index to be applied. Reads that wait at the
 * same time are passed to the core as one batch; a batch without an answer is queued again with the reads that came
 * meanwhile.
 *
 * Invariants: a read is served when everything up to its index is applied here, never before; `queued` and the calls of
 * a batch are in the order of the callers' numbers, `asked` in that of the requests, `waiting` in that of the indexes.
 */

import type { Mutable } from '../../core/draft.js';
import type { Index, RequestNumber } from '../../core/protocol.js';
import type { CallChoice, EndedCalls } from './calls.js';
import { PartDraft } from './part-draft.js';
import { firstAbove, merged, positionOf, without } from './sorted-list.js';
import type { Failure, PendingCall } from './state.js';

/** Reads that are served together. */
export interface ReadBatch {
  readonly calls: readonly PendingCall[];
}

/** A batch that waits for the core to name its index. */
export interface AskedBatch extends ReadBatch {
  /** The number of the request to the core. */
  readonly request: RequestNumber;
}

/** A batch that waits until everything up to `index` is applied. */
export interface WaitingBatch extends ReadBatch {
  readonly index: Index;
}

/** @see ReadsDraft */
export interface ReadsState {
  readonly queued: readonly PendingCall[];
  readonly asked: readonly AskedBatch[];
  readonly waiting: readonly WaitingBatch[];
}

export const noReads: ReadsState = { queued: [], asked: [], waiting: [] };

const callOf = (call: PendingCall): number => call.call;
const requestOf = (batch: AskedBatch): number => batch.request;
const indexOf = (batch: WaitingBatch): number => batch.index;

export class ReadsDraft extends PartDraft<ReadsState> {
  protected override copy(state: ReadsState): Mutable<ReadsState> {
    return { queued: state.queued, asked: state.asked, waiting: state.waiting };
  }

  /** Queues linearizable reads, for which the core must name an index. */
  queue(calls: readonly PendingCall[]): void {
    const next = this.edit();
    next.queued = next.queued.length === 0 ? calls : next.queued.concat(calls);
  }

  /** Reads that can be served once everything up to `index` is applied. */
  wait(index: Index, calls: readonly PendingCall[]): void {
    const next = this.edit();
    next.waiting = merged(next.waiting, [{ index, calls }], indexOf);
  }

  /** Asks the core for an index at which all queued reads can be served. */
  feed(): void {
    const { draft } = this;
    const { queued } = this.state;
    if (queued.length === 0) return;
    const request = draft.freshRequest();
    const next = this.edit();
    next.asked = [...next.asked, { request, calls: queued }];
    next.queued = [];
    draft.toCore({ kind: 'read', now: draft.now, request, deadline: draft.calls.attemptDeadline });
  }

  /** The core answered: these reads are linearizable at `index`. */
  ready(request: RequestNumber, index: Index): void {
    const { asked } = this.state;
    const at = positionOf(asked, requestOf, request);
    if (at < 0) return;
    this.edit().asked = without(asked, [at]);
    this.wait(index, (asked[at] as AskedBatch).calls);
  }

  /** The core could not answer these requests: their reads are queued again, before those that came later. */
  ended(attempts: EndedCalls): void {
    const { asked } = this.state;
    const back = asked.filter(({ request }) => attempts.has(request));
    if (back.length === 0) return;
    const next = this.edit();
    next.asked = asked.filter(({ request }) => !attempts.has(request));
    for (const { calls } of back) next.queued = merged(next.queued, calls, callOf);
  }

  /** Serves the reads whose index is applied. */
  serve(): void {
    const { waiting } = this.state;
    const { applied } = this.draft.applying.state;
    const first = waiting[0];
    if (first === undefined || first.index > applied) return;
    const end = firstAbove(waiting, indexOf, applied);
    for (let i = 0; i < end; i++) this.draft.serve((waiting[i] as WaitingBatch).calls, applied);
    this.edit().waiting = waiting.slice(end);
  }

  /** Fails the chosen reads. Returns the requests to the core that no read waits for any more. */
  end(choice: CallChoice, failure: Failure): RequestNumber[] {
    const { queued, asked, waiting } = this.state;
    const shorten = <B extends ReadBatch>(batch: B): B => {
      const calls = this.failChosen(batch.calls, choice, failure);
      return calls === batch.calls ? batch : { ...batch, calls };
    };
    const left = this.failChosen(queued, choice, failure);
    const leftAsked = asked.map(shorten);
    const leftWaiting = waiting.map(shorten);
    const next = this.edit();
    next.queued = left;
    next.asked = leftAsked.filter(({ calls }) => calls.length > 0);
    next.waiting = leftWaiting.filter(({ calls }) => calls.length > 0);
    return leftAsked.filter(({ calls }) => calls.length === 0).map(requestOf);
  }

  private failChosen(calls: readonly PendingCall[], choice: CallChoice, failure: Failure): readonly PendingCall[] {
    const chosen = choice(calls);
    this.draft.fail(
      chosen.map((at) => calls[at] as PendingCall),
      failure,
    );
    return without(calls, chosen);
  }
}
