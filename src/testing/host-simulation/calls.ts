/**
 * The record of the clients' requests and its checks: each request ends once and in time, with a result that agrees
 * with the ledger or an error whose outcome is true. Real-time order is checked as it happens, by places in the log: a
 * request made after the answer of another takes effect after it, and sees it.
 */

import { CommandRejected, ConsensusError } from '../../replica/errors.js';
import type { SimulatedProcess } from './clock.js';
import type { CommandLedger, HostCommand, HostResult } from './machine.js';
import type { SimulatedSignal } from './signal.js';
import type { Trace } from './trace.js';

/** `local` reads are the stale ones. */
export type CallKind = 'write' | 'read' | 'local' | 'ready';

/** `gone`: its process was killed before it was answered. */
export type CallOutcome = 'pending' | 'ok' | 'refused' | 'none' | 'unknown' | 'gone';

export interface SimulatedCall {
  readonly name: string;
  readonly client: string;
  readonly kind: CallKind;
  readonly process: SimulatedProcess;
  readonly key: string;
  /** Of a write. */
  readonly command: HostCommand | null;
  readonly signal: SimulatedSignal | null;
  /** When it was called and when it ended, in the order of all such events; `Infinity` while it has not. */
  readonly called: number;
  returned: number;
  /** The furthest place that anybody had heard of when it was called. */
  readonly floor: number;
  /** On the clock of its process; and how often that had been stalled. */
  readonly calledAt: number;
  readonly stalls: number;
  outcome: CallOutcome;
  /** Where it took effect, or how far the machine was that it read; 0 if not known. */
  position: number;
  value: string | null;
  /** Called when it will never end. */
  abandoned: () => void;
}

/** What a read saw. */
export interface SeenValue {
  readonly position: number;
  readonly value: string | null;
}

/** By code: what may have become of a write (docs/embedding.md). Reads never have an effect. */
const OUTCOMES: Readonly<Record<string, readonly string[]>> = {
  ERR_CLOSED: ['none', 'unknown'],
  ERR_BUSY: ['none'],
  ERR_NO_LEADER: ['none'],
  ERR_TIMEOUT: ['none'],
  ERR_OUTCOME_UNKNOWN: ['unknown'],
  ERR_STORAGE_FULL: ['none'],
  ERR_STORAGE_FAILED: ['none', 'unknown'],
  ERR_LOST_IDENTITY: ['none'],
};
const RETRYABLE = ['ERR_NO_LEADER', 'ERR_TIMEOUT', 'ERR_BUSY', 'ERR_STORAGE_FULL', 'ERR_OUTCOME_UNKNOWN'];
/** Codes that say that the caller's time was over. */
const LATE = ['ERR_NO_LEADER', 'ERR_TIMEOUT', 'ERR_OUTCOME_UNKNOWN'];
/** Milliseconds that an end may come after its time, on a loop that was neither stalled nor at work. */
const SLACK = 1;

export class CallBook {
  readonly calls: SimulatedCall[] = [];
  /** Bytes by which callers padded their commands so far. */
  padded = 0;
  private readonly open = new Set<SimulatedCall>();
  private readonly trace: Trace;
  private readonly ledger: CommandLedger;
  private readonly requestTimeout: number;
  private readonly slack: number;
  /** Counts calls and ends. */
  private order = 0;
  /** The furthest place in the log that anybody has heard of. */
  private furthest = 0;
  /** By place: the index of the entry, as a caller was told. */
  private readonly indexes = new Map<number, number>();

  /** @param slices what the work takes that may come before a tick that is due */
  constructor(trace: Trace, ledger: CommandLedger, requestTimeout: number, slices: number) {
    this.trace = trace;
    this.ledger = ledger;
    this.requestTimeout = requestTimeout;
    this.slack = SLACK + slices;
  }

  call(what: Pick<SimulatedCall, 'client' | 'kind' | 'process' | 'key' | 'command' | 'signal'>): SimulatedCall {
    const { process } = what;
    const call: SimulatedCall = {
      ...what,
      name: `${what.client} ${what.kind} ${what.command?.id ?? what.key}`,
      called: ++this.order,
      returned: Infinity,
      floor: this.furthest,
      calledAt: process.now,
      stalls: process.stalls,
      outcome: 'pending',
      position: 0,
      value: null,
      abandoned: () => undefined,
    };
    this.calls.push(call);
    this.open.add(call);
    this.trace.tell(`${call.name} called`);
    return call;
  }

