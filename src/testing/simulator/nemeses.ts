/**
 * The faults of a run. Each class of fault begins and ends at its own random times. Faults are also aimed, since
 * uniform noise misses much: at the leader, right after a write, at one link after the other. Each fault returns
 * whether it had an effect, so that only those are counted.
 */

import type { Lane, Milliseconds } from '../../core/protocol.js';
import type { FaultKind } from './plan.js';
import type { SimulatedRun } from './run.js';

/** The faults that begin at their own times; the others happen where messages and writes are scheduled. */
type Timed = Exclude<
  FaultKind,
  'loss' | 'duplicate' | 'delay' | 'reorder' | 'capsule' | 'crashAtPersist' | 'slowDisk' | 'deadPort'
>;

/** The leader if the plan aims at leaders, else any replica. */
function victim(run: SimulatedRun): number {
  const { dice, plan } = run;
  if (plan.targeted && dice.chance(0.7)) {
    const leaders = run.places().filter((place) => run.status(place)?.role === 'leader');
    if (leaders.length > 0) return dice.pick(leaders);
  }
  return dice.between(0, run.size - 1);
}

/** Cuts or heals links; does nothing after the storm. */
function cut(
  run: SimulatedRun,
  kind: 'cut' | 'heal',
  links: readonly (readonly [from: number, to: number])[],
): boolean {
  if (!run.stormy) return false;
  const others = links.filter(([from, to]) => from !== to);
  const met = others.some(([from, to]) => run.turn.link(from, to).cut !== (kind === 'cut'));
  for (const [from, to] of others) run.act({ kind, at: run.now, from: run.id(from), to: run.id(to) });
  return met;
}

/** Cuts now, and heals after a while. */
function cutFor(run: SimulatedRun, links: readonly (readonly [number, number])[], mean: Milliseconds): boolean {
  const met = cut(run, 'cut', links);
  run.later(run.dice.wait(mean), () => cut(run, 'heal', links));
  return met;
}

function linksBetween(a: readonly number[], b: readonly number[]): (readonly [number, number])[] {
  return a.flatMap((from) => b.flatMap((to) => [[from, to] as const, [to, from] as const]));
}

/** Splits the replicas into two sides; sometimes one replica still reaches one on the other side (a bridge). */
function partition(run: SimulatedRun): boolean {
  const { dice } = run;
  const order = dice.shuffle(run.places());
  const split = dice.between(1, Math.max(1, run.size - 1));
  const [left, right] = [order.slice(0, split), order.slice(split)];
  const links = linksBetween(left, dice.chance(0.3) ? right.slice(1) : right);
  return cutFor(run, dice.chance(0.3) ? links.filter(() => dice.chance(0.7)) : links, 600);
}

/** Cuts links one after the other and heals them in another order (FoundationDB's swizzle-clog). */
function swizzle(run: SimulatedRun): boolean {
  const { dice } = run;
  const all = linksBetween(run.places(), run.places());
  const some = dice.shuffle(all).slice(0, dice.between(1, Math.max(1, all.length >> 1)));
  let wait = 0;
  for (const link of some) run.later((wait += dice.wait(30)), () => cut(run, 'cut', [link]));
  for (const link of dice.shuffle(some)) run.later((wait += dice.wait(60)), () => cut(run, 'heal', [link]));
  return some.some(([from, to]) => from !== to);
}

function pause(run: SimulatedRun): boolean {
  const { dice } = run;
  const place = victim(run);
  if (!run.isUp(place) || run.turn.slot(place).paused) return false;
  run.act({ kind: 'pause', at: run.now, replica: run.id(place) });
  run.later(dice.wait(dice.pick([50, 400, 1500])), () => resume(run, place));
  return true;
}

/** Resumes a paused replica: its timers first, or the messages that waited, in any order. */
export function resume(run: SimulatedRun, place: number): void {
  if (!run.turn.slot(place).paused) return;
  const { dice } = run;
  const order = dice.pick(['sent', 'reversed', 'shuffled'] as const);
  if (dice.chance(0.5)) run.releaseBacklog(place, order, dice);
  run.act({ kind: 'resume', at: run.now, replica: run.id(place) });
  run.releaseBacklog(place, order, dice);
}

/** Wipes a disk: of at most a minority in a run, and only after all replicas have recorded each other. */
function wipe(run: SimulatedRun): boolean {
  const { dice, turn } = run;
  if (!run.places().every((place) => run.isKnown(place))) return false;
  const wiped = run.places().filter((place) => turn.slot(place).wiped !== null);
  if ((wiped.length + 1) * 2 >= run.size || turn.rules.program.kind === 'core') return false;
  const place = victim(run);
  if (turn.slot(place).wiped !== null) return false;
  run.act({ kind: 'crash', at: run.now, replica: run.id(place), keep: dice.chance(0.5) });
  run.act({ kind: 'wipe', at: run.now, replica: run.id(place) });
  return true;
}

