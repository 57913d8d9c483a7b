/**
 * The part of a request that is the same for commands and reads of this replica's own callers: admission up to
 * `maxWaiting`, deadlines, the pause after a refusal, cancelling, and what follows when the core ends an attempt.
 * `proposals.ts` and `reads.ts` hold the queues.
 *
 * Invariant: every call ends exactly once: answered, served or failed.
 */

import type { Mutable } from '../../core/draft.js';
import type { Index, Milliseconds, Outcome, RequestNumber } from '../../core/protocol.js';
import { PartDraft } from './part-draft.js';
import type { ProposalsState } from './proposals.js';
import type { ReadsState } from './reads.js';
import { ascending, firstAbove, positionOf } from './sorted-list.js';
import type { DriverPhase, Failure, PendingCall, PendingCommand } from './state.js';

/** How long the driver asks the core nothing after the core refused a request. */
const REFUSAL_PAUSE: Milliseconds = 20;

/**
 * An attempt is ended and made again after this many times the longest election timeout: its message may be lost, or
 * its place in the log of a deposed leader never be committed.
 */
const ATTEMPT_TIMEOUTS = 2;

const BUSY: Failure = { code: 'ERR_BUSY', outcome: 'none', message: 'too many requests are waiting on this replica' };

/** Chooses calls of a list; returns their positions, ascending. */
export type CallChoice = (calls: readonly PendingCall[]) => readonly number[];

/** Attempts that the core has ended without success, by request; `true` if one may still take effect. */
export type EndedCalls = ReadonlyMap<RequestNumber, boolean>;

/** @see CallsDraft */
export interface CallsState {
  /** Until then the core is asked nothing, since it has refused a request. */
  readonly pausedUntil: Milliseconds;
  /** A lower bound of the deadlines of all waiting callers. */
  readonly nextExpiry: Milliseconds;
  /** The latest deadline of all waiting callers, and whether their deadlines ascend in the order of their numbers. */
  readonly latestDeadline: Milliseconds;
  readonly inOrder: boolean;
}

export const noCalls: CallsState = {
  pausedUntil: -Infinity,
  nextExpiry: Infinity,
  latestDeadline: -Infinity,
  inOrder: true,
};

const callOf = (call: PendingCall): number => call.call;
const deadlineOf = (call: PendingCall): number => call.deadline;

const everyone: CallChoice = (calls) => calls.map((_, at) => at);

/** The failure with which a replica in this phase refuses requests; `null` while it takes them. */
export function refusalOf(phase: DriverPhase): Failure | null {
  switch (phase.kind) {
    case 'establishing':
    case 'running':
      return null;
    case 'stopped':
      return { code: 'ERR_CLOSED', outcome: 'none', message: 'the replica is closed' };
    case 'lostIdentity':
      return {
        code: 'ERR_LOST_IDENTITY',
        outcome: 'none',
        message: 'this replica lost its disk; its peers know it by other data, and it takes no part',
      };
    case 'halted': {
      const { code, reason, cause } = phase.fault;
      return { code, outcome: 'none', message: `the replica has halted: ${reason}`, cause };
    }
  }
}

/** How many requests wait; a batch of reads that the core was asked about counts as one. */
export function waitingCount({ queued, retrying, underway }: ProposalsState, reads: ReadsState): number {
  const commands = queued.length + retrying.length + underway.length;
  return commands + reads.queued.length + reads.asked.length + reads.waiting.length;
}

export class CallsDraft extends PartDraft<CallsState> {
  declare private endedAttempts: Map<RequestNumber, boolean> | undefined;

  protected override copy(state: CallsState): Mutable<CallsState> {
    return {
      pausedUntil: state.pausedUntil,
      nextExpiry: state.nextExpiry,
      latestDeadline: state.latestDeadline,
      inOrder: state.inOrder,
    };
  }

  /** The deadline of an attempt that begins now. */
  get attemptDeadline(): Milliseconds {
    return this.draft.now + ATTEMPT_TIMEOUTS * this.draft.options.timing.electionMax;
  }

  propose(commands: readonly PendingCommand[]): void {
    this.draft.proposals.queue(this.admit(commands));
  }

  /** @param minIndex the index that stale reads wait for; `null` for linearizable reads */
  read(calls: readonly PendingCall[], minIndex: Index | null): void {
    const admitted = this.admit(calls);
    if (admitted.length === 0) return;
    if (minIndex === null) this.draft.reads.queue(admitted);
    else this.draft.reads.wait(minIndex, admitted);
  }

