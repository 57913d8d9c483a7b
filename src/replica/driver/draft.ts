/**
 * The private copy that one event works on, and the verbs that every part of the driver uses: sending, the persist
 * lane, feeding the core, ending calls. The lane's law: one write under way, what queues meanwhile goes into the
 * next, and no message leaves before what it rests on is durable.
 */

import { assert } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import type {
  DurableCodec,
  Entry,
  Inbound,
  Index,
  Lane,
  Milliseconds,
  PersistOp,
  PersistSeq,
} from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { PendingCall, DriverEffect, DriverState, Failure, LaneOp, ReplicaEvent } from './state.js';
import type { StoredResult } from './session-table.js';
import type { StorageOp, StoredEntry } from '../storage.js';

/** All fields by a literal: many times faster than a spread. */
function copy(s: DriverState): Mutable<DriverState> {
  return {
    options: s.options,
    now: s.now,
    phase: s.phase,
    fault: s.fault,
    faultCode: s.faultCode,
    core: s.core,
    recovered: s.recovered,
    queue: s.queue,
    queueSeq: s.queueSeq,
    writingSeq: s.writingSeq,
    queueWriteId: s.queueWriteId,
    writingWriteId: s.writingWriteId,
    durableWriteId: s.durableWriteId,
    durableSeq: s.durableSeq,
    held: s.held,
    introducedTo: s.introducedTo,
    askAt: s.askAt,
    establishedWriteId: s.establishedWriteId,
    role: s.role,
    term: s.term,
    leader: s.leader,
    fence: s.fence,
    leading: s.leading,
    confirming: s.confirming,
    table: s.table,
    backlog: s.backlog,
    applying: s.applying,
    applied: s.applied,
    session: s.session,
    openingRequest: s.openingRequest,
    nextSequence: s.nextSequence,
    nextRequest: s.nextRequest,
    queued: s.queued,
    underway: s.underway,
    queuedReads: s.queuedReads,
    readBatches: s.readBatches,
    pausedUntil: s.pausedUntil,
    nextExpiry: s.nextExpiry,
  };
}

/** `set` and `hard` become values by key, entries become records; only the last hard state counts. */
export const HARD_KEY = 'hard';

/** Operations as a storage takes them: bytes, and the newest hard state alone, last. */
export function storageOps(ops: readonly LaneOp[], durable: DurableCodec): StorageOp[] {
  const result: StorageOp[] = [];
  let hard: Uint8Array | null = null;
  for (const op of ops) {
    if (op.kind === 'hard') hard = durable.encodeHard(op.hard);
    else if (op.kind === 'put') result.push({ kind: 'put', entries: storedEntries(op.entries, durable) });
    else result.push(op);
  }
  if (hard !== null) result.push({ kind: 'set', key: HARD_KEY, value: hard });
  return result;
}

function storedEntries(entries: readonly Entry[], durable: DurableCodec): StoredEntry[] {
  const records = durable.encodeEntries(entries);
  return entries.map(({ index, term }, at) => ({ index, term, data: records[at] as Uint8Array }));
}

export class DriverDraft {
  /** The copy itself: the parts of the driver change it, each its own fields. */
  readonly next: Mutable<DriverState>;
  readonly durable: DurableCodec;
  private readonly effects: DriverEffect[] = [];
  private readonly inbox: Inbound<unknown>[] = [];
  private taken = 0;

  constructor(state: DriverState, now: Milliseconds, durable: DurableCodec) {
    this.next = copy(state);
    this.durable = durable;
    if (now > state.now) this.next.now = now;
  }

  get now(): Milliseconds {
    return this.next.now;
  }

  /** For the core, once it runs; handled before the event ends. */
  toCore(message: Inbound<unknown>): void {
    if (this.next.phase === 'running') this.inbox.push(message);
  }

  /** The next message for the core. */
  take(): Inbound<unknown> | undefined {
    return this.taken < this.inbox.length ? this.inbox[this.taken++] : undefined;
  }

