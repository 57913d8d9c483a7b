/** What is going to happen, in the order of time: a binary heap by time, and of one time by the order of scheduling. */

import { Violation } from './judge.js';

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** So many things may happen at one time. */
const MOST_AT_ONCE = 10_000;

export class OracleAgenda {
  now = 0;
  private readonly heap: Scheduled[] = [];
  private order = 0;

  schedule(delay: number, run: () => void): void {
    const { heap } = this;
    const item = { at: this.now + delay, order: this.order++, run };
    let at = heap.length;
    for (; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent] as Scheduled)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = item;
  }

  private takeNext(): Scheduled {
    const { heap } = this;
    const first = heap[0] as Scheduled;
    const item = heap.pop() as Scheduled;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (!isBefore(heap[child] as Scheduled, item)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    if (heap.length > 0) heap[at] = item;
    return first;
  }

  /** Lets everything happen that is due before `until`, or until `done`. */
  runUntil(until: number, done: () => boolean): void {
    let atOnce = 0;
    while (!done() && (this.heap[0]?.at ?? Infinity) <= until) {
      const { at, run } = this.takeNext();
      atOnce = at === this.now ? atOnce + 1 : 0;
      if (atOnce > MOST_AT_ONCE) {
        throw new Violation('time stands still: the replicas keep each other, or themselves, busy');
      }
      this.now = at;
      run();
    }
  }
}
