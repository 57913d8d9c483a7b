/**
 * The private copy that one event works on: the parts of the driver's state, each with its own verbs, what the event
 * wants done, in order, and what the core is told before the event ends. It never outlives its event.
 *
 * Its own are the phase and the numbers of requests. Invariant: nothing is told to a core that does not run.
 */

import { assert } from '../../core/assert.js';
import type { DurableCodec, Inbound, Index, Milliseconds, RequestNumber } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { ApplyingDraft } from './apply.js';
import { CallsDraft, refusalOf } from './calls.js';
import { IdentityDraft } from './identity.js';
import { LaneDraft } from './lane.js';
import { LeadershipDraft } from './leadership.js';
import { ProposalsDraft } from './proposals.js';
import { ReadsDraft } from './reads.js';
import { SessionDraft } from './session.js';
import type { StoredResult } from './session-table.js';
import type {
  DriverEffect,
  DriverOptions,
  DriverPhase,
  DriverState,
  Failure,
  Fault,
  PendingCall,
  ReplicaEvent,
} from './state.js';

/** The newest state of the core; `null` if it never ran. */
export function coreOf(phase: DriverPhase): unknown {
  return 'core' in phase ? phase.core : null;
}

/** Why a replica halted; `null` if it did not. */
export function faultOf(phase: DriverPhase): Fault | null {
  return 'fault' in phase ? phase.fault : null;
}

export class DriverDraft {
  readonly options: DriverOptions;
  /** What the host says the time is; never before the stored one. */
  readonly now: Milliseconds;
  readonly durable: DurableCodec;
  readonly lane: LaneDraft;
  readonly identity: IdentityDraft;
  readonly leadership: LeadershipDraft;
  readonly applying: ApplyingDraft;
  readonly session: SessionDraft;
  readonly calls: CallsDraft;
  readonly proposals: ProposalsDraft;
  readonly reads: ReadsDraft;
  private currentPhase: DriverPhase;
  private lastRequest: RequestNumber;
  private readonly effects: DriverEffect[] = [];
  private readonly inbox: Inbound<unknown>[] = [];
  private taken = 0;

  constructor(state: DriverState, now: Milliseconds, durable: DurableCodec) {
    this.options = state.options;
    this.now = now > state.now ? now : state.now;
    this.durable = durable;
    this.lane = new LaneDraft(this, state.lane);
    this.identity = new IdentityDraft(this, state.identity);
    this.leadership = new LeadershipDraft(this, state.leadership);
    this.applying = new ApplyingDraft(this, state.applying);
    this.session = new SessionDraft(this, state.session);
    this.calls = new CallsDraft(this, state.calls);
    this.proposals = new ProposalsDraft(this, state.proposals);
    this.reads = new ReadsDraft(this, state.reads);
    this.currentPhase = state.phase;
    this.lastRequest = state.lastRequest;
  }

  get phase(): DriverPhase {
    return this.currentPhase;
  }

  /** The core's new state. */
  runCore(core: unknown): void {
    assert(
      this.currentPhase.kind === 'establishing' || this.currentPhase.kind === 'running',
      'core/stop-is-final: only a core that may run takes a step',
    );
    this.currentPhase = { kind: 'running', core };
  }

  /** A peer knows our name by other data: we take no part. */
  loseIdentity(peer: ReplicaId): void {
    const phase: DriverPhase = { kind: 'lostIdentity' };
    this.currentPhase = phase;
    this.calls.endAll(refusalOf(phase) as Failure);
    this.event({ kind: 'lostIdentity', peer });
  }

  /** Stops for good: nothing is voted, written or answered any more. */
  halt(fault: Fault): void {
    if (this.currentPhase.kind === 'halted' || this.currentPhase.kind === 'stopped') return;
    const { code, reason } = fault;
    this.calls.endAll({ code, outcome: 'unknown', message: `the replica has halted: ${reason}` });
    this.currentPhase = { kind: 'halted', fault, core: coreOf(this.currentPhase) };
    this.lane.abandon();
    this.event({ kind: 'fault', code, reason });
  }

  /** Closed. */
  stop(): void {
    this.currentPhase = { kind: 'stopped', fault: faultOf(this.currentPhase), core: coreOf(this.currentPhase) };
  }

  /** For the core, once it runs; handled before the event ends. */
  toCore(message: Inbound<unknown>): void {
    if (this.currentPhase.kind === 'running') this.inbox.push(message);
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
  freshRequest(): RequestNumber {
    this.lastRequest += 1;
    return this.lastRequest;
  }

  effect(effect: DriverEffect): void {
    this.effects.push(effect);
  }

  event(event: ReplicaEvent): void {
    this.effects.push({ kind: 'event', event });
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

  /** The event's result; the draft must not be used afterwards. */
  finish(): readonly [DriverState, readonly DriverEffect[]] {
    const state: DriverState = {
      options: this.options,
      now: this.now,
      phase: this.currentPhase,
      lastRequest: this.lastRequest,
      lane: this.lane.state,
      identity: this.identity.state,
      leadership: this.leadership.state,
      applying: this.applying.state,
      session: this.session.state,
      calls: this.calls.state,
      proposals: this.proposals.state,
      reads: this.reads.state,
    };
    return [Object.freeze(state), this.effects];
  }
}
