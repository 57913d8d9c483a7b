/** What the tests and the mutants of log time have in common: clusters whose wall clocks are right, wrong, or unknown. */

import type { CoreEvent, Entry } from '../../src/core/protocol.js';
import { nextSeed, sampleBetween } from '../../src/core/random.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { othersOf } from './disturb.js';

type Protocol = SlowOptions['protocol'];

const { heartbeat, electionMax } = timing;
const EPOCH = 1_700_000_000_000;
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const ROUND_TRIP = 20;
/** How far the clocks that are right are apart at most. */
const APART = 50;

/** A cluster with wall clocks, and what its replicas deliver. */
class Clocked {
  readonly cluster: SlowCluster;
  /** What was delivered first, by index from 1 on, and the running maximum of the stamps. */
  readonly entries: Entry[] = [];
  readonly times: number[] = [];
  readonly events: CoreEvent[] = [];
  /** By how much each wall clock is ahead of true time. */
  readonly ahead = new Map<string, number>();
  private dice: number;

  constructor(protocol: Protocol, size: number, seed: number) {
    this.dice = seed;
    this.cluster = new SlowCluster({ protocol, size, roundTrip: ROUND_TRIP, write: 3, seed });
    this.cluster.delivers = (id, entries) => entries.forEach((entry) => this.deliver(id, entry));
    this.cluster.says = (_, event) => this.events.push(event);
  }

  draw(from: number, to: number): number {
    return sampleBetween((this.dice = nextSeed(this.dice)), from, to);
  }

  /** The wall clock of a replica is so much ahead of true time. */
  set(id: string, ahead: number): void {
    this.ahead.set(id, ahead);
    this.cluster.give(id, { kind: 'wallClock', ahead });
  }

  setAll(): void {
    for (const { id } of this.cluster.hosts) this.set(id, EPOCH + this.draw(-APART, APART));
  }

  leader(): string {
    const found = this.cluster.run(20 * electionMax, () => this.leading() !== null);
    demand(found, 'liveness/leader-found: a healthy cluster finds a leader');
    return this.leading() as string;
  }

  private leading(): string | null {
    const leader = this.cluster.leader();
    return this.cluster.hosts.every(({ id }) => this.cluster.status(id).leader === leader) ? leader : null;
  }

  private deliver(id: string, entry: Entry): void {
    const first = this.entries[entry.index - 1];
    if (first !== undefined) {
      const same = first.time === entry.time;
      demand(same, 'time/stamp-is-value: a stamp is the same everywhere', () => ({ id, first, entry }));
      return;
    }
    this.entries.push(entry);
    this.times.push(Math.max(this.time, entry.time));
  }

  /** Log time at what was delivered last. */
  get time(): number {
    return this.times[this.times.length - 1] ?? 0;
  }

  /** Log time as of a command that is proposed now, at the leader. */
  now(): number {
    const before = this.entries.length;
    const leader = this.leader();
    this.cluster.propose(leader, 1, 8);
    const committed = this.cluster.run(20 * electionMax, () => this.entries.length > before);
    demand(committed, 'liveness/new-command-commits: a command is committed');
    return this.time;
  }

  /** Another replica leads. */
  change(): void {
    const leader = this.leader();
    this.cluster.cut(leader);
    const others = othersOf(this.cluster, leader);
    this.cluster.run(20 * electionMax, () => others.includes(this.cluster.leader() ?? ''));
    this.cluster.run(5 * heartbeat);
    this.cluster.heal();
    this.leader();
    this.cluster.run(5 * heartbeat);
  }
}

/** Wrong clocks of a minority: by how much each is ahead of true time after so many milliseconds. */
const WRONG: readonly ((after: number) => number)[] = [
  () => YEAR,
  (after) => -after, // it stands still
  () => -YEAR,
  (after) => (Math.floor(after / 300) % 2 === 0 ? HOUR : -HOUR), // it steps
];

/** While a minority of the clocks is wrong, log time lies between what the right ones show. */
export function minorityMovesNothing(protocol: Protocol, size: number, seed: number): void {
  const clocked = new Clocked(protocol, size, seed);
  const { cluster } = clocked;
  clocked.leader();
  clocked.setAll();
  const ids = cluster.hosts.map(({ id }) => id);
  const wrong = ids.filter(() => clocked.draw(0, 1) === 0).slice(0, Math.floor((size - 1) / 2));
  const kinds = wrong.map(() => WRONG[clocked.draw(0, WRONG.length - 1)] as (typeof WRONG)[0]);
  const right = ids.filter((id) => !wrong.includes(id));
  for (let turn = 0; turn < 12; turn++) {
    wrong.forEach((id, at) => clocked.set(id, EPOCH + (kinds[at] as (typeof WRONG)[0])(cluster.now)));
    cluster.run(4 * heartbeat);
    if (turn % 4 === 3) clocked.change();
    const low = EPOCH - APART + cluster.now - 2 * ROUND_TRIP - heartbeat;
    const time = clocked.now();
    const high = EPOCH + APART + cluster.now;
    const evidence = (): unknown => ({ size, seed, wrong, right, time: [time - low, time - high] });
    demand(time >= low, 'time/majority-reached: log time is not behind the clocks that are right', evidence);
    demand(time <= high, 'time/majority-reached: log time is not ahead of the clocks that are right', evidence);
  }
  demand(
    clocked.times.every((time, at) => time >= (clocked.times[at - 1] ?? 0)),
    'time/never-falls: it never falls',
  );
}

