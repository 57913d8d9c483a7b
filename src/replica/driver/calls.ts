/**
 * The part of a request that is the same for commands and reads of this replica's own callers: admission up to
 * `maxWaiting` and `maxWaitingBytes`, deadlines, the pause after a refusal, cancelling, and what follows when the core
 * ends an attempt. `proposals.ts` and `reads.ts` hold the queues.
 *
 * Invariant: every call ends exactly once: answered, served or failed.
 */

import { itemsDue, itemsKeyed, itemsOf, type Book, type BookItem } from '../../core/book.js';
import { assert } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import { leastPatience } from '../../core/tuning.js';
import type { Milliseconds, Outcome, Reason, RequestNumber } from '../../core/protocol.js';
import { guarded } from './halt.js';
import { PartDraft } from './part-draft.js';
import { commandBytes } from './commands.js';
import type { DriverEvent, DriverPhase, Failure, PendingCall, PendingCommand } from './state.js';

/** How long the driver asks the core nothing after the core refused a request: at first, doubled by each refusal. */
const REFUSAL_PAUSE: Milliseconds = 20;

/** An attempt of a read or of a session's opening is made again after so many of the longest election timeouts. */
const ATTEMPT_TIMEOUTS = 2;

/** The reasons for which the core is asked nothing for a while: it would refuse again. */
const PAUSING: ReadonlySet<Reason> = new Set(['busy', 'notLeader', 'noLeader', 'unsent', 'leaderChanged']);

const BUSY: Failure = { code: 'ERR_BUSY', outcome: 'none', message: 'too many requests are waiting on this replica' };

const FULL: Failure = {
  code: 'ERR_STORAGE_FULL',
  outcome: 'none',
  message: 'the storage of this replica is full, and takes no commands until there is space',
};

/** Chooses calls of a book. */
export type CallChoice = <C extends BookItem>(calls: Book<C>) => readonly C[];

function numbers(calls: readonly PendingCall[]): readonly number[] {
  return calls.map(({ call }) => call);
}

function isRenewal(call: PendingCall & { readonly renews?: boolean }): boolean {
  return call.renews === true;
}

/** @throws InvariantViolation */
function assertAscending(calls: readonly PendingCall[], newest: number): void {
  let last = newest;
  for (const { call } of calls) {
    assert(call > last, 'requests/callers-ascend: a later caller has a higher number');
    last = call;
  }
}

/** The callers whose requests an event brings. */
export function callsIn(event: DriverEvent): readonly number[] {
  if (event.kind === 'propose') return numbers(event.commands);
  if (event.kind === 'read') return numbers(event.calls);
  return event.kind === 'transfer' || event.kind === 'compact' ? [event.call.call] : [];
}

/** Attempts that the core has ended without success, by request; `true` if one may still take effect. */
export type EndedCalls = ReadonlyMap<RequestNumber, boolean>;

/** @see CallsDraft */
export interface CallsState {
  /** Until then the core is asked nothing, since it has refused a request. */
  readonly pausedUntil: Milliseconds;
  /** Until then it is asked for no command, since the leader's storage is full; reads need no space. */
  readonly fullUntil: Milliseconds;
  /** How long the next pause of each kind is; refusals that follow one another double it. */
  readonly pause: Milliseconds;
  readonly fullPause: Milliseconds;
  /** The storage has no more space: no new command is taken. */
  readonly storageFull: boolean;
}

export const noCalls: CallsState = {
  pausedUntil: -Infinity,
  fullUntil: -Infinity,
  pause: REFUSAL_PAUSE,
  fullPause: REFUSAL_PAUSE,
  storageFull: false,
};

/**
 * The failure with which a replica in this phase refuses requests; `null` while it takes them.
 * @param leaving it is about to close
 */