  /** Whether something waits for the core. */
  get hasInbox(): boolean {
    return this.taken < this.inbox.length;
  }

  /** A number for a request of ours to the core. */
  freshRequest(): number {
    return this.next.nextRequest++;
  }

  effect(effect: DriverEffect): void {
    this.effects.push(effect);
  }

  event(event: ReplicaEvent): void {
    this.effects.push({ kind: 'event', event });
  }

  /** Sends when persist `after` of the core is durable. */
  sendAfter(to: ReplicaId, bytes: Uint8Array, lane: Lane, after: PersistSeq): void {
    if (after <= this.next.durableSeq) this.effects.push({ kind: 'send', to, bytes, lane });
    else this.next.held = [...this.next.held, { after, writeId: 0, to, bytes, lane }];
  }

  /** Sends when the write of that number is durable. */
  sendAfterWrite(to: ReplicaId, bytes: Uint8Array, writeId: number): void {
    const lane = 'control';
    if (writeId <= this.next.durableWriteId) this.effects.push({ kind: 'send', to, bytes, lane });
    else this.next.held = [...this.next.held, { after: 0, writeId, to, bytes, lane }];
  }

  /** Queues what the core wants durable. */
  persist(persistSeq: PersistSeq, ops: readonly PersistOp[]): void {
    assert(
      persistSeq > this.next.queueSeq && persistSeq > this.next.writingSeq,
      'durability/persists-in-order: persists come in order',
    );
    this.next.queue = this.next.queue.length === 0 ? ops : [...this.next.queue, ...ops];
    this.next.queueSeq = persistSeq;
  }

  /** Queues a value of the driver's own. Gives the number of the write that will carry it. */
  set(key: string, value: Uint8Array): number {
    this.next.queue = [...this.next.queue, { kind: 'set', key, value }];
    return this.next.queueWriteId;
  }

  /** Starts the next write, if none is under way and something is queued. */
  startWrite(): void {
    const { next } = this;
    if (next.writingWriteId !== 0 || next.queue.length === 0) return;
    this.effects.push({ kind: 'write', ops: storageOps(next.queue, this.durable) });
    next.writingWriteId = next.queueWriteId;
    next.writingSeq = next.queueSeq;
    next.queue = [];
    next.queueSeq = 0;
    next.queueWriteId += 1;
  }

  /** The write under way is durable: what it held back may leave. */
  finishWrite(): void {
    const { next } = this;
    assert(next.writingWriteId !== 0, 'durability/one-write-at-a-time: a write is under way when one is reported');
    next.durableWriteId = next.writingWriteId;
    if (next.writingSeq > 0) next.durableSeq = next.writingSeq;
    const persistSeq = next.writingSeq;
    next.writingWriteId = 0;
    next.writingSeq = 0;
    if (next.held.length > 0) this.release();
    if (persistSeq > 0) this.toCore({ kind: 'persisted', now: this.now, persistSeq });
  }

  private release(): void {
    const { durableSeq, durableWriteId, held } = this.next;
    const kept = held.filter((each) => {
      if (each.after > durableSeq || each.writeId > durableWriteId) return true;
      this.effects.push({ kind: 'send', to: each.to, bytes: each.bytes, lane: each.lane });
      return false;
    });
    this.next.held = kept;
  }

  answer(call: PendingCall, result: StoredResult, index: Index): void {
    this.effects.push({ kind: 'answer', call: call.call, result, index });
  }

  serve(calls: readonly PendingCall[], index: Index): void {
    if (calls.length > 0) this.effects.push({ kind: 'serve', calls: calls.map((each) => each.call), index });
  }

  fail(calls: readonly PendingCall[], failure: Failure): void {
    if (calls.length > 0) this.effects.push({ kind: 'fail', calls: calls.map((each) => each.call), failure });
  }

  finish(): readonly [DriverState, readonly DriverEffect[]] {
    return [Object.freeze(this.next), this.effects];
  }
}