  /** How many of a process have not ended. */
  pending(process?: SimulatedProcess): number {
    return [...this.open].filter((call) => process === undefined || call.process === process).length;
  }

  /** The names of what has not ended. */
  waiting(): string {
    return [...this.open].map((call) => call.name).join(', ');
  }

  /** These will never end: their process was killed. */
  killed(process: SimulatedProcess): void {
    for (const call of this.open) {
      if (call.process !== process) continue;
      this.end(call, 'gone');
      call.abandoned();
    }
  }

  private end(call: SimulatedCall, outcome: CallOutcome): void {
    if (call.outcome !== 'pending') {
      this.trace.violate(
        'law/one-end-per-request',
        `${call.name} ended as ${outcome} after it had ended as ${call.outcome}`,
      );
    }
    call.outcome = outcome;
    this.open.delete(call);
    if (outcome === 'gone') return;
    call.returned = ++this.order;
    this.checkTime(call);
    this.trace.tell(`${call.name} ${outcome} at ${call.position}`);
    if (call.signal !== null && call.signal.listeners > 0) {
      this.trace.violate('limits/nothing-leaks', `${call.name} ended and still listens to its signal`);
    }
  }

  ready(call: SimulatedCall): void {
    this.end(call, 'ok');
  }

  /** A write took effect, or was refused, at this place; `index` if the caller was told. */
  wrote(call: SimulatedCall, position: number, index: number | null, result: HostResult | null): void {
    call.position = position;
    this.end(call, result === null ? 'refused' : 'ok');
    const { name, command, floor } = call;
    const there = this.ledger.positions.get(command?.id ?? '');
    if (there !== position) {
      this.trace.violate('history/nothing-unasked', `${name} heard of ${position}, the ledger of ${String(there)}`);
    }
    if (position <= floor) {
      this.trace.violate(
        'history/real-time-order',
        `${name} took effect at ${position}, and ${floor} was known before it was called`,
      );
    }
    call.value = result?.before ?? null;
    if (result !== null) this.checkResult(call, result);
    if (index !== null) this.checkIndex(call, position, index);
    this.furthest = Math.max(this.furthest, position);
  }

  private checkResult({ name, key, position }: SimulatedCall, { before }: HostResult): void {
    const expected = this.ledger.valueAt(key, position - 1);
    if (before !== expected) {
      this.trace.violate(
        'history/explained-by-log',
        `${name} found ${String(before)} at ${position}, not ${String(expected)}`,
      );
    }
  }

  private checkIndex({ name }: SimulatedCall, position: number, index: number): void {
    this.indexes.set(position, index);
    for (const [place, other] of this.indexes) {
      if (Math.sign(place - position) === Math.sign(other - index)) continue;
      this.trace.violate(
        'history/one-index-per-operation',
        `${name} was told ${index} for ${position}, and ${place} is at ${other}`,
      );
    }
  }

  /** A read was answered; `least` is what a stale one asked for. */
  saw(call: SimulatedCall, seen: SeenValue, least: number): void {
    call.position = seen.position;
    call.value = seen.value;
    this.end(call, 'ok');
    const { name, key, kind, floor } = call;
    const bound = kind === 'read' ? floor : least;
    if (seen.position < bound) {
      this.trace.violate('reads/no-stale-read', `${name} read at ${seen.position}, and ${bound} was asked for`);
    }
    const expected = this.ledger.valueAt(key, seen.position);
    if (seen.value !== expected) {
      this.trace.violate(
        'history/explained-by-log',
        `${name} read ${String(seen.value)}, and ${String(expected)} stood there`,
      );
    }
    if (kind === 'read') this.furthest = Math.max(this.furthest, seen.position);
  }