export function refusalOf(phase: DriverPhase, leaving = false): Failure | null {
  switch (phase.kind) {
    case 'establishing':
    case 'running':
      return leaving ? { code: 'ERR_CLOSED', outcome: 'none', message: 'the replica is closing' } : null;
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

export class CallsDraft extends PartDraft<CallsState> {
  declare private endedAttempts: Map<RequestNumber, boolean> | undefined;

  protected override copy(state: CallsState): Mutable<CallsState> {
    const { pausedUntil, fullUntil, pause, fullPause, storageFull } = state;
    return { pausedUntil, fullUntil, pause, fullPause, storageFull };
  }

  /** The deadline of an attempt that begins now. */
  get attemptDeadline(): Milliseconds {
    return this.draft.now + ATTEMPT_TIMEOUTS * this.draft.options.timing.electionMax;
  }

  propose(commands: readonly PendingCommand[]): void {
    const { proposals } = this.draft;
    const admitted = this.admit(commands, proposals.newest);
    if (!this.state.storageFull) return proposals.queue(this.admitBytes(admitted));
    this.draft.fail(numbers(admitted.filter((command) => !isRenewal(command))), FULL);
    proposals.queue(admitted.filter(isRenewal));
  }

  /** The storage has run out of space, or has some again. What waits here goes on waiting. */
  storageFull(full: boolean): void {
    if (full === this.state.storageFull) return;
    this.edit().storageFull = full;
    this.draft.snapshots.spaceChanged(full);
    this.draft.toCore({ kind: 'storageFull', now: this.draft.now, full });
  }

  /** The core has just started: it is told what it has missed. */
  coreStarted(): void {
    if (this.state.storageFull) this.draft.toCore({ kind: 'storageFull', now: this.draft.now, full: true });
  }

  read({ calls, minIndex, by = 'leader', maxAge = Infinity }: Extract<DriverEvent, { kind: 'read' }>): void {
    const { reads } = this.draft;
    const admitted = this.admit(calls, minIndex === null && by === 'leader' ? reads.newest : -Infinity);
    if (admitted.length === 0) return;
    const canAsk = by === 'quorum' ? this.draft.phase.kind === 'running' : this.isFed;
    if (by !== 'leader' && canAsk) reads.ask(admitted, by);
    else if (by !== 'leader') reads.queueAmong(admitted);
    else if (minIndex === null) reads.queue(admitted);
    else if (maxAge === Infinity) reads.wait(minIndex, admitted);
    else reads.waitFresh(minIndex, maxAge, admitted);
  }

  /**
   * Returns the new calls that there is room for, and fails the others.
   * @param newest the number that all of them must lie above, or the books would lose what they hold
   */
  private admit<C extends PendingCall>(calls: readonly C[], newest: number): readonly C[] {
    const { draft } = this;
    // A replica that halts here refuses them below: they have no effect.
    if (refusalOf(draft.phase) === null) guarded(draft, () => assertAscending(calls, newest));
    const refusal = refusalOf(draft.phase, draft.transfers.state.leaving !== null);
    if (refusal !== null) {
      draft.fail(numbers(calls), refusal);
      return [];
    }
    const { maxWaiting } = draft.options;
    const room = Math.max(0, maxWaiting - draft.proposals.state.count - draft.reads.state.count);
    return this.firstOf(calls, room);
  }

  /** So many calls, and all renewals; the others fail. */
  private firstOf<C extends PendingCall>(calls: readonly C[], count: number): readonly C[] {
    if (count >= calls.length) return calls;
    const rest = calls.slice(count);
    this.draft.fail(numbers(rest.filter((call) => !isRenewal(call))), BUSY);
    return [...calls.slice(0, count), ...rest.filter(isRenewal)];
  }

  /** Returns the commands whose bytes there is room for, and fails the others. */
  private admitBytes(commands: readonly PendingCommand[]): readonly PendingCommand[] {
    const { draft } = this;
    let left = draft.options.maxWaitingBytes - draft.proposals.state.bytes;
    let count = 0;
    while (count < commands.length && (left -= commandBytes(commands[count] as PendingCommand)) >= 0) count++;
    return this.firstOf(commands, count);
  }

  /** Whether the core can take requests now. */
  private get isFed(): boolean {
    const { phase, leadership, now } = this.draft;
    return phase.kind === 'running' && leadership.state.leader !== null && now >= this.state.pausedUntil;
  }

  /** Whether it can take commands, too. */
  get takesCommands(): boolean {
    return this.isFed && this.draft.now >= this.state.fullUntil;
  }

  /** Passes queued requests to the core if it can take any; called once at the end of every event. */
  feed(): void {
    if (!this.isFed) return;
    const { session, proposals, reads } = this.draft;
    if (this.takesCommands) {
      session.open();
      proposals.feed();
    }
    reads.feed();
  }

  /**
   * The core has ended these attempts. An attempt that ended as committed changes nothing here: when its entry is
   * applied, the session table says whether the command took effect and with which result.
   */
  attemptsEnded(requests: readonly RequestNumber[], outcome: Outcome): void {
    if (outcome.kind === 'committed') {
      this.draft.proposals.committed(requests);
      return this.committed();
    }
    if (this.draft.transfers.ended(requests, outcome)) return;
    if (PAUSING.has(outcome.reason)) this.pause('pausedUntil', 'pause');
    else if (outcome.reason === 'storageFull') this.pause('fullUntil', 'fullPause');
    this.endedAttempts ??= new Map();
    for (const request of requests) this.endedAttempts.set(request, outcome.kind === 'unknown');
  }

  /** Refusals that come during a pause, of what had left before it, are one with the refusal that began it. */
  private pause(until: 'pausedUntil' | 'fullUntil', length: 'pause' | 'fullPause'): void {
    const { now, options } = this.draft;
    if (now < this.state[until]) return;
    const next = this.edit();
    next[until] = now + next[length];
    next[length] = Math.min(2 * next[length], leastPatience(options.timing));
  }

  /** What the pause was for is over: there is another leader, or room. */
  resume(): void {
    const { now } = this.draft;
    const { pausedUntil, fullUntil } = this.state;
    if (now >= pausedUntil && now >= fullUntil) return;
    const next = this.edit();
    next.pausedUntil = Math.min(pausedUntil, now);
    next.fullUntil = Math.min(fullUntil, now);
  }

  /** Once all that a leader took of its own callers is committed, there is room for what it refused. */
  private committed(): void {
    const { leadership, options, proposals } = this.draft;
    if (leadership.state.leader !== options.id || proposals.state.window.groups !== null) return;
    this.goOn();
    this.resume();
  }

  /** The leader took a request: the next pause is short again. For a read it needs no space. */
  goOn(isRead = false): void {
    const { pause, fullPause } = this.state;
    if (pause !== REFUSAL_PAUSE) this.edit().pause = REFUSAL_PAUSE;
    if (!isRead && fullPause !== REFUSAL_PAUSE) this.edit().fullPause = REFUSAL_PAUSE;
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
    const message = `the read was not served in time${draft.identity.delay}`;
    const timeout = { code: 'ERR_TIMEOUT', message } as const;
    const requests = [...ended, ...draft.reads.end(choice, { ...timeout, ...failure, outcome: 'none' })];
    if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
  }

  /** These callers wait no longer: their signals have aborted. */
  cancel(gone: readonly number[]): void {
    this.draft.transfers.cancel(gone);
    this.draft.compactions.cancel(gone);
    this.end((calls) => itemsKeyed(calls, gone), null, true);
  }

  /** Ends every call, since the replica stops or takes no part any more. */
  endAll(failure: Failure): void {
    this.takeBack();
    this.draft.transfers.endAll(failure);
    this.draft.compactions.endAll(failure);
    this.end(itemsOf, failure, false);
  }

  /** Ends the calls whose deadline has passed; on a tick, when all that had arrived before is handled. */
  expire(): void {
    const { now } = this.draft;
    this.draft.transfers.expire();
    this.end((calls) => itemsDue(calls, now), null, false);
  }
}
