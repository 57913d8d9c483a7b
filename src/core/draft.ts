/**
 * What both protocols' drafts share: the private copy that one step works on, and what it wants done. A draft
 * copies the state when the first verb changes it, collects outbound messages, and gives both at `finish`, the
 * persist message first; a step that changed nothing gives the state that it got. It never outlives its step.
 */

import { assert } from './assert.js';
import type {
  CoreEvent,
  Entry,
  HardState,
  Lane,
  Milliseconds,
  Outbound,
  Outcome,
  PersistOp,
  RequestNumber,
  PersistSeq,
  Step,
} from './protocol.js';
import type { ReplicaId } from './members.js';
import type { Ending } from './attempts.js';

/** What every protocol's state has. */
export interface CommonState {
  /** The `now` of the latest step that changed something. */
  readonly now: Milliseconds;
  /** The newest persist message issued. */
  readonly persistSeq: PersistSeq;
  /** The newest persist known to be durable. */
  readonly durableSeq: PersistSeq;
  /** The newest persist that holds the term, vote or promise in force. */
  readonly hardSeq: PersistSeq;
  /** Counts loads, forwards and whatever else must be told apart within this start. */
  readonly lastNumber: number;
}

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NOTHING: readonly never[] = [];
/** Numbers of one start lie in a range of their own, so that no answer of an earlier start can match (Identity). */
const NUMBERS_PER_BOOT = 2 ** 32;

/** The number before the first of this start, for `lastNumber`. @throws RangeError beyond 2^20 starts */
export function firstNumberOf(boot: number): number {
  if (!Number.isSafeInteger(boot) || boot < 1 || boot >= 2 ** 20) throw new RangeError(`boot: out of range: ${boot}`);
  return boot * NUMBERS_PER_BOOT;
}

export abstract class BaseDraft<S extends CommonState, M> {
  /** What the host says the time is; never before the stored one. */
  readonly now: Milliseconds;
  private readonly before: S;
  private current: S;
  private readonly outbound: Outbound<M>[] = [];
  private ops: PersistOp[] | null = null;
  /** The persist message stands first in `outbound` already. */
  private placed = false;

  constructor(state: S, now: Milliseconds) {
    this.before = state;
    this.current = state;
    this.now = now > state.now ? now : state.now;
  }

  /** A copy of all fields by a literal: ten times faster than a spread, whose fields must be guessed. */
  protected abstract copy(state: S): Mutable<S>;

  /** What handlers may read. They change it only through verbs. */
  get state(): S {
    return this.current;
  }

  /** For verbs only: the copy to change. */
  protected edit(): Mutable<S> {
    if (this.current === this.before) this.current = this.copy(this.before);
    return this.current as Mutable<S>;
  }

  /** A number never used before in this cluster by this replica (see `firstNumberOf`). */
  freshNumber(): number {
    const next = this.edit();
    next.lastNumber += 1;
    return next.lastNumber;
  }

  /** The persist of this step gets one more operation. Gives its number. */
  protected persist(op: PersistOp): PersistSeq {
    if (this.ops === null) {
      this.ops = [];
      this.edit().persistSeq += 1;
      // It comes first; mostly that is now, and moving the others later costs as much as a small step.
      this.placed = this.outbound.length === 0;
      if (this.placed) this.outbound.push({ kind: 'persist', persistSeq: this.current.persistSeq, ops: this.ops });
    }
    this.ops.push(op);
    return this.current.persistSeq;
  }

  protected persistHard(hard: HardState): PersistSeq {
    const persistSeq = this.persist({ kind: 'hard', hard });
    this.edit().hardSeq = persistSeq;
    return persistSeq;
  }

  /** Whether this step makes something durable already, so that a hint can ride along for free. */
  protected get persists(): boolean {
    return this.ops !== null;
  }

  /** @param after the newest persist that the message's truth rests on; what is durable already counts as none */
  send(to: ReplicaId, message: M, after: PersistSeq, lane: Lane): void {
    const wait = after <= this.current.durableSeq ? 0 : after;
    this.outbound.push({ kind: 'send', to, message, after: wait, lane });
  }

  commit(entries: readonly Entry[]): void {
    assert(entries.length > 0, 'log/delivered-in-order: a commit delivers something');
    this.outbound.push({ kind: 'commit', entries });
  }

  resolve(requests: readonly RequestNumber[], outcome: Outcome): void {
    if (requests.length > 0) this.outbound.push({ kind: 'resolve', requests, outcome });
  }

  resolveAll(endings: readonly Ending[]): void {
    for (let i = 0; i < endings.length; i++) {
      const ending = endings[i] as Ending;
      this.resolve(ending.requests, ending.outcome);
    }
  }

  readReady(request: RequestNumber, index: number): void {
    this.outbound.push({ kind: 'readReady', request, index });
  }

  /** Asks the storage for entries. Gives the number that the answer will carry. */
  load(from: number, to: number, maxBytes: number): number {
    const id = this.freshNumber();
    this.outbound.push({ kind: 'load', id, from, to, maxBytes });
    return id;
  }

  event(event: CoreEvent): void {
    this.outbound.push({ kind: 'event', event });
  }

  protected emit(message: Outbound<M>): void {
    this.outbound.push(message);
  }

  /** The step's result; the draft must not be used afterwards. */
  finish(): Step<S, M> {
    const { outbound, ops } = this;
    if (ops !== null && !this.placed) outbound.unshift({ kind: 'persist', persistSeq: this.current.persistSeq, ops });
    if (this.current !== this.before) {
      this.edit().now = this.now;
      Object.freeze(this.current);
    }
    return [this.current, outbound.length === 0 ? NOTHING : outbound];
  }
}
