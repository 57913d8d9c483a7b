/**
 * What a world remembers of a run and checks whatever the protocol: what was committed, what took effect with which
 * result, what callers asked and were told. docs/rules.md lists the rules.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
import { sameBytes } from '../../core/bytes.js';
import { sameValue } from '../../core/entries.js';
import type { CommittedView } from '../../core/model.js';
import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Failure, ReplicaEvent } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import {
  noLeaderships,
  withLeadership,
  withWin,
  withoutLeadership,
  type RecordedLeadership,
  type RecordedLeaderships,
} from './leaderships.js';
import { appended, emptyLedger, type Ledger } from './ledger.js';
import { callOf } from './machine.js';

/** How a call ended. `lost`: its process crashed, and nobody is told. */
export type CallEnd =
  | { readonly kind: 'acknowledged'; readonly index: Index; readonly result: StoredResult }
  /** `position`: the last index whose effect the caller saw. */
  | { readonly kind: 'served'; readonly index: Index; readonly position: Index }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'lost' };

/** One call of a caller. */
export interface WorldCall {
  readonly call: number;
  readonly replica: ReplicaId;
  readonly kind: 'write' | 'read' | 'staleRead';
  /** What is proposed, as the caller gave it; `undefined` of a read. */
  readonly command: unknown;
  readonly invokedAt: Milliseconds;
  /** Everything up to here was acknowledged, or seen by a read, before this call was made. */
  readonly floor: Index;
  /** Where its command took effect; 0 if it has not. */
  readonly effect: Index;
  readonly end: CallEnd | null;
  readonly endedAt: Milliseconds;
}

/** A command that took effect: the first to apply it says with which result. */
export interface WorldEffect {
  readonly entry: Entry;
  readonly result: StoredResult;
}

/** All that is remembered of a run, from the new world on. */
export interface WorldRecord {
  /** What was handed over anywhere first, by index from 1 on. */
  readonly committed: Ledger<Entry>;
  /** The commands that took effect, in order. */
  readonly effects: Ledger<WorldEffect>;
  /** By number, from 1 on. */
  readonly calls: readonly WorldCall[];
  /** The highest index that was acknowledged to anybody, or seen by a read. */
  readonly seen: Index;
  readonly leaderships: RecordedLeaderships;
}

export const emptyRecord: WorldRecord = {
  committed: emptyLedger(),
  effects: emptyLedger(),
  calls: [],
  seen: 0,
  leaderships: noLeaderships,
};

function violation(text: RuleText, evidence: unknown): InvariantViolation {
  return new InvariantViolation(text, evidence);
}

export function sameResult(a: StoredResult, b: StoredResult): boolean {
  if (a.rejected !== b.rejected) return false;
  if (a.value instanceof Uint8Array && b.value instanceof Uint8Array) return sameBytes(a.value, b.value);
  return Object.is(a.value, b.value);
}

function readable({ value, rejected }: StoredResult): unknown {
  const plain = value instanceof Uint8Array ? String.fromCharCode(...value.subarray(0, 200)) : value;
  return rejected ? { rejected: plain } : plain;
}

/** A record while things happen. Every method throws `InvariantViolation` when what it is told cannot be. */
export class RecordDraft {
  private committed: Ledger<Entry>;
  private effects: Ledger<WorldEffect>;
  private calls: WorldCall[];
  private ownsCalls = false;
  private seen: Index;
  private leaderships: RecordedLeaderships;
  private readonly once: boolean;
  /** What safety sees of it. */
  readonly view: CommittedView;

  /** @param once whether the program promises that a proposal takes effect once, however often it arrives */
  constructor(record: WorldRecord, once: boolean) {
    this.once = once;
    this.committed = record.committed;
    this.effects = record.effects;
    this.calls = record.calls as WorldCall[];
    this.seen = record.seen;
    this.leaderships = record.leaderships;
    const self = this;
    this.view = {
      get last() {
        return self.committed.length;
      },
      entry: (index) => (index <= self.committed.length ? self.committed.items[index - 1] : undefined),
    };
  }

  /** Takes up another record, as if made for it. */
  rewind({ committed, effects, calls, seen, leaderships }: WorldRecord): void {
    this.committed = committed;
    this.effects = effects;
    this.calls = calls as WorldCall[];
    this.ownsCalls = false;
    this.seen = seen;
    this.leaderships = leaderships;
  }

