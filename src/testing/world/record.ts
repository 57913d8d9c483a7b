/**
 * The record of a run, and the checks that do not depend on the protocol: which entries were committed, which commands
 * took effect with which results, which calls were made and how they ended. docs/rules.md lists the rules.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
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
import { callOf, type MachineHistory } from './machine.js';
import { readable, sameResult } from './results.js';

/** How a call ended. `lost`: its process crashed, and the caller got no answer. */
export type CallEnd =
  | { readonly kind: 'acknowledged'; readonly index: Index; readonly result: StoredResult }
  /** `position`: the last index whose effect the caller saw. */
  | { readonly kind: 'served'; readonly index: Index; readonly position: Index }
  /** Of a transfer: who leads. */
  | { readonly kind: 'transferred'; readonly leader: ReplicaId }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'lost' };

/** One call of a caller. */
export interface WorldCall {
  readonly call: number;
  readonly replica: ReplicaId;
  readonly kind: 'write' | 'read' | 'staleRead' | 'transfer';
  /** The proposed command as the caller gave it; `undefined` for another call. */
  readonly command: unknown;
  readonly invokedAt: Milliseconds;
  /** The highest index that was acknowledged, or seen by a read, before this call was made. */
  readonly after: Index;
  /** The index at which its command took effect; 0 if it has not. */
  readonly effect: Index;
  readonly end: CallEnd | null;
  readonly endedAt: Milliseconds;
}

/** A command that took effect, with the result of its first replica. */
export interface WorldEffect {
  readonly entry: Entry;
  readonly result: StoredResult;
}

/** The record of a run, from the new world on. */
export interface WorldRecord {
  /** The entries that some replica has delivered, by index from 1 on. */
  readonly committed: Ledger<Entry>;
  /** The commands that took effect, in order. */
  readonly effects: Ledger<WorldEffect>;
  readonly calls: readonly WorldCall[];
  /** The highest index that was acknowledged to a caller, or seen by a read. */
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

function demandKind({ kind, call }: WorldCall, isSo: boolean, answered: string): void {
  const rule = 'requests/answered-in-kind: a call is answered in kind';
  if (!isSo) throw violation(`${rule}: call ${call}, a ${kind}, is answered as ${answered}`, { call });
}

/** The draft of a record. Every method throws `InvariantViolation` when a rule is broken. */
export class RecordDraft {
  private committed: Ledger<Entry>;
  private effects: Ledger<WorldEffect>;
  private calls: WorldCall[];
  private ownsCalls = false;
  private seen: Index;
  private leaderships: RecordedLeaderships;
  private readonly once: boolean;
  /** The view of the record for the model's safety checks. */
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

  /** Starts over with another record. */
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

  /** What every machine goes through. */
  history(): MachineHistory {
    const { committed, effects } = this;
    const commands = (): readonly Entry[] => effects.items.slice(0, effects.length).map(({ entry }) => entry);
    return { committed: (index) => committed.items[index - 1] as Entry, commands };
  }

  private edit(call: WorldCall): void {
    if (!this.ownsCalls) this.calls = this.calls.slice();
    this.ownsCalls = true;
    this.calls[call.call - 1] = call;
  }

  /**
   * A replica delivers an entry to its machine. Returns whether it is the first replica to do so. Every replica must
   * deliver the same value at that index. `delivered`: the last index that it delivered before.
   */
  deliver(replica: ReplicaId, delivered: Index, entry: Entry): boolean {
    const { index } = entry;
    if (index !== delivered + 1) {
      const rule = 'log/delivered-in-order: entries are delivered in order';
      throw violation(`${rule}: ${replica} delivers ${index} after ${delivered}`, { entry });
    }
    const first = this.committed.items[index - 1];
    if (index <= this.committed.length && first !== undefined) {
      if (sameValue(first, entry)) return false;
      throw violation(`log/one-value-per-index: one value at each index: ${replica} delivers another at ${index}`, {
        first,
        entry,
      });
    }
    this.committed = appended(this.committed, entry);
    return true;
  }

