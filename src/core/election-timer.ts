/**
 * The election timer, and at a leader the timer of its quorum: started, reset and checked. It tells a silent leader
 * from a pause of the own host. A tick that comes later than half the smallest election timeout is first taken for a
 * pause: the timer starts again with a new random timeout, but not twice in a row. The next deadline expires the timer
 * however late its tick comes, so that a slow host still elects.
 *
 * Two rules keep split votes rare when messages and disks take nearly as long as they may: who grants a vote or a
 * promise puts off its own campaign once (liveness/grant-puts-off), and each failed election doubles the range from
 * which timeouts are drawn, until a leader is heard (liveness/spread-grows).
 */

import { nextSeed, sampleBetween } from './random.js';
import type { AnyDraft } from './draft.js';
import type { Milliseconds, Timing } from './protocol.js';
import { majorityReached } from './quorum.js';
import type { CoreLeader, CoreOptions } from './state.js';

export interface ElectionTimer {
  /** When it was started, or reset last: when a leader, or a majority, was heard. */
  readonly startedAt: Milliseconds;
  /** When the timer expires unless it is reset; `Infinity` when it does not run. */
  readonly deadline: Milliseconds;
  /** The timeout in force, drawn at random when the timer was started. */
  readonly timeout: Milliseconds;
  /** A pause of the own host was forgiven since the timer was last reset. */
  readonly forgiven: boolean;
  /** By how much the longest timeout that is drawn exceeds the shortest one. */
  readonly spread: Milliseconds;
  /** The own campaign was put off for another candidate, which is done once. */
  readonly deferred: boolean;
  /** Until then the loss of the leader's process is taken for a crash: pre-votes follow one another quickly. */
  readonly quickUntil: Milliseconds;
}

/** The spread is doubled so many times at most: whoever finds its peers again after long still campaigns soon. */
const MOST_DOUBLINGS = 2;

/** The spread of timeouts while no election has failed. */
function leastSpread({ electionMin, electionMax }: Timing): Milliseconds {
  return electionMax - electionMin;
}

/** The spread beyond which failed elections do not double it. */
export function mostSpread(timing: Timing): Milliseconds {
  return 2 ** MOST_DOUBLINGS * leastSpread(timing);
}

/** Of the least spread so much is waited longer for each higher priority that another member has. */
const PRIORITY_SHARE = 0.5;

/** A member of priority 0 waits so many of the longest election timeouts longer: then nobody else leads, it seems. */
const LAST_TIMEOUTS = 4;

type Waiting = Pick<CoreOptions, 'timing' | 'priority' | 'higherPriorities'>;

/** How much longer than the first this replica waits before it campaigns: liveness/lower-priority-waits. */
function waitOf({ timing, priority, higherPriorities }: Waiting): Milliseconds {
  const last = priority === 0 && higherPriorities > 0 ? LAST_TIMEOUTS * timing.electionMax : 0;
  return Math.ceil(higherPriorities * PRIORITY_SHARE * leastSpread(timing)) + last;
}

/** A timer started now, with a timeout drawn from `seed`; the seed to keep is `nextSeed(seed)`. */
export function newElectionTimer(
  seed: number,
  now: Milliseconds,
  options: Waiting,
  spread: Milliseconds = leastSpread(options.timing),
): ElectionTimer {
  const { timing } = options;
  const timeout = sampleBetween(seed, timing.electionMin, timing.electionMin + spread) + waitOf(options);
  return timerOf(now, timeout, spread);
}

/** A timer started at `at`. */
function timerOf(at: Milliseconds, timeout: Milliseconds, spread: Milliseconds): ElectionTimer {
  const deadline = at + timeout;
  return {
    startedAt: at,
    deadline,
    timeout,
    forgiven: false,
    spread,
    deferred: false,
    quickUntil: 0,
  };
}

/** A leader's timer, started now: it runs as long as the longest election timeout of a follower. */
export function newQuorumTimer(now: Milliseconds, timing: Timing): ElectionTimer {
  return timerOf(now, timing.electionMax, leastSpread(timing));
}

/** The timer of a single member, and of a replica that has stopped: it never expires. */
export const noElectionTimer: ElectionTimer = { ...timerOf(0, Infinity, 0), startedAt: -Infinity };

/** The timer reset at `now`, with the same timeout. */
export function withReset({ timeout, spread }: ElectionTimer, now: Milliseconds): ElectionTimer {
  return timerOf(now, timeout, spread);
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
  options: Waiting,
): 'waiting' | 'expired' | { readonly paused: ElectionTimer; readonly seed: number } {
  const late = now > due + options.timing.electionMin / 2;
  if (!late || electionTimer.forgiven) return now < electionTimer.deadline ? 'waiting' : 'expired';
  const next = nextSeed(seed);
  return { paused: { ...newElectionTimer(next, now, options, electionTimer.spread), forgiven: true }, seed: next };
}

/** Starts the election timer with a new random timeout, out of this spread. */
export function startElectionTimer(draft: AnyDraft, spread: Milliseconds = draft.state.electionTimer.spread): void {
  const { seed, options } = draft.state;
  const next = nextSeed(seed);
  const isAlone = options.others.length === 0;
  draft.setElectionTimer(isAlone ? noElectionTimer : newElectionTimer(next, draft.now, options, spread), next);
}

/** Starts the timer of a candidate. It expires when this election has failed, so it is drawn from a doubled spread. */
export function startCampaignTimer(draft: AnyDraft): void {
  const { electionTimer, options } = draft.state;
  startElectionTimer(draft, Math.min(2 * electionTimer.spread, mostSpread(options.timing)));
}

