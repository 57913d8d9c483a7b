/**
 * What commands and reads of this replica's own callers have in common: how many may wait, when a wait is over, when
 * the core is asked nothing, and what follows when an attempt ends. `proposals.ts` and `reads.ts` say what becomes of
 * each.
 *
 * Invariant: every call ends once: with an answer, served, or failed.
 */

import type { Mutable } from '../../core/draft.js';
import type { Index, Milliseconds, Outcome, RequestNumber } from '../../core/protocol.js';
import { ascending, firstAbove, positionOf } from './ordered.js';
import { PartDraft } from './part.js';
import type { ProposalsState } from './proposals.js';
import type { ReadsState } from './reads.js';
import type { DriverPhase, Failure, PendingCall, PendingCommand } from './state.js';

/** How long a refusal pauses proposals and reads. */
const REFUSAL_PAUSE: Milliseconds = 20;

/**
 * What is sent may be lost, and a place in the log of a leader that was deposed may never be filled: an attempt that
 * takes so many times the longest election timeout is ended, and made again.
 */
const ATTEMPT_TIMEOUTS = 2;

const BUSY: Failure = { code: 'ERR_BUSY', outcome: 'none', message: 'too many requests are waiting on this replica' };

/** Which calls of a list are meant: their positions, ascending. */
export type CallChoice = (calls: readonly PendingCall[]) => readonly number[];

/** Attempts that the core has ended without success: by request, whether they may still take effect. */
export type EndedCalls = ReadonlyMap<RequestNumber, boolean>;

/** @see CallsDraft */
export interface CallsState {
  /** The core is asked nothing before: a refusal is a pause. */
  readonly pausedUntil: Milliseconds;
  /** No caller's deadline lies before; may be too early. */
  readonly nextExpiry: Milliseconds;
  /** The latest deadline of those that wait, and whether all came in the order of their deadlines. */
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

/** Why nothing can be asked of a replica any more; `null` while it can. */
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
      const { code, reason } = phase.fault;
      return { code, outcome: 'none', message: `the replica has halted: ${reason}` };
    }
  }
}

/** How many wait, a batch of reads that was asked for counting as one. */
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

  /** When an attempt that is made now is given up. */
  get attemptDeadline(): Milliseconds {
    return this.draft.now + ATTEMPT_TIMEOUTS * this.draft.options.timing.electionMax;
  }

  propose(commands: readonly PendingCommand[]): void {
    this.draft.proposals.queue(this.admit(commands));
  }

  /** @param minIndex of stale reads, what they need; `null` for linearizable ones */
  read(calls: readonly PendingCall[], minIndex: Index | null): void {
    const admitted = this.admit(calls);
    if (admitted.length === 0) return;
    if (minIndex === null) this.draft.reads.queue(admitted);
    else this.draft.reads.wait(minIndex, admitted);
  }

  /** Those of new calls that there is room for; the others fail. */
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

  /** Feeds the core whatever can be fed: called once at the end of every event. */
  feed(): void {
    const { phase, leadership, session, proposals, reads, now } = this.draft;
    if (phase.kind !== 'running' || leadership.state.leader === null || now < this.state.pausedUntil) return;
    session.open();
    proposals.feed();
    reads.feed();
  }

  /**
   * The core has ended these attempts. That one is committed changes nothing here: the session table says whether its
   * command took effect, and with which result, where it is applied.
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

  /** What follows for those whose attempts have ended in a step of the core, in one sweep. */
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

  /** Ends the calls that are chosen, as `failure` says, or by what became of each. */
  private end(choice: CallChoice, failure: Failure | null, cancelled: boolean): void {
    const { draft } = this;
    const ended = draft.proposals.end(choice, failure, cancelled);
    // A read never has an effect, whatever ends it.
    const timeout = { code: 'ERR_TIMEOUT', message: 'the read was not served in time' } as const;
    const requests = [...ended, ...draft.reads.end(choice, { ...timeout, ...failure, outcome: 'none' })];
    if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
  }

  /** The callers have gone. */
  cancel(gone: readonly number[]): void {
    const choice: CallChoice = (calls) => {
      const positions = gone.map((call) => positionOf(calls, callOf, call)).filter((at) => at >= 0);
      return positions.sort(ascending);
    };
    this.end(choice, null, true);
  }

  /** Ends every call: the replica stops, or takes no part any more. */
  endAll(failure: Failure): void {
    this.takeBack();
    this.end(everyone, failure, false);
  }

  /** Ends the calls whose time is over. */
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
