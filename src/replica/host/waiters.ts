/**
 * The callers' promises, for the question: which promise belongs to which call of the driver? Each is resolved or
 * rejected exactly once, when the driver answers, serves or fails that call.
 */

import { describeFirstStart } from '../driver/first-start.js';
import type { Failure, ReplicaStatus } from '../driver/state.js';
import { ConsensusError } from '../errors.js';
import type { Signal } from '../leadership.js';
import type { StoredResult } from '../driver/session-table.js';

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

/** The error of a request whose signal had aborted before it was made. */
export function abortError(signal: Signal): ConsensusError {
  const message = 'the signal was aborted before the request was made';
  return new ConsensusError(message, { code: 'ERR_TIMEOUT', retryable: true, cause: signal.reason });
}

/** The error of a wait for readiness whose signal aborted: it says what the replica still waits for. */
export function notReadyError(signal: Signal, { phase, firstStart }: ReplicaStatus): ConsensusError {
  const still = firstStart === null ? `no leader is known; it is ${phase}` : describeFirstStart(firstStart);
  const message = `the replica is not ready: ${still}`;
  return new ConsensusError(message, { code: 'ERR_TIMEOUT', retryable: true, cause: signal.reason });
}

const RETRYABLE = new Set(['ERR_NO_LEADER', 'ERR_TIMEOUT', 'ERR_BUSY', 'ERR_OUTCOME_UNKNOWN']);

/** The reason of a signal that has aborted. */
function reasonOf(signal: Signal | undefined): unknown {
  try {
    return signal?.aborted === true ? signal.reason : undefined;
  } catch {
    return undefined; // a signal is the caller's: what it throws does not keep the caller waiting
  }
}

/** The error that users catch for a failure. */
export function errorOf({ code, outcome, message, cause }: Failure, signal: Signal | undefined): ConsensusError {
  const retryable = RETRYABLE.has(code);
  return new ConsensusError(message, {
    code,
    outcome,
    retryable,
    cause: cause === undefined ? reasonOf(signal) : cause,
  });
}

/** @throws ConsensusError ERR_INVALID_ARGUMENT if the signal throws */
export function listen(signal: Signal, onAbort: () => void): void {
  try {
    signal.addEventListener('abort', onAbort, { once: true });
  } catch (error) {
    throw new ConsensusError('signal: expected an AbortSignal', { code: 'ERR_INVALID_ARGUMENT', cause: error });
  }
}

/** A signal is its caller's: what it throws when the wait is over concerns nobody. */
export function unlisten(signal: Signal, onAbort: () => void): void {
  try {
    signal.removeEventListener('abort', onAbort);
  } catch {
    // Its listener finds no call any more.
  }
}

/** The calls of one signal. They share one listener, since platforms search all listeners when one is added. */
interface SignalCalls {
  /** The callbacks for its abort, by the number of the call. */
  readonly waiting: Map<number, (call: number) => void>;
  readonly listener: () => void;
}

function newSignalCalls(): SignalCalls {
  const waiting: SignalCalls['waiting'] = new Map();
  return {
    waiting,
    listener() {
      for (const [call, onAbort] of [...waiting]) onAbort(call);
    },
  };
}

export class Waiters {
  private readonly waiters = new Map<number, CallWaiter>();
  private readonly bySignal = new Map<Signal, SignalCalls>();
  private last = 0;

  /** Registers a caller and returns its number. `onAbort` is called with it if the signal aborts before the end. */
  add(
    signal: Signal | undefined,
    completions: Completions,
    reject: (error: unknown) => void,
    onAbort: (call: number) => void,
  ): number {
    const call = ++this.last;
    if (signal !== undefined) this.listen(signal, call, onAbort);
    this.waiters.set(call, {
      ...completions,
      fail: (failure) => reject(errorOf(failure, signal)),
      release: () => {
        if (signal !== undefined) this.unlisten(signal, call);
      },
    });
    return call;
  }

  private listen(signal: Signal, call: number, onAbort: (call: number) => void): void {
    let calls = this.bySignal.get(signal);
    if (calls === undefined) {
      calls = newSignalCalls();
      listen(signal, calls.listener);
      this.bySignal.set(signal, calls);
    }
    calls.waiting.set(call, onAbort);
  }

  private unlisten(signal: Signal, call: number): void {
    const calls = this.bySignal.get(signal);
    if (calls === undefined || !calls.waiting.delete(call) || calls.waiting.size > 0) return;
    this.bySignal.delete(signal);
    unlisten(signal, calls.listener);
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
