/**
 * Telling the silence of others from a pause of our own. A deadline that is met late by more than half
 * the smallest election timeout is first taken for a pause: the timer starts anew with a fresh draw, but not
 * twice in a row. If the next deadline passes, however late its tick, it is silence; so a slow host still elects.
 */

import { nextSeed, sampleBetween } from './random.js';
import type { Milliseconds, Timing } from './protocol.js';

export interface ElectionTimer {
  /** When silence becomes a fact, unless something is heard; `Infinity` when nobody is listened for. */
  readonly deadline: Milliseconds;
  /** The draw in force: how long a silence is borne. */
  readonly timeout: Milliseconds;
  /** A pause of ours was forgiven since something was last heard. */
  readonly forgiven: boolean;
}

/** A silence that begins now, with a draw from `seed`; go on with `nextSeed(seed)`. */
export function startElectionTimer(seed: number, now: Milliseconds, timing: Timing): ElectionTimer {
  const timeout = sampleBetween(seed, timing.electionMin, timing.electionMax);
  return { deadline: now + timeout, timeout, forgiven: false };
}

/** Something was heard: the same draw counts from now on. */
export function resetElectionTimer(electionTimer: ElectionTimer, now: Milliseconds): ElectionTimer {
  return { deadline: now + electionTimer.timeout, timeout: electionTimer.timeout, forgiven: false };
}

/**
 * What a tick at `now`, which was due at `due`, makes of it: nothing yet, silence, or a pause of ours, with the
 * timer to go on with (its draw is from `nextSeed(seed)`, the seed to keep).
 * @param due the deadline that the host was asked to tick at; a leader's is often its next heartbeat
 */
export function checkElectionTimer(
  electionTimer: ElectionTimer,
  seed: number,
  due: Milliseconds,
  now: Milliseconds,
  timing: Timing,
): 'waiting' | 'silence' | { readonly paused: ElectionTimer; readonly seed: number } {
  const late = now > due + timing.electionMin / 2;
  if (!late || electionTimer.forgiven) return now < electionTimer.deadline ? 'waiting' : 'silence';
  const next = nextSeed(seed);
  return { paused: { ...startElectionTimer(next, now, timing), forgiven: true }, seed: next };
}
