/**
 * The draft on which the driver handles one event: a private copy of the state, one part draft for each part, the
 * effects so far in order, and the inbox of the core. It is discarded when the event ends.
 *
 * The draft itself changes the phase and the number of the last request. Invariant: a core that does not run gets no
 * message.
 */

import { assert } from '../../core/assert.js';
import type { DurableCodec, Inbound, Index, Milliseconds, RequestNumber } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { ApplyingDraft } from './apply.js';
import { CallsDraft, refusalOf } from './calls.js';
import { CompactionsDraft } from './compactions.js';
import { HealthDraft } from './health.js';
import { IdentityDraft } from './identity.js';
import { LeadershipDraft } from './leadership.js';
import { LaneDraft } from './persist-lane.js';
import { ProposalsDraft } from './proposals.js';
import { PullingDraft } from './pulling.js';
import { ReadsDraft } from './reads.js';
import { SessionDraft } from './session.js';
import { SourcesDraft } from './snapshot-sources.js';
import { SnapshotsDraft } from './snapshots.js';
import { TimingDraft } from './timing.js';
import { TransfersDraft } from './transfers.js';
import type { StoredResult } from './session-table.js';
import type { DriverEffect, DriverOptions, DriverPhase, DriverState, Failure, Fault, ReplicaEvent } from './state.js';

/** The latest state of the core; `null` if it never ran. */
export function coreOf(phase: DriverPhase): unknown {
  return 'core' in phase ? phase.core : null;
}

/** The fault with which a replica halted; `null` if it did not. */
export function faultOf(phase: DriverPhase): Fault | null {
  return 'fault' in phase ? phase.fault : null;
}

export class DriverDraft {
  // `declare`, as in `PartDraft`.
  declare readonly options: DriverOptions;
  /** The time of the event, or the state's if that is later. */
  declare readonly now: Milliseconds;
  declare readonly durable: DurableCodec;
  declare readonly lane: LaneDraft;
  declare readonly identity: IdentityDraft;
  declare readonly leadership: LeadershipDraft;
  declare readonly applying: ApplyingDraft;
  declare readonly session: SessionDraft;
  declare readonly snapshots: SnapshotsDraft;
  declare readonly sources: SourcesDraft;
  declare readonly pulling: PullingDraft;
  declare readonly compactions: CompactionsDraft;
  declare readonly calls: CallsDraft;
  declare readonly proposals: ProposalsDraft;
  declare readonly reads: ReadsDraft;
  declare readonly timing: TimingDraft;
  declare readonly transfers: TransfersDraft;
  declare readonly health: HealthDraft;
  declare ahead: Milliseconds | null;
  /** The failure of the storage that the event reports: the core is told, and answers by a fault. */
  declare storageFault: Fault | undefined;
  declare private currentPhase: DriverPhase;
  declare private lastRequest: RequestNumber;
  declare private readonly effects: DriverEffect[];
  declare private readonly inbox: Inbound<unknown>[];
  declare private taken: number;

  constructor(state: DriverState, now: Milliseconds, durable: DurableCodec) {
    this.options = state.options;
    this.now = now > state.now ? now : state.now;
    this.durable = durable;
    this.lane = new LaneDraft(this, state.lane);
    this.identity = new IdentityDraft(this, state.identity);
    this.leadership = new LeadershipDraft(this, state.leadership);
    this.applying = new ApplyingDraft(this, state.applying);
    this.session = new SessionDraft(this, state.session);
    this.snapshots = new SnapshotsDraft(this, state.snapshots);
    this.sources = new SourcesDraft(this, state.sources);
    this.pulling = new PullingDraft(this, state.pulling);
    this.compactions = new CompactionsDraft(this, state.compactions);
    this.calls = new CallsDraft(this, state.calls);
    this.proposals = new ProposalsDraft(this, state.proposals);
    this.reads = new ReadsDraft(this, state.reads);
    this.timing = new TimingDraft(this, state.timing);
    this.transfers = new TransfersDraft(this, state.transfers);
    this.health = new HealthDraft(this, state.health);
    this.ahead = state.ahead;
    this.storageFault = undefined;
    this.currentPhase = state.phase;
    this.lastRequest = state.lastRequest;
    this.effects = [];
    this.inbox = [];
    this.taken = 0;
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

  /** A peer has recorded another incarnation for this replica's id: the replica takes no part any more. */
  loseIdentity(peer: ReplicaId): void {
    const phase: DriverPhase = { kind: 'lostIdentity' };
    this.currentPhase = phase;
    this.calls.endAll(refusalOf(phase) as Failure);
    this.event({ kind: 'lostIdentity', peer });
  }

  /** Halts for good: the replica votes, writes and answers nothing any more. */
  halt(fault: Fault): void {
    if (this.currentPhase.kind === 'halted' || this.currentPhase.kind === 'stopped') return;
    const { code, reason, cause } = fault;
    this.calls.endAll({ code, outcome: 'unknown', message: `the replica has halted: ${reason}`, cause });
    this.currentPhase = { kind: 'halted', fault, core: coreOf(this.currentPhase) };
    this.lane.abandon();
    this.event({ kind: 'fault', code, reason, cause });
  }

  /** The replica is closed. */
  stop(): void {
    this.currentPhase = { kind: 'stopped', fault: faultOf(this.currentPhase), core: coreOf(this.currentPhase) };
  }

  /** The wall clock is told, also to a core that starts later. */
  wallClock(ahead: Milliseconds): void {
    this.ahead = ahead;
    this.toCore({ kind: 'wallClock', now: this.now, ahead });
  }

  /** Puts a message into the core's inbox; the core handles it before the event ends. */
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

  /** A new number for a request to the core. */
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

  // Calls are named by the numbers of the callers.

  answer(call: number, result: StoredResult, index: Index): void {
    this.effects.push({ kind: 'answer', call, result, index });
  }

  serve(calls: readonly number[], index: Index): void {
    if (calls.length > 0) this.effects.push({ kind: 'serve', calls, index });
  }

  transferred(call: number, leader: ReplicaId): void {
    this.effects.push({ kind: 'transferred', call, leader });
  }

  fail(calls: readonly number[], failure: Failure): void {
    if (calls.length > 0) this.effects.push({ kind: 'fail', calls, failure });
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
      snapshots: this.snapshots.state,
      sources: this.sources.state,
      pulling: this.pulling.state,
      compactions: this.compactions.state,
      calls: this.calls.state,
      proposals: this.proposals.state,
      reads: this.reads.state,
      timing: this.timing.state,
      transfers: this.transfers.state,
      health: this.health.state,
      ahead: this.ahead,
    };
    return [state, this.effects];
  }
}
