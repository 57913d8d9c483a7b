/**
 * The persist lane: the core's persists and the driver's own values go to the storage in one order. One write is under
 * way at a time; operations that come meanwhile go into the next one (group commit).
 *
 * Invariant: no message is sent before the persist or the write that it depends on is durable.
 */

import { assert } from '../../core/assert.js';
import { itemsOf, itemsThrough, withNewest, withoutItems, type Book, type BookItem } from '../../core/book.js';
import type { Mutable } from '../../core/draft.js';
import type { DurableCodec, Entry, Index, Lane, PersistOp, PersistSeq } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { StorageOp, StoredEntry } from '../storage.js';
import { PartDraft } from './part-draft.js';

/** An operation for the storage: one of the core, or a value of the driver's own. */
export type LaneOp =
  | Exclude<PersistOp, { readonly kind: 'trim' | 'install' }>
  | { readonly kind: 'trim'; readonly through: Index }
  | { readonly kind: 'set'; readonly key: string; readonly value: Uint8Array };

/** The write under way. */
export interface LaneWrite {
  /** Counts the writes of this start, 1-based. */
  readonly writeId: number;
  /** The newest persist of the core in this write or an earlier one. */
  readonly persistSeq: PersistSeq;
  readonly ops: readonly LaneOp[];
}

/** Operations that were queued together, numbered in their order. */
export interface QueuedOps extends BookItem {
  readonly ops: readonly LaneOp[];
}

/** A message that waits for the write of number `at`; numbered in the order of sending. */
export interface HeldMessage extends BookItem {
  readonly to: ReplicaId;
  readonly bytes: Uint8Array;
  readonly lane: Lane;
}

/** @see LaneDraft */
export interface PersistLane {
  /** The operations of the next write. */
  readonly queued: Book<QueuedOps>;
  /** The newest persist that the core has issued. */
  readonly queuedSeq: PersistSeq;
  readonly writing: LaneWrite | null;
  /** The newest write that is durable, and the newest persist of the core; 0 before the first. */
  readonly durableWriteId: number;
  readonly durableSeq: PersistSeq;
  readonly held: Book<HeldMessage>;
  /** The number of the newest item that was queued or held. */
  readonly lastItem: number;
}

export const emptyLane: PersistLane = {
  queued: null,
  queuedSeq: 0,
  writing: null,
  durableWriteId: 0,
  durableSeq: 0,
  held: null,
  lastItem: 0,
};

/** The key of the newest hard state in the storage. */
export const HARD_KEY = 'hard';

/** Encodes operations for the storage. Only the newest hard state is kept, as the last operation. */
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
  const stored = new Array<StoredEntry>(entries.length);
  for (let at = 0; at < entries.length; at++) {
    const { index, term } = entries[at] as Entry;
    stored[at] = { index, term, data: records[at] as Uint8Array };
  }
  return stored;
}

export class LaneDraft extends PartDraft<PersistLane> {
  protected override copy(lane: PersistLane): Mutable<PersistLane> {
    return {
      queued: lane.queued,
      queuedSeq: lane.queuedSeq,
      writing: lane.writing,
      durableWriteId: lane.durableWriteId,
      durableSeq: lane.durableSeq,
      held: lane.held,
      lastItem: lane.lastItem,
    };
  }

  /** Sends the message as soon as persist `after` of the core is durable. */
  sendAfter(to: ReplicaId, bytes: Uint8Array, lane: Lane, after: PersistSeq, forward?: number): void {
    if (forward !== undefined)
      this.leave(to, bytes, lane, forward); // it waits for nothing
    else if (after <= this.state.durableSeq) this.leave(to, bytes, lane);
    else this.hold({ to, bytes, lane }, this.writeOf(after));
  }

  /** Sends the message as soon as the write `writeId` is durable. */
  sendAfterWrite(to: ReplicaId, bytes: Uint8Array, writeId: number): void {
    const lane = 'control';
    if (writeId <= this.state.durableWriteId) this.leave(to, bytes, lane);
    else this.hold({ to, bytes, lane }, writeId);
  }

