/**
 * Log time, the same in both protocols: every entry carries a stamp, in milliseconds since the epoch, by which whatever
 * expires does so. A minority of bad clocks moves it nowhere.
 *
 * The host tells by how much its wall clock is ahead of its monotonic one, and followers tell their wall clock in the
 * answers that elections and heartbeats bring. A candidate, and the leader that it becomes, keeps for each peer the
 * difference to its own monotonic clock at arrival: a time that the peer's clock has reached for certain. It stamps
 * what it appends with the highest time that a majority of all voters have reached (time/majority-reached), but not
 * below the newest stamp that it knows, carried on by its monotonic clock (time/stamps-carry-on). A value that is
 * proposed again keeps its stamp (time/stamp-is-value).
 *
 * A state machine may ask to be woken at a time: a leader whose stamp would reach it appends a no-op, unless an entry
 * has reached it already (time/wake-by-noop).
 */

import type { AnyDraft } from './draft.js';
import { MAX_TIME } from './entries.js';
import type { ReplicaId } from './members.js';
import type { Entry, Milliseconds } from './protocol.js';
import { majorityReached } from './quorum.js';
import type { CoreOptions, CoreState } from './state.js';

/** A leader says so when its own wall clock is further away from log time, in milliseconds. */
export const CLOCK_BOUND = 10_000;

/** By so many milliseconds a peer's clock may fall behind what is known of it before that is noted. */
const JITTER = 10;

/** What is known of the clocks of a cluster, each as the milliseconds that it is ahead of the own monotonic one. */
export interface Clocks {
  /** The own wall clock; `-Infinity` when the host knows none. */
  readonly own: Milliseconds;
  /** Those of the peers, in the order of `CoreOptions.others`; `-Infinity` for one that was not heard. */
  readonly heard: readonly Milliseconds[];
  /** What a majority of all voters have reached. */
  readonly reached: Milliseconds;
  /** A leader has said that its own clock is far from log time. */
  readonly isOff: boolean;
}

/** When the state machine is to be woken. */
export interface Wake {
  /** In log time; `Infinity` for never. */
  readonly at: Milliseconds;
  /** By the monotonic clock: a leader appends no no-op for it before. */
  readonly notBefore: Milliseconds;
}

export const neverWake: Wake = { at: Infinity, notBefore: -Infinity };

/** The clocks of a replica that has heard nobody. @param own `-Infinity` when the host knows none */
export function clocksAtStart({ others }: CoreOptions, own: Milliseconds): Clocks {
  return withReached(
    own,
    others.map(() => -Infinity),
    false,
  );
}

function withReached(own: Milliseconds, heard: readonly Milliseconds[], isOff: boolean): Clocks {
  return { own, heard, reached: majorityReached([own, ...heard]), isOff };
}

/** The host tells by how much its wall clock is ahead of its monotonic one. */
export function onWallClock(draft: AnyDraft, ahead: Milliseconds): void {
  const { own, heard, isOff } = draft.state.clocks;
  if (ahead !== own) draft.setClocks(withReached(ahead, heard, isOff));
}

/** What the own wall clock shows, in whole milliseconds, for a message; 0 when it is not known. */
export function wallTime({ state, now }: AnyDraft): Milliseconds {
  const { own } = state.clocks;
  return own === -Infinity ? 0 : Math.min(Math.max(0, Math.floor(own + now)), MAX_TIME);
}

/** A candidate begins: whom it heard before, it must hear again. */
export function forgetClocks(draft: AnyDraft): void {
  const { options, clocks } = draft.state;
  if (clocks.isOff || clocks.heard.some((ahead) => ahead !== -Infinity)) {
    draft.setClocks(clocksAtStart(options, clocks.own));
  }
}

/** An answer of a peer tells what its wall clock showed when it left; 0 for nothing. */
export function noteClock(draft: AnyDraft, from: ReplicaId, wall: Milliseconds): void {
  if (wall === 0) return;
  const { options, clocks } = draft.state;
  const at = options.others.findIndex(({ id }) => id === from);
  const known = clocks.heard[at];
  const ahead = wall - draft.now;
  if (known === undefined || (ahead <= known && ahead > known - JITTER)) return;
  const heard = clocks.heard.slice();
  heard[at] = ahead;
  draft.setClocks(withReached(clocks.own, heard, clocks.isOff));
}

