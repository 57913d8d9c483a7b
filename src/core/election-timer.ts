/**
 * Telling the silence of others from a pause of our own. A deadline that is met late by more than half
 * the smallest election timeout is first taken for a pause: the timer starts anew with a fresh draw, but not
 * twice in a row. If the next deadline passes, however late its tick, it is silence; so a slow host still elects.
 */

import { nextSeed, sampleBetween } from './random.js';
import type { AnyDraft } from './draft.js';
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
export function newElectionTimer(seed: number, now: Milliseconds, timing: Timing): ElectionTimer {
  const timeout = sampleBetween(seed, timing.electionMin, timing.electionMax);
  return { deadline: now + timeout, timeout, forgiven: false };
}

/** Of a leader: it bears the silence of a quorum as long as any follower may bear its own. */
export function newQuorumTimer(now: Milliseconds, { electionMax }: Timing): ElectionTimer {
  return { deadline: now + electionMax, timeout: electionMax, forgiven: false };
}

/** Of a single member, which waits for nobody, and of a replica that has stopped. */
export const noElectionTimer: ElectionTimer = { deadline: Infinity, timeout: Infinity, forgiven: false };

/** Something was heard: the same draw counts from now on. */
export function withReset(electionTimer: ElectionTimer, now: Milliseconds): ElectionTimer {
  return { deadline: now + electionTimer.timeout, timeout: electionTimer.timeout, forgiven: false };
}

/**
 * What a tick at `now`, which was due at `due`, makes of it: nothing yet, silence, or a pause of ours, with the
 * timer to go on with (its draw is from `nextSeed(seed)`, the seed to keep).
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

/** A fresh draw of how long a silence is borne, from now on. */
export function startElectionTimer(draft: AnyDraft): void {
  const { seed, options } = draft.state;
  const next = nextSeed(seed);
  const isAlone = options.others.length === 0;
  draft.setElectionTimer(isAlone ? noElectionTimer : newElectionTimer(next, draft.now, options.timing), next);
}

/** A leader begins: the silence of a quorum counts from now on. */
export function startQuorumTimer(draft: AnyDraft): void {
  const { others, timing } = draft.state.options;
  draft.setElectionTimer(others.length === 0 ? noElectionTimer : newQuorumTimer(draft.now, timing));
}

/** Something was heard at `at`: the same draw counts from then on. */
export function resetElectionTimer(draft: AnyDraft, at: Milliseconds = draft.now): void {
  const { electionTimer } = draft.state;
  if (electionTimer.deadline === at + electionTimer.timeout && !electionTimer.forgiven) return;
  draft.setElectionTimer(withReset(electionTimer, at));
}

/** Whether a tick that was due at `due` finds silence. A pause of ours starts the timer anew instead. */
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