  /**
   * A command took effect at a replica, as its `ordinal`-th (0-based). It must be the same at every replica, with the
   * same result; each call may take effect at most once, and not at all if it ended with outcome `none`.
   */
  takeEffect(replica: ReplicaId, ordinal: number, entry: Entry, result: StoredResult): void {
    const { index } = entry;
    if (ordinal < this.effects.length) {
      const first = this.effects.items[ordinal] as WorldEffect;
      if (first.entry.index !== index) {
        const rule = 'requests/same-everywhere: the same commands take effect everywhere';
        throw violation(`${rule}: ${replica} applies ${index}, others ${first.entry.index}`, { ordinal });
      }
      if (first.entry.time !== entry.time) {
        const rule = 'time/never-falls: log time is the same everywhere';
        throw violation(`${rule}: ${replica} applies ${index} at ${entry.time}`, { first: first.entry, entry });
      }
      if (sameResult(first.result, result)) return;
      const evidence = { index, call: callOf(entry.data), first: readable(first.result), now: readable(result) };
      const rule = 'machine/deterministic: the state machine is deterministic';
      throw violation(`${rule}: ${replica} has another result at ${index}`, evidence);
    }
    const last = this.effects.items[this.effects.length - 1];
    if (this.once && last !== undefined && entry.time < last.entry.time) {
      throw violation(`time/never-falls: log time never falls: index ${index}`, { last: last.entry, entry });
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

  /** A caller makes a request. Returns the number of the call. */
  invoke(
    replica: ReplicaId,
    kind: WorldCall['kind'],
    command: unknown,
    at: Milliseconds,
    minIndex: Index | null,
  ): number {
    const call = this.calls.length + 1;
    const after = minIndex ?? this.seen;
    this.edit({ call, replica, kind, command, invokedAt: at, after, effect: 0, end: null, endedAt: 0 });
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

  /** A write is acknowledged: it took effect at `index`, after everything acknowledged before it was made. */
  acknowledge(replica: ReplicaId, number: number, index: Index, result: StoredResult, at: Milliseconds): void {
    const call = this.open(number, replica);
    demandKind(call, call.kind === 'write', 'a write');
    if (call.effect !== index) {
      throw violation(
        `history/one-index-per-operation: a call is told where it took effect: call ${number}, told ${index}`,
        call,
      );
    }
    if (index <= call.after) {
      throw violation(
        `history/real-time-order: later calls take effect later: call ${number} at ${index}, made after ${call.after}`,
        call,
      );
    }
    this.checkResult(call, result);
    this.seen = Math.max(this.seen, index);
    this.edit({ ...call, end: { kind: 'acknowledged', index, result }, endedAt: at });
  }

  private checkResult(call: WorldCall, result: StoredResult): void {
    // The search starts at the end, since acknowledged calls took effect recently.
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

  /** A read is served: it must see everything that was acknowledged or seen before it was made. */
  serve(replica: ReplicaId, number: number, index: Index, position: Index, at: Milliseconds): void {
    const call = this.open(number, replica);
    demandKind(call, call.kind === 'read' || call.kind === 'staleRead', 'a read');
    if (position < index) {
      throw violation(
        `reads/served-after-apply: a read is served once all up to its index is applied: call ${number}`,
        { index, position },
      );
    }
    if (position < call.after) {
      const rule = 'reads/no-stale-read: a read sees all acknowledged before it';
      throw violation(`${rule}: call ${number} sees ${position}, not ${call.after}`, call);
    }
    if (call.kind === 'read') this.seen = Math.max(this.seen, position);
    this.edit({ ...call, end: { kind: 'served', index, position }, endedAt: at });
  }

  /** A transfer has succeeded. */
  transferred(replica: ReplicaId, number: number, leader: ReplicaId, at: Milliseconds): void {
    const call = this.open(number, replica);
    demandKind(call, call.kind === 'transfer', 'a transfer');
    this.edit({ ...call, end: { kind: 'transferred', leader }, endedAt: at });
  }

  /** A call fails. Outcome `none` promises that it never takes effect. */
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

  /** A process crashes: its callers get no answer. */
  lose(replica: ReplicaId, numbers: Iterable<number>, at: Milliseconds): void {
    this.leaderships = withoutLeadership(this.leaderships, replica);
    for (const number of numbers) {
      this.edit({ ...this.open(number, replica), end: { kind: 'lost' }, endedAt: at });
    }
  }

  /** A replica emits an event. @param position the index up to which its machine has applied */
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

  /** The leadership that this replica claims, if any. */
  leadershipOf(replica: ReplicaId): RecordedLeadership | undefined {
    return this.leaderships.standing.get(replica);
  }
}
