/**
 * The callers' promises, for the question: which promise belongs to which call of the driver? Each is resolved or
 * rejected exactly once, when the driver answers, serves or fails that call.
 */

import { describeFirstStart } from '../driver/first-start.js';
import type { Failure, ReplicaStatus } from '../driver/state.js';
import { ConsensusError } from '../errors.js';
import type { Signal } from '../leadership.js';
import type { StoredResult } from '../driver/session-table.js';
import { hasAborted, listen, reasonOf } from './signals.js';

/** The callbacks of a caller whose wait ends well: `complete` for a command, `serve` for a read. */
export interface Completions {
  complete?(result: StoredResult, index: number): void;
  serve?(index: number): void;
}

interface CallWaiter extends Completions {
  fail(failure: Failure): void;
  /** Stops listening to the signal. */
  release(): void;
}

/** The error of a request whose signal had aborted before the request was made, or aborted meanwhile. */
export function abortError(signal: Signal): ConsensusError {
  const message = 'the signal was aborted before the request was made';
  return new ConsensusError(message, { code: 'ERR_TIMEOUT', retryable: true, cause: reasonOf(signal) });
}

/** The error of a wait for readiness whose signal aborted: it says what the replica still waits for. */
export function notReadyError(signal: Signal, { phase, firstStart }: ReplicaStatus): ConsensusError {
  const still = firstStart === null ? `no leader is known; it is ${phase}` : describeFirstStart(firstStart);
  const message = `the replica is not ready: ${still}`;
  return new ConsensusError(message, { code: 'ERR_TIMEOUT', retryable: true, cause: reasonOf(signal) });
}

const RETRYABLE = new Set(['ERR_NO_LEADER', 'ERR_TIMEOUT', 'ERR_BUSY', 'ERR_OUTCOME_UNKNOWN']);

/** The error that users catch for a failure. */
export function errorOf({ code, outcome, message, cause }: Failure, signal: Signal | undefined): ConsensusError {
  const retryable = RETRYABLE.has(code);
  return new ConsensusError(message, {
    code,
    outcome,
    retryable,
    cause: cause === undefined && signal !== undefined && hasAborted(signal) ? reasonOf(signal) : cause,
  });
}

/** The calls of one signal. They share one listener, since platforms search all listeners when one is added. */
interface SignalCalls {
  /** The callbacks for its abort, by the number of the call. */
  readonly waiting: Map<number, (call: number) => void>;
  aborted: boolean;
  /** Stops listening. */
  stop(): void;
}

export class Waiters {
  private readonly waiters = new Map<number, CallWaiter>();
  private readonly bySignal = new Map<Signal, SignalCalls>();
  private last = 0;

  /**
   * Registers a caller and returns its number, or `null` if its signal has aborted by now. `onAbort` is called with the
   * number if the signal aborts before the end. Numbers ascend in the order in which they are returned: the signal's
   * code, which may make a request of its own, runs before the number is taken, and nobody's code after that.
   */
  add(
    signal: Signal | undefined,
    completions: Completions,
    reject: (error: unknown) => void,
    onAbort: (call: number) => void,
  ): number | null {
    const calls = signal === undefined ? undefined : this.listen(signal);
    if (calls === null) return null;
    const call = ++this.last;
    calls?.waiting.set(call, onAbort);
    this.waiters.set(call, {
      ...completions,
      fail: (failure) => reject(errorOf(failure, signal)),
      release: () => {
        if (signal !== undefined && calls !== undefined) this.release(signal, calls, call);
      },
    });
    return call;
  }

  /** The calls of a signal, to which it listens; `null` if it has aborted. */
  private listen(signal: Signal): SignalCalls | null {
    if (hasAborted(signal)) return null;
    const known = this.bySignal.get(signal);
    if (known !== undefined) return known.aborted ? null : known;
    const waiting: SignalCalls['waiting'] = new Map();
    const stop = listen(signal, () => {
      calls.aborted = true;
      for (const [call, onAbort] of [...waiting]) onAbort(call);
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

  private take(call: number): CallWaiter | undefined {
    const waiter = this.waiters.get(call);
    this.waiters.delete(call);
    waiter?.release();
    return waiter;
  }

  answer(call: number, result: StoredResult, index: number): void {
    this.take(call)?.complete?.(result, index);
  }

  serve(calls: readonly number[], index: number): void {
    for (const call of calls) this.take(call)?.serve?.(index);
  }

  failAll(failure: Failure): void {
    this.fail([...this.waiters.keys()], failure);
  }

  fail(calls: readonly number[], failure: Failure): void {
    for (const call of calls) this.take(call)?.fail(failure);
  }
}