/** The highest of these stamps. */
function newestOf(entries: readonly Entry[]): Milliseconds {
  let newest = 0;
  for (let at = 0; at < entries.length; at++) {
    const { time } = entries[at] as Entry;
    if (time > newest) newest = time;
  }
  return newest;
}

/** The newest stamp of entries that a replica recovers. */
export function newestStamp(entries: readonly Entry[]): Milliseconds {
  return newestOf(entries);
}

/** Entries are appended, voted for or learned: the newest stamp known, and since when. */
export function noteStamps(draft: AnyDraft, entries: readonly Entry[]): void {
  const newest = newestOf(entries);
  if (newest > draft.state.stamp) draft.setStamp(newest);
}

/** The time that has been reached for certain, by the stamps and by the clocks of a majority; 0 while none is known. */
function timeAt({ stamp, stampedAt, clocks }: CoreState, now: Milliseconds): Milliseconds {
  const carried = stamp === 0 ? 0 : stamp + Math.max(0, now - stampedAt);
  return Math.min(MAX_TIME, Math.floor(Math.max(carried, clocks.reached + now)));
}

/** The stamp of what this leader appends now. */
export function stampNow({ state, now }: AnyDraft): Milliseconds {
  return timeAt(state, now);
}

/** At a leader's heartbeat: says whether its own wall clock is far from log time, when that changes. */
export function watchClock(draft: AnyDraft): void {
  const { own, heard, reached, isOff } = draft.state.clocks;
  const time = stampNow(draft);
  if (own === -Infinity || time === 0) return;
  const ahead = Math.floor(own + draft.now) - time;
  const isFar = Math.abs(ahead) > CLOCK_BOUND;
  if (isFar === isOff) return;
  draft.setClocks({ own, heard, reached, isOff: isFar });
  draft.event({ kind: 'clock', isOff: isFar, ahead });
}

/** By how much a leader's wall clock is ahead of log time if it is far from it; `null` otherwise. */
export function clockOffOf(state: CoreState): Milliseconds | null {
  const { clocks, now } = state;
  return clocks.isOff ? Math.floor(clocks.own + now) - timeAt(state, now) : null;
}

/** The host tells when its state machine is to be woken, in log time; `Infinity` for never. */
export function onWakeAt(draft: AnyDraft, at: Milliseconds): void {
  const { wake } = draft.state;
  if (at !== wake.at) draft.setWake({ at, notBefore: wake.notBefore });
}

/** When a leader is due to append a no-op that wakes the state machine; `Infinity` for never. */
export function wakeDeadline({ role, wake, stamp, stampedAt, clocks }: CoreState): Milliseconds {
  if (wake.at === Infinity || role.kind !== 'leader' || stamp >= wake.at) return Infinity;
  const carried = stamp === 0 ? Infinity : stampedAt + (wake.at - stamp);
  const reached = clocks.reached === -Infinity ? Infinity : wake.at - clocks.reached;
  return Math.max(wake.notBefore, Math.min(carried, reached));
}

/** What this file asks of a protocol. */
export interface WakeRules<D> {
  /** Appends a no-op with this stamp and sends it, if there is room. */
  appendNoop(draft: D, time: Milliseconds): void;
}

/** At a tick: a leader wakes the state machine, at most once a heartbeat. */
export function tickWake<D extends AnyDraft>(draft: D, rules: WakeRules<D>): void {
  const { state, now } = draft;
  const { wake, options } = state;
  if (now < wakeDeadline(state) || draft.state.role.kind !== 'leader') return;
  draft.setWake({ at: wake.at, notBefore: now + options.timing.heartbeat });
  // Nothing is appended that the target of a transfer lacks: liveness/target-holds-all.
  if (draft.leaderRole.transfer?.blocked === true) return;
  // The deadline was computed the other way round, so rounding may leave the stamp just below.
  rules.appendNoop(draft, Math.max(stampNow(draft), Math.min(wake.at, MAX_TIME)));
}