/** All clocks step by so much: log time never falls, and goes on at its rate. */
export function allStep(protocol: Protocol, by: number): void {
  const clocked = new Clocked(protocol, 3, 1);
  const { cluster } = clocked;
  clocked.leader();
  clocked.setAll();
  cluster.run(4 * heartbeat);
  const before = clocked.now();
  const since = cluster.now;
  for (const { id } of cluster.hosts) clocked.set(id, (clocked.ahead.get(id) as number) + by);
  cluster.run(4 * heartbeat);
  const rule = 'time/stamps-carry-on: log time goes on';
  for (let turn = 0; turn < 3; turn++) {
    cluster.run(1000);
    if (turn === 1) clocked.change();
    const passed = clocked.now() - before;
    const expected = cluster.now - since + Math.max(0, by);
    const slack = 2 * APART + 4 * heartbeat + 4 * ROUND_TRIP;
    demand(Math.abs(passed - expected) <= slack, rule, () => ({ by, turn, passed, expected }));
  }
}

/** Without wall clocks every stamp is 0; a leader that has heard no majority stamps by none. */
export function unheardCountsAsNotReached(protocol: Protocol): void {
  const clocked = new Clocked(protocol, 3, 1);
  const leader = clocked.leader();
  const rule = 'time/majority-reached: a clock that was never heard has reached nothing';
  demand(clocked.now() === 0, rule);
  clocked.set(leader, EPOCH + YEAR);
  clocked.cluster.run(4 * heartbeat);
  demand(clocked.now() === 0, rule);
  const [second] = othersOf(clocked.cluster, leader);
  clocked.set(second as string, EPOCH);
  clocked.cluster.run(4 * heartbeat);
  const time = clocked.now();
  demand(time > EPOCH && time <= EPOCH + clocked.cluster.now, rule, () => ({ time }));
}

/** The clock of a leader is far from log time: it says so, once, and once when it is near again. */
export function saysThatItIsOff(protocol: Protocol): void {
  const clocked = new Clocked(protocol, 3, 1);
  const { cluster, events } = clocked;
  const leader = clocked.leader();
  clocked.setAll();
  cluster.run(4 * heartbeat);
  const told = (): readonly CoreEvent[] => events.filter(({ kind }) => kind === 'clock');
  const rule = 'time/far-clock-is-told: a leader says that its clock is far from log time';
  demand(told().length === 0 && cluster.status(leader).clockOff === null, rule);
  clocked.set(leader, EPOCH + YEAR);
  cluster.run(8 * heartbeat);
  const off = cluster.status(leader).clockOff ?? 0;
  demand(told().length === 1 && Math.abs(off - YEAR) < 1000, rule, () => ({ told: told(), off }));
  clocked.set(leader, EPOCH);
  cluster.run(8 * heartbeat);
  demand(told().length === 2 && cluster.status(leader).clockOff === null, rule, told);
}

/** The machine is to be woken: an entry reaches the time soon after it has come, and none is appended for it before. */
export function wokenInTime(protocol: Protocol): void {
  const clocked = new Clocked(protocol, 3, 1);
  const { cluster, entries } = clocked;
  clocked.leader();
  clocked.setAll();
  cluster.run(4 * heartbeat);
  const before = clocked.now();
  const count = entries.length;
  const wakeAt = before + 5000;
  for (const { id } of cluster.hosts) cluster.give(id, { kind: 'wakeAt', time: wakeAt });
  const rule = 'time/wake-by-noop: a no-op wakes the machine in time';
  cluster.run(4800);
  demand(entries.length === count, rule, () => ({ early: clocked.time - wakeAt }));
  cluster.run(500);
  const noop = entries[count];
  const reached = noop?.kind === 'noop' && noop.time >= wakeAt && noop.time <= wakeAt + 2 * ROUND_TRIP;
  demand(reached && entries.length === count + 1, rule, () => entries.slice(count));
  cluster.run(1000);
  demand(entries.length === count + 1, rule, () => entries.slice(count));
}

/** The machine asks to be woken at once, again and again: a leader appends at most one no-op a heartbeat. */
export function wokenOnceAHeartbeat(protocol: Protocol): void {
  const clocked = new Clocked(protocol, 3, 1);
  const { cluster, entries } = clocked;
  clocked.leader();
  clocked.setAll();
  cluster.run(4 * heartbeat);
  clocked.now();
  const count = entries.length;
  const { delivers } = cluster;
  cluster.delivers = (id, delivered) => {
    delivers(id, delivered);
    const { time } = delivered[delivered.length - 1] as Entry;
    cluster.give(id, { kind: 'wakeAt', time: time + 1 });
  };
  clocked.now();
  cluster.run(20 * heartbeat);
  const more = entries.length - count - 1;
  demand(more >= 15 && more <= 21, 'time/wake-by-noop: a leader wakes at most once a heartbeat', () => ({ more }));
}

/** A value of which one acceptor holds a vote is proposed again by the next leader, with its stamp (Multi-Paxos). */
export function proposedAgain(): void {
  const clocked = new Clocked(multipaxosProtocol, 3, 1);
  const { cluster, entries } = clocked;
  const leader = clocked.leader();
  clocked.setAll();
  cluster.run(4 * heartbeat);
  const before = clocked.now();
  const count = entries.length;
  // One other votes for it, and no answer comes back.
  const [first, second] = othersOf(cluster, leader) as [string, string];
  cluster.cuts.add(`${leader}>${second}`).add(`${first}>${leader}`).add(`${second}>${leader}`);
  cluster.propose(leader, 1, 8);
  cluster.run(ROUND_TRIP);
  cluster.cut(leader);
  cluster.run(20 * electionMax, () => entries.length > count);
  const again = entries[count];
  const kept = again?.kind === 'command' && again.time - before <= 2 * ROUND_TRIP;
  demand(kept, 'time/stamp-is-value: a value that is proposed again keeps its stamp', () => ({ before, again }));
}