  /** It rejected, or threw at once. */
  failed(call: SimulatedCall, error: unknown): void {
    if (error instanceof CommandRejected) return this.refused(call, error.reason);
    if (!(error instanceof ConsensusError)) {
      return this.trace.violate('host/typed-errors', `${call.name} failed with ${String(error)}`);
    }
    this.trace.tell(`${call.name} ${error.code} ${error.outcome}`);
    this.trace.cover(error.code);
    this.end(call, call.kind === 'write' ? error.outcome : 'none');
    this.checkError(call, error);
    this.checkCause(call, error);
    if (error.outcome === 'none' && call.command !== null) this.checkNone(call);
  }

  private refused(call: SimulatedCall, reason: unknown): void {
    const text = typeof reason === 'string' ? /^boom at (\d+)$/.exec(reason)?.[1] : undefined;
    const position = text === undefined ? (reason as { position?: unknown }).position : Number(text);
    if (call.command?.op !== 'refuse' && call.command?.op !== 'boom') {
      this.trace.violate('host/typed-errors', `${call.name} was refused: ${JSON.stringify(reason)}`);
    }
    this.wrote(call, Number(position), null, null);
  }

  private checkError({ name, kind }: SimulatedCall, { code, outcome, retryable, message }: ConsensusError): void {
    const allowed = kind === 'write' ? OUTCOMES[code] : OUTCOMES[code] && ['none'];
    if (allowed === undefined || !allowed.includes(outcome) || (kind !== 'write' && code === 'ERR_OUTCOME_UNKNOWN')) {
      this.trace.violate('host/typed-errors', `${name} failed with ${code} ${outcome}: ${message}`);
    }
    if (retryable !== RETRYABLE.includes(code)) {
      this.trace.violate('host/typed-errors', `${name} failed with ${code}, retryable ${String(retryable)}`);
    }
  }

  /** A wait that ends by time ends then, and not earlier. */
  private checkCause(call: SimulatedCall, { code, cause }: ConsensusError): void {
    const { name, signal, process } = call;
    if (!LATE.includes(code)) return;
    if (signal !== null && (!signal.aborted || cause !== signal.reason)) {
      this.trace.violate('host/abort-is-the-cause', `${name} ended with ${code} and its signal is not the cause`);
    }
    const due = this.due(call);
    if (process.now < due - SLACK) {
      this.trace.violate(
        'liveness/ends-by-deadline',
        `${name} ended at ${process.now.toFixed(3)}, due at ${due.toFixed(3)}`,
      );
    }
  }

  /** On the clock of its process: when its signal aborted, or its time is over. */
  private due({ signal, kind, calledAt }: SimulatedCall): number {
    if (signal !== null) return Math.max(calledAt, signal.abortedAt ?? Infinity);
    return kind === 'ready' ? Infinity : calledAt + this.requestTimeout;
  }

  /** No wait is longer than its caller's, on a loop that was not stalled. */
  private checkTime(call: SimulatedCall): void {
    const { name, process, stalls } = call;
    const due = this.due(call);
    if (process.stalls !== stalls || process.now <= due + this.slack) return;
    this.trace.violate(
      'liveness/ends-by-deadline',
      `${name} ended at ${process.now.toFixed(3)}, due at ${due.toFixed(3)}`,
    );
  }

  /** `none` is a promise: neither before nor ever after. */
  private checkNone({ name, command }: SimulatedCall): void {
    const position = this.ledger.positions.get(command?.id ?? '');
    if (position === undefined) return;
    this.trace.violate('requests/none-is-kept', `${name} had no effect, and took effect at ${position}`);
  }

  /** At the end: what took effect and what did not, over the whole run. */
  finish(): void {
    for (const call of this.calls) {
      if (call.command === null) continue;
      if (call.outcome === 'none') this.checkNone(call);
      const position = this.ledger.positions.get(call.command.id);
      if (position !== undefined && position <= call.floor) {
        this.trace.violate('history/real-time-order', `${call.name} took effect at ${position}, before it was called`);
      }
      if ((call.outcome === 'ok' || call.outcome === 'refused') && position !== call.position) {
        this.trace.violate('history/acknowledged-is-kept', `${call.name} was acknowledged at ${call.position}`);
      }
    }
  }
}