/** All replicas crash at once. */
function powerLoss(run: SimulatedRun): boolean {
  const up = run.places().filter((place) => run.isUp(place));
  for (const place of up) run.crash(place, run.dice.chance(0.3));
  return up.length > 0;
}

const LANES: readonly Lane[] = ['control', 'bulk'];

/** Connections between two replicas are lost, on one lane or both: each end hears it at a time of its own, or not. */
function disconnect(run: SimulatedRun): boolean {
  const { dice } = run;
  const [a, b] = dice.shuffle([...new Set([victim(run), ...run.places()])].slice(0, 2 + dice.between(0, run.size)));
  if (a === undefined || b === undefined || !isAwake(run, a)) return false;
  for (const lane of dice.pick([['control'], ['bulk'], LANES] as const)) {
    run.act({ kind: 'disconnect', at: run.now, replica: run.id(a), peer: run.id(b), lane });
    const other = (): void => run.act({ kind: 'disconnect', at: run.now, replica: run.id(b), peer: run.id(a), lane });
    if (dice.chance(0.8)) run.later(dice.wait(5), other);
  }
  return true;
}

/** A transport refuses what it is given for one peer, or for all, for a while. */
function refuse(run: SimulatedRun): boolean {
  const { dice } = run;
  const from = victim(run);
  const others = dice.shuffle(run.places().filter((place) => place !== from));
  const some = dice.chance(0.5) ? others : others.slice(0, 1);
  for (const lane of dice.pick([['control'], ['bulk'], LANES] as const)) {
    for (const to of some) {
      const link = { from: run.id(from), to: run.id(to), lane };
      run.act({ kind: 'refuse', at: run.now, ...link });
      run.later(dice.wait(300), () => run.stormy && run.act({ kind: 'accept', at: run.now, ...link }));
    }
  }
  return some.length > 0;
}

/**
 * A process has ended, and its port refuses: all others lose their connections to it, cannot connect again, and hear
 * both; what they send is refused until it runs again.
 */
export function closePort(run: SimulatedRun, place: number): void {
  const peer = run.id(place);
  for (const other of run.places()) {
    if (other === place) continue;
    const replica = run.id(other);
    for (const lane of LANES) {
      run.act({ kind: 'refuse', at: run.now, from: replica, to: peer, lane });
      run.act({ kind: 'disconnect', at: run.now, replica, peer, lane });
    }
    const redialled = (): void => {
      if (!run.isUp(place)) run.act({ kind: 'unreachable', at: run.now, replica, peer });
    };
    run.later(1 + run.dice.between(0, run.weather.network.max), redialled);
  }
}

/** It runs again, and answers whoever dials. */
export function openPort(run: SimulatedRun, place: number): void {
  for (const other of run.places()) {
    const { refuses } = run.turn.link(other, place);
    for (const lane of LANES) {
      if (refuses[lane]) run.act({ kind: 'accept', at: run.now, from: run.id(other), to: run.id(place), lane });
    }
  }
}

/** Whether a replica is up and not paused. */
function isAwake(run: SimulatedRun, place: number): boolean {
  return run.isUp(place) && !run.turn.slot(place).paused;
}

/** A transfer is asked of a leader, to anyone or to the best candidate; seldom of a replica that does not lead. */
function transfer(run: SimulatedRun): boolean {
  const { dice } = run;
  const leaders = run.places().filter((place) => run.status(place)?.role === 'leader');
  const place = leaders.length > 0 && dice.chance(0.9) ? dice.pick(leaders) : dice.between(0, run.size - 1);
  const others = run.places().filter((other) => other !== place);
  const to = others.length > 0 && dice.chance(0.6) ? run.id(dice.pick(others)) : null;
  run.act({ kind: 'transfer', at: run.now, replica: run.id(place), to, timeout: dice.pick([20, 300, 3000]) });
  return isAwake(run, place) && leaders.includes(place);
}

