/**
 * The callers' promises, for the question: which promise belongs to which call of the driver? Each is resolved or
 * rejected exactly once, when the driver answers, serves or fails that call.
 */

import type { Failure } from '../driver/state.js';
import type { Signal } from '../leadership.js';
import type { StoredResult } from '../driver/session-table.js';
import type { Caller, SignalCalls } from './callers.js';
import { hasAborted, listen } from './signals.js';

export class Waiters {
  private readonly waiters = new Map<number, Caller>();
  private readonly bySignal = new Map<Signal, SignalCalls>();
  private readonly onAbort: (call: number) => void;
  private last = 0;

  /** @param onAbort is called with the number of each call whose signal aborts before the end */
  constructor(onAbort: (call: number) => void) {
    this.onAbort = onAbort;
  }

  get size(): number {
    return this.waiters.size;
  }

  /**
   * Registers a caller and returns its number, or `null` if its signal has aborted by now. Numbers ascend in the order
   * in which they are returned: the signal's code, which may make a request of its own, runs before the number is
   * taken, and nobody's code after that.
   */
  add(caller: Caller): number | null {
    const { signal } = caller;
    const shared = signal === undefined ? undefined : this.listen(signal);
    if (shared === null) return null;
    const call = ++this.last;
    if (shared !== undefined) {
      shared.waiting.add(call);
      caller.shared = shared;
    }
    this.waiters.set(call, caller);
    return call;
  }

  /** The calls of a signal, to which it listens; `null` if it has aborted. */
  private listen(signal: Signal): SignalCalls | null {
    if (hasAborted(signal)) return null;
    const known = this.bySignal.get(signal);
    if (known !== undefined) return known.aborted ? null : known;
    const waiting: SignalCalls['waiting'] = new Set();
    const stop = listen(signal, () => {
      calls.aborted = true;
      for (const call of [...waiting]) this.onAbort(call);
    });
    if (stop === null) return null;
    const calls: SignalCalls = { waiting, aborted: false, stop };
    // A request that the signal made meanwhile has a listener of its own.
    this.bySignal.set(signal, calls);
    return calls;
  }

  private release(signal: Signal, calls: SignalCalls, call: number): void {
    calls.waiting.delete(call);
    if (calls.waiting.size > 0) return;
    if (this.bySignal.get(signal) === calls) this.bySignal.delete(signal);
    calls.stop();
  }

  private take(call: number): Caller | undefined {
    const caller = this.waiters.get(call);
    this.waiters.delete(call);
    if (caller?.shared !== undefined) this.release(caller.signal as Signal, caller.shared, call);
    return caller;
  }

  answer(call: number, result: StoredResult, index: number): void {
    this.take(call)?.complete(result, index);
  }

  serve(calls: readonly number[]): void {
    for (const call of calls) this.take(call)?.serve();
  }

  transferred(call: number, leader: string): void {
    this.take(call)?.transferred(leader);
  }

  compacted(call: number, index: number, first: number): void {
    this.take(call)?.compacted({ index, first });
  }

  failAll(failure: Failure): void {
    this.fail([...this.waiters.keys()], failure);
  }

  fail(calls: readonly number[], failure: Failure): void {
    for (const call of calls) this.take(call)?.fail(failure);
  }
}