  /** Returns the new calls that there is room for, and fails the others. */
  private admit<C extends PendingCall>(calls: readonly C[]): readonly C[] {
    const { draft } = this;
    const refusal = refusalOf(draft.phase);
    if (refusal !== null) {
      draft.fail(calls, refusal);
      return [];
    }
    const waiting = waitingCount(draft.proposals.state, draft.reads.state);
    const room = Math.max(0, draft.options.maxWaiting - waiting);
    if (room < calls.length) draft.fail(calls.slice(room), BUSY);
    const admitted = room < calls.length ? calls.slice(0, room) : calls;
    this.noteDeadlines(admitted, waiting === 0);
    return admitted;
  }

  private noteDeadlines(calls: readonly PendingCall[], first: boolean): void {
    const next = this.edit();
    if (first) {
      next.latestDeadline = -Infinity;
      next.inOrder = true;
    }
    for (const { deadline } of calls) {
      if (deadline < next.nextExpiry) next.nextExpiry = deadline;
      if (deadline < next.latestDeadline) next.inOrder = false;
      else next.latestDeadline = deadline;
    }
  }

  /** Passes queued requests to the core if it can take any; called once at the end of every event. */
  feed(): void {
    const { phase, leadership, session, proposals, reads, now } = this.draft;
    if (phase.kind !== 'running' || leadership.state.leader === null || now < this.state.pausedUntil) return;
    session.open();
    proposals.feed();
    reads.feed();
  }

  /**
   * The core has ended these attempts. An attempt that ended as committed changes nothing here: when its entry is
   * applied, the session table says whether the command took effect and with which result.
   */
  attemptsEnded(requests: readonly RequestNumber[], outcome: Outcome): void {
    if (outcome.kind === 'committed') return;
    if (outcome.reason !== 'superseded' && outcome.reason !== 'cancelled') {
      const { pausedUntil } = this.state;
      this.edit().pausedUntil = Math.max(pausedUntil, this.draft.now + REFUSAL_PAUSE);
    }
    this.endedAttempts ??= new Map();
    for (const request of requests) this.endedAttempts.set(request, outcome.kind === 'unknown');
  }

  /** Queues again, in one pass, all requests whose attempts ended in the core's last step. */
  takeBack(): void {
    const { endedAttempts } = this;
    if (endedAttempts === undefined) return;
    this.endedAttempts = undefined;
    const { session, reads, leadership, proposals } = this.draft;
    session.ended(endedAttempts);
    reads.ended(endedAttempts);
    leadership.ended(endedAttempts);
    proposals.ended(endedAttempts);
  }

  /** Ends the chosen calls with `failure`; with `null`, each by how far it has come. */
  private end(choice: CallChoice, failure: Failure | null, cancelled: boolean): void {
    const { draft } = this;
    const ended = draft.proposals.end(choice, failure, cancelled);
    // A read has no effect, so it always ends with outcome `none`.
    const timeout = { code: 'ERR_TIMEOUT', message: 'the read was not served in time' } as const;
    const requests = [...ended, ...draft.reads.end(choice, { ...timeout, ...failure, outcome: 'none' })];
    if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
  }

  /** These callers wait no longer: their signals have aborted. */
  cancel(gone: readonly number[]): void {
    const choice: CallChoice = (calls) => {
      const positions = gone.map((call) => positionOf(calls, callOf, call)).filter((at) => at >= 0);
      return positions.sort(ascending);
    };
    this.end(choice, null, true);
  }

  /** Ends every call, since the replica stops or takes no part any more. */
  endAll(failure: Failure): void {
    this.takeBack();
    this.end(everyone, failure, false);
  }

  /** Ends the calls whose deadline has passed. */
  expire(): void {
    const { now } = this.draft;
    if (now < this.state.nextExpiry) return;
    const { inOrder } = this.state;
    const expired: CallChoice = (calls) => {
      if (inOrder) return everyone(calls.slice(0, firstAbove(calls, deadlineOf, now)));
      const positions: number[] = [];
      for (let i = 0; i < calls.length; i++) if ((calls[i] as PendingCall).deadline <= now) positions.push(i);
      return positions;
    };
    this.end(expired, null, false);
    this.edit().nextExpiry = this.earliestDeadline(inOrder);
  }

  private earliestDeadline(inOrder: boolean): Milliseconds {
    let earliest = Infinity;
    const look = (calls: readonly PendingCall[]): void => {
      const count = inOrder ? Math.min(calls.length, 1) : calls.length;
      for (let i = 0; i < count; i++) earliest = Math.min(earliest, (calls[i] as PendingCall).deadline);
    };
    const { queued, retrying, underway } = this.draft.proposals.state;
    const { queued: reads, asked, waiting } = this.draft.reads.state;
    for (const calls of [queued, retrying, underway, reads]) look(calls);
    for (const { calls } of asked) look(calls);
    for (const { calls } of waiting) look(calls);
    return earliest;
  }
}
