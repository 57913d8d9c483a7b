/**
 * What `Replica.changes` gives: iterators over the applied commands that are kept. A consumer pulls; applying does no
 * more for it than to note, once for many commands, that there is something new.
 *
 * What is there is handed over at once for a slice of time, and the rest in the coming turns of the event loop, since a
 * consumer whose promises resolve one after the other would let no other input in.
 */

import type { Entry, Index } from '../../core/protocol.js';
import type { Change } from '../changes.js';
import type { StoredResult } from '../driver/session-table.js';
import type { Failure } from '../driver/state.js';
import { ChangesTrimmed, ConsensusError, textOf, type ErrorCode } from '../errors.js';
import type { Signal } from '../leadership.js';
import type { AnyMachine } from '../options.js';
import { SLICE, type SliceHost } from './apply-slices.js';
import { errorOf } from './callers.js';
import { ChangeBuffer, type ChangeCursor, type KeptChange } from './change-buffer.js';
import type { MachineRunner } from './machine-runner.js';
import type { CheckedRequest } from './requests.js';
import { listen, reasonOf } from './signals.js';

type NextChange<M extends AnyMachine> = IteratorResult<Change<M>, void>;

/** A consumer that waits for its next change. */
interface WaitingConsumer<M extends AnyMachine> {
  readonly resolve: (given: NextChange<M>) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined });

function undecodableAt(index: Index, what: string, code: ErrorCode, cause: unknown): ConsensusError {
  return new ConsensusError(`changes: ${what} at index ${index} cannot be decoded: ${textOf(cause)}`, { code, cause });
}

export class ChangesFeed<M extends AnyMachine> {
  readonly buffer: ChangeBuffer;
  /** Why nothing more will be applied: a failure, or `closed`; `null` as long as something may. */
  ended: Failure | 'closed' | null = null;
  private readonly runner: MachineRunner;
  private readonly host: Pick<SliceHost, 'now' | 'soon'>;
  private readonly waiting = new Set<ChangesIterator<M>>();
  private waking = false;
  /** When this turn of the event loop has handed over enough; `null` before it handed over anything. */
  private turnEnds: number | null = null;

  /** @param limit how many bytes of changes are kept */
  constructor(limit: number, runner: MachineRunner, host: Pick<SliceHost, 'now' | 'soon'>) {
    this.buffer = new ChangeBuffer(limit);
    this.runner = runner;
    this.host = host;
  }

  /** These commands were applied, in order, with these results; there may be more commands than results. */
  applied(commands: readonly Entry[], results: readonly StoredResult[]): void {
    this.buffer.add(commands, results);
    this.wakeWaiting();
  }

  /** The machine is restored: what was applied up to there is not told. */
  skipTo(index: Index): void {
    this.buffer.skipTo(index);
    this.wakeWaiting();
  }

  private wakeWaiting(): void {
    if (this.waiting.size > 0) this.wakeSoon();
  }

  /** Nothing more will be applied. The first reason stays. */
  end(why: Failure | 'closed'): void {
    this.ended ??= why;
    this.wake();
  }

  /** @param from the first index, or `null` for the next command that will be applied */
  follow(from: Index | null, request: CheckedRequest): AsyncGenerator<Change<M>, void, undefined> {
    return new ChangesIterator<M>(this, from ?? this.buffer.last + 1, request);
  }

  /** The consumer waits until something is new, or for the next turn. */
  wait(iterator: ChangesIterator<M>): void {
    this.waiting.add(iterator);
  }

  leave(iterator: ChangesIterator<M>): void {
    this.waiting.delete(iterator);
  }

  /** Whether this turn of the event loop has time to hand over one more. */
  hasTime(): boolean {
    const { now } = this.host;
    if (this.turnEnds === null) {
      this.turnEnds = now + SLICE;
      this.wakeSoon();
    }
    return this.turnEnds === null || now < this.turnEnds;
  }

  private wakeSoon(): void {
    if (this.waking) return;
    this.waking = true;
    if (this.host.soon(() => this.wake()) === null) this.wake();
  }

  private wake(): void {
    this.waking = false;
    this.turnEnds = null;
    for (const iterator of [...this.waiting]) iterator.serve();
  }