  finish(): WorldRecord {
    this.ownsCalls = false;
    const { committed, effects, calls, seen, leaderships } = this;
    return { committed, effects, calls, seen, leaderships };
  }

  /** The index of the command that took effect as the `ordinal`-th, 0-based; 0 when none has. */
  effectIndex(ordinal: number): Index {
    return ordinal < this.effects.length ? (this.effects.items[ordinal] as WorldEffect).entry.index : 0;
  }

  get callCount(): number {
    return this.calls.length;
  }

  call(call: number): WorldCall | undefined {
    return this.calls[call - 1];
  }

  /** The commands that took effect, oldest first. */
  commands(): readonly Entry[] {
    return this.effects.items.slice(0, this.effects.length).map(({ entry }) => entry);
  }

  private edit(call: WorldCall): void {
    if (!this.ownsCalls) this.calls = this.calls.slice();
    this.ownsCalls = true;
    this.calls[call.call - 1] = call;
  }

  /**
   * A replica hands an entry over to its machine; gives whether it is the first to do so.
   * Nobody ever hands over another value at that index. `delivered`: what it handed over before.
   */
  deliver(replica: ReplicaId, delivered: Index, entry: Entry): boolean {
    const { index } = entry;
    if (index !== delivered + 1) {
      throw violation(
        `log/delivered-in-order: entries are delivered in order: ${replica} hands over ${index} after ${delivered}`,
        {
          entry,
        },
      );
    }
    const first = this.committed.items[index - 1];
    if (index <= this.committed.length && first !== undefined) {
      if (sameValue(first, entry)) return false;
      throw violation(`log/one-value-per-index: one value at each index: ${replica} hands over another at ${index}`, {
        first,
        entry,
      });
    }
    this.committed = appended(this.committed, entry);
    return true;
  }

  /**
   * A command took effect at a replica, as its `ordinal`-th (0-based). It is the same at every replica, with
   * the same result, each call at most once, and never a call that was told that it would not.
   */
  takeEffect(replica: ReplicaId, ordinal: number, entry: Entry, result: StoredResult): void {
    const { index } = entry;
    if (ordinal < this.effects.length) {
      const first = this.effects.items[ordinal] as WorldEffect;
      if (first.entry.index !== index) {
        const rule = 'requests/same-everywhere: the same commands take effect everywhere';
        throw violation(`${rule}: ${replica} applies ${index}, others ${first.entry.index}`, { ordinal });
      }
      if (sameResult(first.result, result)) return;
      const evidence = { index, call: callOf(entry.data), first: readable(first.result), now: readable(result) };
      const rule = 'machine/deterministic: the state machine is deterministic';
      throw violation(`${rule}: ${replica} has another result at ${index}`, evidence);
    }
    this.effects = appended(this.effects, { entry, result });
    this.firstEffect(entry);
  }

  private firstEffect({ index, data }: Entry): void {
    const call = this.calls[callOf(data) - 1];
    if (call === undefined)
      throw violation(`history/nothing-unasked: nothing takes effect that nobody proposed: index ${index}`, { index });
    if (call.effect !== 0) {
      if (!this.once) return;
      const evidence = { call: call.call, first: call.effect, again: index };
      throw violation(`requests/at-most-once: a command takes effect at most once: call ${call.call}`, evidence);
    }
    if (call.end?.kind === 'failed' && call.end.failure.outcome === 'none') {
      const told = 'requests/none-is-kept: a call that was told it had no effect has none';
      throw violation(`${told}: call ${call.call} at ${index}`, call.end.failure);
    }
    this.edit({ ...call, effect: index });
  }

  /** Somebody asks. Gives the number of the call. */
  invoke(
    replica: ReplicaId,
    kind: WorldCall['kind'],
    command: unknown,
    at: Milliseconds,
    minIndex: Index | null,
  ): number {
    const call = this.calls.length + 1;
    const floor = minIndex ?? this.seen;
    this.edit({ call, replica, kind, command, invokedAt: at, floor, effect: 0, end: null, endedAt: 0 });
    return call;
  }