/**
 * This replica supports another candidate: it puts off its own campaign by half the smallest election timeout, within
 * which the other one leads if the timing assumption holds. Once only, until a leader is heard or it has campaigned
 * itself: a candidate that hears nobody must not hold up the others (liveness/grant-puts-off).
 */
export function deferCampaign(draft: AnyDraft): void {
  const { electionTimer, options } = draft.state;
  if (electionTimer.deferred) return;
  const deadline = Math.max(electionTimer.deadline, draft.now) + options.timing.electionMin / 2;
  draft.setElectionTimer({ ...electionTimer, deadline, deferred: true });
}

/**
 * The leader's process is gone, as far as this replica can see: it asks for pre-votes after a short random delay, and
 * again soon if the others have not noticed yet, for as long as the leader's own heartbeats would have been waited for.
 * A lower priority waits longer here, too.
 */
export function expireSoon(draft: AnyDraft): void {
  const { electionTimer, seed, options } = draft.state;
  const { heartbeat, electionMin } = options.timing;
  if (options.priority === 0 && options.higherPriorities > 0) return; // the others come first
  const soon = sampleBetween(seed, 0, heartbeat / 2) + (options.higherPriorities * heartbeat) / 2;
  const deadline = Math.min(electionTimer.deadline, draft.now + soon);
  draft.setElectionTimer({ ...electionTimer, deadline, quickUntil: draft.now + electionMin }, nextSeed(seed));
}

/** The own grant ends first: the timer expires soon after it. */
export function waitForGrant(draft: AnyDraft): void {
  const { electionTimer, seed, options, bound } = draft.state;
  const deadline = bound.until + sampleBetween(seed, 0, options.timing.heartbeat);
  draft.setElectionTimer({ ...electionTimer, deadline, forgiven: false }, nextSeed(seed));
}

/** Starts the timer of a round of pre-votes after a crash: whoever does not answer in time is asked again. */
export function startQuickTimer(draft: AnyDraft): void {
  const { electionTimer, seed, options } = draft.state;
  const { heartbeat, electionMin } = options.timing;
  const deadline = draft.now + electionMin / 2 + sampleBetween(seed, 0, heartbeat);
  draft.setElectionTimer({ ...electionTimer, startedAt: draft.now, deadline, forgiven: false }, nextSeed(seed));
}

/** A member has not noticed the crash yet: it is asked again soon. */
export function askAgainSoon(draft: AnyDraft): void {
  const { electionTimer, seed, options } = draft.state;
  if (draft.now >= electionTimer.quickUntil) return;
  const { heartbeat } = options.timing;
  const deadline = Math.min(electionTimer.deadline, draft.now + sampleBetween(seed, heartbeat / 2, heartbeat));
  draft.setElectionTimer({ ...electionTimer, deadline }, nextSeed(seed));
}

/** Starts the quorum timer of a new leader. */
export function startQuorumTimer(draft: AnyDraft): void {
  const { others, timing } = draft.state.options;
  draft.setElectionTimer(others.length === 0 ? noElectionTimer : newQuorumTimer(draft.now, timing));
}

/**
 * A leader was heard, or a quorum: resets the timer as of `at`. The timeout stays, unless elections had failed. A round
 * of pre-votes that this replica has begun for itself is over.
 */
export function resetElectionTimer(draft: AnyDraft, at: Milliseconds = draft.now): void {
  const { electionTimer, options, preVoting } = draft.state;
  if (preVoting !== null && preVoting.handover === null) draft.setPreVoting(null);
  const { startedAt, deadline, timeout, forgiven, spread, deferred, quickUntil } = electionTimer;
  const least = leastSpread(options.timing);
  if (spread > least) return startElectionTimer(draft, least);
  const asNew = !forgiven && !deferred && quickUntil === 0;
  if (asNew && startedAt === at && deadline === at + timeout) return;
  draft.setElectionTimer(withReset(electionTimer, at));
}

/** When a majority had last answered a leader, itself included. */
export function majorityAnsweredAt({ peers }: CoreLeader, now: Milliseconds): Milliseconds {
  const times = [now];
  for (const { answeredAt } of peers) times.push(answeredAt);
  return majorityReached(times);
}

/** At a leader's tick: resets the quorum timer as of the time at which a majority had last answered. */
export function resetQuorumTimer(draft: AnyDraft): void {
  const since = majorityAnsweredAt(draft.state.role as CoreLeader, draft.now);
  const { deadline, timeout } = draft.state.electionTimer;
  if (since + timeout > deadline) resetElectionTimer(draft, since);
}

/** An election goes on: the timer starts again, with the same timeout. */
export function restartElectionTimer(draft: AnyDraft): void {
  const { electionTimer } = draft.state;
  const deadline = draft.now + electionTimer.timeout;
  if (deadline === electionTimer.deadline && !electionTimer.forgiven) return;
  draft.setElectionTimer({ ...electionTimer, deadline, forgiven: false });
}

/** Whether the timer has expired at a tick due at `due`. After a pause of the own host it is started again instead. */
export function checkElectionTimer(draft: AnyDraft, due: Milliseconds): boolean {
  const { electionTimer, seed, options, role } = draft.state;
  if (options.others.length === 0) return false;
  const verdict = electionTimerAt(electionTimer, seed, due, draft.now, options);
  if (typeof verdict === 'string') return verdict === 'expired';
  const isLeader = role.kind === 'leader';
  const paused = isLeader ? { ...newQuorumTimer(draft.now, options.timing), forgiven: true } : verdict.paused;
  draft.setElectionTimer(paused, verdict.seed);
  return false;
}