  /** @throws ConsensusError ERR_NOT_SERIALIZABLE, ERR_RESULT_NOT_SERIALIZABLE */
  decoded({ index, time, command: data, result }: KeptChange): Change<M> {
    let command: Change<M>['command'];
    try {
      command = this.runner.decode(data) as Change<M>['command'];
    } catch (error) {
      throw undecodableAt(index, 'the command', 'ERR_NOT_SERIALIZABLE', error);
    }
    try {
      const value = this.runner.give(result);
      if (!result.rejected) return { kind: 'applied', index, time, command, result: value as never };
      const outcome = result.threw === true ? 'unknown' : 'none';
      return { kind: 'rejected', index, time, command, reason: value, outcome };
    } catch (error) {
      throw undecodableAt(index, 'the result', 'ERR_RESULT_NOT_SERIALIZABLE', error);
    }
  }
}

/** One consumer. All that it holds is its place, and, while it waits, the promises that it gave. */
class ChangesIterator<M extends AnyMachine> implements AsyncGenerator<Change<M>, void, undefined> {
  private readonly feed: ChangesFeed<M>;
  private readonly cursor: ChangeCursor;
  private readonly signal: Signal | undefined;
  private asked: WaitingConsumer<M>[] = [];
  private aborted: boolean;
  private over = false;
  /** Stops listening to the signal; `null` before the first `next`. */
  private unlisten: (() => void) | null = null;

  constructor(feed: ChangesFeed<M>, from: Index, { signal, aborted }: CheckedRequest) {
    this.feed = feed;
    this.cursor = { from, chunk: null, at: 0 };
    this.signal = signal;
    this.aborted = aborted;
  }

  next(): Promise<NextChange<M>> {
    if (this.over) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.asked.push({ resolve, reject });
      if (this.unlisten === null && this.signal !== undefined) this.listen(this.signal);
      this.serve();
    });
  }

  return(): Promise<NextChange<M>> {
    this.finish();
    return Promise.resolve(DONE);
  }

  throw(error: unknown): Promise<NextChange<M>> {
    this.finish();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finish();
  }

  /** Only one who has asked for something listens, so one that is forgotten leaves nothing at its signal. */
  private listen(signal: Signal): void {
    this.unlisten = () => undefined; // the signal's code may ask for the next one meanwhile
    try {
      const stop = listen(signal, () => {
        this.aborted = true;
        this.serve();
      });
      if (stop === null) this.aborted = true;
      else if (this.over) stop();
      else this.unlisten = stop;
    } catch (error) {
      this.fail(error);
    }
  }

  /** Hands over what is there, as far as it was asked for and the turn has time. */
  serve(): void {
    this.feed.leave(this);
    try {
      while (this.asked.length > 0) {
        const given = this.take();
        if (given === null) return this.feed.wait(this);
        if (given.done === true) return this.finish();
        this.asked.shift()?.resolve(given);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /** What the consumer gets next; `null` if it has to wait. Throws the error with which it ends. */
  private take(): NextChange<M> | null {
    const { feed, cursor } = this;
    const { buffer, ended } = feed;
    if (this.aborted) throw this.abortError();
    if (cursor.from <= buffer.trimmed) throw new ChangesTrimmed(cursor.from, buffer.trimmed + 1);
    if (buffer.last < cursor.from) {
      if (ended === null) return null;
      if (ended === 'closed') return DONE;
      throw errorOf(ended, undefined);
    }
    if (!feed.hasTime()) return null;
    const kept = buffer.read(cursor);
    return kept === null ? null : { done: false, value: feed.decoded(kept) };
  }

  private abortError(): ConsensusError {
    const cause = this.signal === undefined ? undefined : reasonOf(this.signal);
    return new ConsensusError('changes: the signal was aborted', { code: 'ERR_TIMEOUT', retryable: true, cause });
  }

  private fail(error: unknown): void {
    const first = this.asked.shift();
    this.finish();
    first?.reject(error);
  }

  /** From now on there is nothing more, for those who wait either. */
  private finish(): void {
    const { asked, unlisten } = this;
    this.over = true;
    this.asked = [];
    this.unlisten = null;
    this.cursor.chunk = null;
    this.feed.leave(this);
    for (const { resolve } of asked) resolve(DONE);
    unlisten?.();
  }
}