const NEMESES: Readonly<Record<Timed, (run: SimulatedRun) => boolean>> = {
  oneWay(run) {
    const from = victim(run);
    const to = run.dice.between(0, run.size - 1);
    return cutFor(run, [run.dice.chance(0.5) ? [from, to] : [to, from]], 600);
  },
  partition,
  isolate(run) {
    const place = victim(run);
    const others = run.places().filter((other) => other !== place);
    const links = linksBetween([place], others);
    return cutFor(run, run.dice.chance(0.5) ? links : links.filter((_, at) => at % 2 === 0), 500);
  },
  swizzle,
  crash(run) {
    const place = victim(run);
    const met = run.isUp(place);
    run.crash(place, run.dice.chance(0.5));
    return met;
  },
  powerLoss,
  pause,
  leap(run) {
    const by = run.dice.pick([5, 60, 200, 1000, 5000]);
    const place = victim(run);
    run.act({ kind: 'leap', at: run.now, replica: run.id(place), by });
    return run.isUp(place);
  },
  rate(run) {
    const rate = run.dice.pick([0.5, 0.9, 1, 1.1, 2]);
    const place = victim(run);
    const met = run.turn.slot(place).clock.rate !== rate;
    run.act({ kind: 'rate', at: run.now, replica: run.id(place), rate });
    return met;
  },
  failStorage(run) {
    const place = victim(run);
    const met = run.isUp(place);
    run.act({ kind: 'failStorage', at: run.now, replica: run.id(place), keep: run.dice.chance(0.5) });
    run.later(run.dice.wait(300), () => run.revive(place));
    return met;
  },
  fullDisk(run) {
    const { dice } = run;
    const place = victim(run);
    const replica = run.id(place);
    const met = isAwake(run, place);
    run.act({ kind: 'fill', at: run.now, replica, room: dice.pick([0, 0, 2, 20]) });
    run.later(dice.wait(dice.pick([50, 400, 2000])), () => run.act({ kind: 'free', at: run.now, replica }));
    return met;
  },
  wipe,
  stop(run) {
    const place = victim(run);
    const met = isAwake(run, place);
    run.act({ kind: 'stop', at: run.now, replica: run.id(place) });
    run.later(run.dice.wait(300), () => run.revive(place));
    return met;
  },
  campaign(run) {
    const place = run.dice.between(0, run.size - 1);
    run.act({ kind: 'campaign', at: run.now, replica: run.id(place) });
    return isAwake(run, place);
  },
  disconnect,
  refuse,
  unreachable(run) {
    const place = run.dice.between(0, run.size - 1);
    const peer = run.dice.between(0, run.size - 1);
    if (peer !== place) run.act({ kind: 'unreachable', at: run.now, replica: run.id(place), peer: run.id(peer) });
    return peer !== place && isAwake(run, place);
  },
  cancel(run) {
    const place = run.dice.between(0, run.size - 1);
    const calls = run.turn.slot(place).waiting.filter(() => run.dice.chance(0.5));
    const met = calls.length > 0 && isAwake(run, place);
    if (calls.length > 0) run.act({ kind: 'cancel', at: run.now, calls });
    return met;
  },
  transfer,
  leave(run) {
    const place = victim(run);
    const met = isAwake(run, place);
    run.act({ kind: 'leave', at: run.now, replica: run.id(place), timeout: run.dice.pick([50, 500, 5000]) });
    run.later(run.dice.wait(400), () => {
      if (!run.isLeaving(place)) return;
      run.act({ kind: 'stop', at: run.now, replica: run.id(place) });
      run.later(run.dice.wait(300), () => run.revive(place));
    });
    return met;
  },
  wall,
};

/** The epoch of the world's time 0, by clocks that are right. */
const EPOCH = 1_700_000_000_000;
const HOUR = 3_600_000;

/** Wall clocks that jump, or stand still; the first time all replicas get one, most of them about right. */
function wall(run: SimulatedRun): boolean {
  const { dice } = run;
  const set = (place: number, ahead: Milliseconds): void =>
    run.act({ kind: 'wall', at: run.now, replica: run.id(place), ahead });
  const aheadOf = (place: number): Milliseconds | null => run.turn.slot(place).ahead;
  if (run.places().every((place) => aheadOf(place) === null)) {
    for (const place of run.places()) set(place, EPOCH + dice.between(-50, 50));
    return true;
  }
  const place = victim(run);
  const step = dice.pick([-365 * 24 * HOUR, -HOUR, -500, 500, HOUR, 24 * HOUR, 365 * 24 * HOUR]);
  const some = dice.chance(0.3) ? run.places() : [place];
  for (const each of some) set(each, (aheadOf(each) ?? EPOCH) + step);
  const stand = (left: number): void => {
    if (!run.stormy || left === 0) return;
    set(place, (aheadOf(place) ?? EPOCH) - 40);
    run.later(40, () => stand(left - 1));
  };
  if (dice.chance(0.3)) stand(10);
  return true;
}

/** Lets every class of fault of the plan begin by its own clock, as long as the run is stormy. */
export function unleash(run: SimulatedRun): void {
  for (const kind of Object.keys(NEMESES) as Timed[]) {
    const mean = run.plan.faults[kind];
    if (mean === undefined) continue;
    const again = (): void => {
      if (!run.stormy) return;
      if (NEMESES[kind](run)) run.fault(kind);
      run.later(run.dice.wait(mean), again);
    };
    run.later(run.dice.wait(mean), again);
  }
}