  private open(number: number, replica: ReplicaId): WorldCall {
    const call = this.calls[number - 1];
    if (call === undefined || call.replica !== replica) {
      throw violation(`law/one-end-per-request: an answer has a call: ${replica} answers call ${number}`, {});
    }
    if (call.end !== null) throw violation(`law/one-end-per-request: a call ends once: call ${number}`, call);
    return call;
  }

  /** A write is told where it took effect, after everything acknowledged before it was made. */
  acknowledge(replica: ReplicaId, number: number, index: Index, result: StoredResult, at: Milliseconds): void {
    const call = this.open(number, replica);
    if (call.kind !== 'write')
      throw violation(`requests/answered-in-kind: a read is not answered as a write: call ${number}`, call);
    if (call.effect !== index) {
      throw violation(
        `history/one-index-per-operation: a call is told where it took effect: call ${number}, told ${index}`,
        call,
      );
    }
    if (index <= call.floor) {
      throw violation(
        `history/real-time-order: later calls take effect later: call ${number} at ${index}, made after ${call.floor}`,
        call,
      );
    }
    this.checkResult(call, result);
    this.seen = Math.max(this.seen, index);
    this.edit({ ...call, end: { kind: 'acknowledged', index, result }, endedAt: at });
  }

  private checkResult(call: WorldCall, result: StoredResult): void {
    // Acknowledged calls are recent: their effect is found from the end.
    for (let at = this.effects.length - 1; at >= 0; at--) {
      const effect = this.effects.items[at] as WorldEffect;
      if (effect.entry.index !== call.effect) continue;
      if (sameResult(effect.result, result)) return;
      const evidence = { applied: readable(effect.result), told: readable(result) };
      throw violation(
        `requests/told-its-result: a call is told the result of its command: call ${call.call}`,
        evidence,
      );
    }
  }

  /** A read sees everything acknowledged or seen before it was made. */
  serve(replica: ReplicaId, number: number, index: Index, position: Index, at: Milliseconds): void {
    const call = this.open(number, replica);
    if (call.kind === 'write')
      throw violation(`requests/answered-in-kind: a write is not answered as a read: call ${number}`, call);
    if (position < index) {
      throw violation(
        `reads/served-after-apply: a read is served once all up to its index is applied: call ${number}`,
        { index, position },
      );
    }
    if (position < call.floor) {
      const rule = 'reads/no-stale-read: a read sees all acknowledged before it';
      throw violation(`${rule}: call ${number} sees ${position}, not ${call.floor}`, call);
    }
    if (call.kind === 'read') this.seen = Math.max(this.seen, position);
    this.edit({ ...call, end: { kind: 'served', index, position }, endedAt: at });
  }

  /** `none` is a promise. */
  fail(replica: ReplicaId, number: number, failure: Failure, at: Milliseconds): void {
    const call = this.open(number, replica);
    if (failure.outcome === 'none' && call.effect !== 0) {
      throw violation(`requests/none-is-kept: a call that took effect is not told that it had none: call ${number}`, {
        call,
        failure,
      });
    }
    this.edit({ ...call, end: { kind: 'failed', failure }, endedAt: at });
  }

  /** Whether a call waits. */
  isOpen(number: number): boolean {
    return this.calls[number - 1]?.end === null;
  }

  /** A process ends: its callers are told nothing. */
  lose(replica: ReplicaId, numbers: Iterable<number>, at: Milliseconds): void {
    this.leaderships = withoutLeadership(this.leaderships, replica);
    for (const number of numbers) {
      this.edit({ ...this.open(number, replica), end: { kind: 'lost' }, endedAt: at });
    }
  }

  /** A replica says something about itself. @param position up to where its machine has come */
  say(replica: ReplicaId, event: ReplicaEvent, position: Index): void {
    const { leaderships, seen } = this;
    if (event.kind === 'role') {
      if (event.role === 'leader') this.leaderships = withWin(leaderships, replica, { term: event.term, seen });
    } else if (event.kind === 'leadership') {
      const { leading, term, fence } = event;
      this.leaderships = leading
        ? withLeadership(leaderships, { replica, term, fence }, position)
        : withoutLeadership(leaderships, replica);
    }
  }

  /** By which this replica says that it leads, if it does. */
  leadershipOf(replica: ReplicaId): RecordedLeadership | undefined {
    return this.leaderships.standing.get(replica);
  }
}