  /** The message leaves now. */
  private leave(to: ReplicaId, message: Uint8Array, lane: Lane, forward?: number): void {
    const { draft } = this;
    const bytes = lane === 'control' ? draft.timing.stamped(to, message) : message;
    draft.effect(
      forward === undefined ? { kind: 'send', to, bytes, lane } : { kind: 'send', to, bytes, lane, forward },
    );
  }

  /** The write that contains this persist, which is not durable: the one under way, or the next one. */
  private writeOf(persistSeq: PersistSeq): number {
    const { writing } = this.state;
    return writing !== null && persistSeq <= writing.persistSeq ? writing.writeId : this.nextWriteId;
  }

  private hold(message: Pick<HeldMessage, 'to' | 'bytes' | 'lane'>, writeId: number): void {
    const next = this.edit();
    const item = { key: this.freshItem(), deadline: Infinity, at: writeId, ...message };
    next.held = withNewest(next.held, [item]);
  }

  private freshItem(): number {
    return (this.edit().lastItem += 1);
  }

  private enqueue(ops: readonly LaneOp[]): void {
    const next = this.edit();
    next.queued = withNewest(next.queued, [{ key: this.freshItem(), deadline: Infinity, at: Infinity, ops }]);
  }

  /** Queues a persist of the core. Returns the `writeId` of the write that will contain it. */
  persist(persistSeq: PersistSeq, ops: readonly LaneOp[]): number {
    assert(persistSeq > this.state.queuedSeq, 'durability/persists-in-order: persists come in order');
    this.enqueue(ops);
    this.edit().queuedSeq = persistSeq;
    return this.nextWriteId;
  }

  /** Queues a value of the driver's own. Returns the `writeId` of the write that will contain it. */
  set(key: string, value: Uint8Array): number {
    this.enqueue([{ kind: 'set', key, value }]);
    return this.nextWriteId;
  }

  private get nextWriteId(): number {
    const { writing, durableWriteId } = this.state;
    return (writing === null ? durableWriteId : writing.writeId) + 1;
  }

  /** Starts the next write, if none is under way and something is queued. */
  startWrite(): void {
    const { writing, queued, queuedSeq } = this.state;
    if (writing !== null || queued === null) return;
    const items = itemsOf(queued);
    const ops = items.length === 1 ? (items[0] as QueuedOps).ops : items.flatMap((each) => each.ops);
    this.draft.effect({ kind: 'write', ops: storageOps(ops, this.draft.durable) });
    const next = this.edit();
    next.writing = { writeId: this.nextWriteId, persistSeq: queuedSeq, ops };
    next.queued = null;
    this.draft.timing.writeBegins();
  }

  /** The write under way is durable: messages that waited for it are sent, and the core is told of its persists. */
  finishWrite(): void {
    const { writing, durableSeq } = this.state;
    assert(writing !== null, 'durability/one-write-at-a-time: a write is under way when one is reported');
    const { writeId, persistSeq } = writing;
    const next = this.edit();
    next.writing = null;
    next.durableWriteId = writeId;
    next.durableSeq = persistSeq;
    this.draft.timing.writeEnds();
    if (next.held !== null) this.release();
    if (persistSeq > durableSeq) this.draft.toCore({ kind: 'persisted', now: this.draft.now, persistSeq });
  }

  private release(): void {
    const { durableWriteId, held } = this.state;
    const released = itemsThrough(held, durableWriteId);
    for (const { to, bytes, lane } of released) this.leave(to, bytes, lane);
    this.edit().held = withoutItems(
      held,
      released.map(({ key }) => key),
    );
  }

  /** The replica has halted: nothing is written or sent any more. */
  abandon(): void {
    const next = this.edit();
    next.queued = null;
    next.held = null;
  }
}
