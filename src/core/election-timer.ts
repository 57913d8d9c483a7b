/**
 * The election timer, and at a leader the timer of its quorum: started, reset and checked. It tells a silent leader
 * from a pause of the own host. A tick that comes later than half the smallest election timeout is first taken for a
 * pause: the timer starts again with a new random timeout, but not twice in a row. The next deadline expires the timer
 * however late its tick comes, so that a slow host still elects.
 */

import { nextSeed, sampleBetween } from './random.js';
import type { AnyDraft } from './draft.js';
import type { Milliseconds, Timing } from './protocol.js';

export interface ElectionTimer {
  /** When the timer expires unless it is reset; `Infinity` when it does not run. */
  readonly deadline: Milliseconds;
  /** The timeout in force, drawn at random when the timer was started. */
  readonly timeout: Milliseconds;
  /** A pause of the own host was forgiven since the timer was last reset. */
  readonly forgiven: boolean;
}

/** A timer started now, with a timeout drawn from `seed`; the seed to keep is `nextSeed(seed)`. */
export function newElectionTimer(seed: number, now: Milliseconds, timing: Timing): ElectionTimer {
  const timeout = sampleBetween(seed, timing.electionMin, timing.electionMax);
  return { deadline: now + timeout, timeout, forgiven: false };
}

/** A leader's timer, started now: it runs as long as the longest election timeout of a follower. */
export function newQuorumTimer(now: Milliseconds, { electionMax }: Timing): ElectionTimer {
  return { deadline: now + electionMax, timeout: electionMax, forgiven: false };
}

/** The timer of a single member, and of a replica that has stopped: it never expires. */
export const noElectionTimer: ElectionTimer = { deadline: Infinity, timeout: Infinity, forgiven: false };

/** The timer reset at `now`, with the same timeout. */
export function withReset(electionTimer: ElectionTimer, now: Milliseconds): ElectionTimer {
  return { deadline: now + electionTimer.timeout, timeout: electionTimer.timeout, forgiven: false };
}

/**
 * The timer at a tick: still waiting, expired, or started again after a pause of the own host (with a timeout drawn
 * from `nextSeed(seed)`, the seed to keep).
 * @param due the deadline that the host was asked to tick at; a leader's is often its next heartbeat
 */
export function electionTimerAt(
  electionTimer: ElectionTimer,
  seed: number,
  due: Milliseconds,
  now: Milliseconds,
  timing: Timing,
): 'waiting' | 'expired' | { readonly paused: ElectionTimer; readonly seed: number } {
  const late = now > due + timing.electionMin / 2;
  if (!late || electionTimer.forgiven) return now < electionTimer.deadline ? 'waiting' : 'expired';
  const next = nextSeed(seed);
  return { paused: { ...newElectionTimer(next, now, timing), forgiven: true }, seed: next };
}

/** Starts the election timer with a new random timeout. */
export function startElectionTimer(draft: AnyDraft): void {
  const { seed, options } = draft.state;
  const next = nextSeed(seed);
  const isAlone = options.others.length === 0;
  draft.setElectionTimer(isAlone ? noElectionTimer : newElectionTimer(next, draft.now, options.timing), next);
}

/** Starts the quorum timer of a new leader. */
export function startQuorumTimer(draft: AnyDraft): void {
  const { others, timing } = draft.state.options;
  draft.setElectionTimer(others.length === 0 ? noElectionTimer : newQuorumTimer(draft.now, timing));
}

/** Resets the timer as of `at`, with the same timeout. */
export function resetElectionTimer(draft: AnyDraft, at: Milliseconds = draft.now): void {
  const { electionTimer } = draft.state;
  if (electionTimer.deadline === at + electionTimer.timeout && !electionTimer.forgiven) return;
  draft.setElectionTimer(withReset(electionTimer, at));
}

/** Whether the timer has expired at a tick due at `due`. After a pause of the own host it is started again instead. */
export function checkElectionTimer(draft: AnyDraft, due: Milliseconds): boolean {
  const { electionTimer, seed, options, role } = draft.state;
  if (options.others.length === 0) return false;
  const verdict = electionTimerAt(electionTimer, seed, due, draft.now, options.timing);
  if (typeof verdict === 'string') return verdict === 'expired';
  const isLeader = role.kind === 'leader';
  const paused = isLeader ? { ...newQuorumTimer(draft.now, options.timing), forgiven: true } : verdict.paused;
  draft.setElectionTimer(paused, verdict.seed);
  return false;
}
