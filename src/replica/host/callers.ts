/**
 * The callers of requests: what becomes of their promises when the driver answers, serves or fails their call, and the
 * errors that they get.
 */

import { describeFirstStart } from '../driver/first-start.js';
import type { Failure, ReplicaStatus } from '../driver/state.js';
import { CommandRejected, ConsensusError, type ErrorCode, type RequestOutcome } from '../errors.js';
import type { Signal } from '../leadership.js';
import type { AnyMachine, ResultOf } from '../options.js';
import type { Compaction, WithIndex } from '../replica.js';
import type { SessionRefusal, StoredResult } from '../driver/session-table.js';
import type { MachineRunner } from './machine-runner.js';
import { undecodable } from './requests.js';
import { hasAborted, reasonOf } from './signals.js';

/** A result with its index, or without, as the caller wants it. */
export type GivenResult<M extends AnyMachine> = ResultOf<M> | WithIndex<ResultOf<M>>;

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

const RETRYABLE = new Set([
  'ERR_NO_LEADER',
  'ERR_TIMEOUT',
  'ERR_BUSY',
  'ERR_STORAGE_FULL',
  'ERR_OUTCOME_UNKNOWN',
  'ERR_TRANSFER_FAILED',
  'ERR_SNAPSHOT_FAILED',
]);

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

const REFUSALS: Readonly<Record<SessionRefusal, readonly [ErrorCode, RequestOutcome, string]>> = {
  expired: ['ERR_SESSION_EXPIRED', 'unknown', 'the session is not there any more'],
  fenced: ['ERR_SESSION_FENCED', 'unknown', 'the session was attached since, by somebody else'],
  busy: ['ERR_BUSY', 'unknown', 'there is no room: complete sequences, or try again later'],
  reused: ['ERR_SEQUENCE_REUSED', 'none', 'the sequence is that of another command'],
  completed: ['ERR_SEQUENCE_COMPLETED', 'unknown', 'its client has said that it is done with the sequence'],
};

/** The error of a command of a client's session that was refused. @param given its outcome, if that is known */
export function refusalError(refusal: SessionRefusal, given?: RequestOutcome): ConsensusError {
  const [code, known, message] = REFUSALS[refusal];
  const outcome = given ?? known;
  return new ConsensusError(message, { code, outcome, retryable: refusal === 'busy' });
}

/** The calls of one signal. They share one listener, since platforms search all listeners when one is added. */
export interface SignalCalls {
  /** By their numbers. */
  readonly waiting: Set<number>;
  aborted: boolean;
  /** Stops listening. */
  stop(): void;
}

/** A caller that waits: a command is completed, a read served, a transfer succeeds, and each may fail. */
export abstract class Caller {
  readonly signal: Signal | undefined;
  protected readonly reject: (error: unknown) => void;
  /** For `Waiters` alone: the other calls of its signal. */
  shared: SignalCalls | undefined = undefined;

  constructor(signal: Signal | undefined, reject: (error: unknown) => void) {
    this.signal = signal;
    this.reject = reject;
  }

  /** A command was applied. */
  complete(_result: StoredResult, _index: number): void {}

  /** A read may read the machine now. */
  serve(): void {}

  /** The leadership was transferred. */
  transferred(_leader: string): void {}

  /** The log was compacted. */
  compacted(_done: Compaction): void {}

  fail(failure: Failure): void {
    this.reject(errorOf(failure, this.signal));
  }
}

/** A caller of `propose`. */
export class CommandCaller<M extends AnyMachine> extends Caller {
  private readonly resolve: (given: GivenResult<M>) => void;
  private readonly runner: MachineRunner;
  private readonly meta: boolean;

  constructor(
    signal: Signal | undefined,
    resolve: (given: GivenResult<M>) => void,
    reject: (error: unknown) => void,
    runner: MachineRunner,
    meta: boolean,
  ) {
    super(signal, reject);
    this.resolve = resolve;
    this.runner = runner;
    this.meta = meta;
  }

  override complete(stored: StoredResult, index: number): void {
    if (stored.refusal !== undefined) return this.reject(refusalError(stored.refusal));
    let value: ResultOf<M>;
    try {
      value = this.runner.give(stored) as ResultOf<M>;
    } catch (error) {
      return this.reject(undecodable(error, index));
    }
    if (stored.rejected) this.reject(new CommandRejected(value, stored.threw === true ? { outcome: 'unknown' } : {}));
    else this.resolve(this.meta ? { result: value, index } : value);
  }
}

/** A caller of `read`. */
export class ReadCaller extends Caller {
  private readonly read: () => void;

  constructor(signal: Signal | undefined, read: () => void, reject: (error: unknown) => void) {
    super(signal, reject);
    this.read = read;
  }

  override serve(): void {
    try {
      this.read();
    } catch (error) {
      this.reject(error);
    }
  }
}

/** A caller of `transfer`. */
export class TransferCaller extends Caller {
  private readonly resolve: (leader: string) => void;

  constructor(signal: Signal | undefined, resolve: (leader: string) => void, reject: (error: unknown) => void) {
    super(signal, reject);
    this.resolve = resolve;
  }

  override transferred(leader: string): void {
    this.resolve(leader);
  }
}

/** A caller of `compact`. */
export class CompactionCaller extends Caller {
  private readonly resolve: (done: Compaction) => void;

  constructor(signal: Signal | undefined, resolve: (done: Compaction) => void, reject: (error: unknown) => void) {
    super(signal, reject);
    this.resolve = resolve;
  }

  override compacted(done: Compaction): void {
    this.resolve(done);
  }
}
