/**
 * Random schedules over a cluster, from a seed: what can happen is drawn with weights of their own for every seed
 * (swarm testing), then everything heals and must come to rest. For tests that need bare cores in some random state or
 * another; what looks for faults is the simulator of `quorate/testing`.
 */

import { demand } from './checks.js';
import { Cluster, type ClusterOptions } from './cluster.js';
import { Dice } from './dice.js';
import type { AnyProtocol, Host } from './host.js';
import { smallLimits, timing, wideLimits } from './values.js';

/** What can happen, how often, and whether it is a fault (half of those are off in each schedule). */
const ACTIONS = {
  deliver: [46, false],
  tick: [6, false],
  sync: [13, false],
  report: [4, false],
  apply: [5, false],
  load: [4, false],
  propose: [6, false],
  read: [3, false],
  restart: [4, false],
  heal: [1.2, false],
  resume: [1, false],
  retry: [1.5, true],
  cancel: [0.7, true],
  campaign: [0.8, true],
  unreachable: [0.7, true],
  leap: [0.8, true],
  duplicate: [2.5, true],
  drop: [2.5, true],
  oneWay: [0.7, true],
  isolate: [0.5, true],
  crash: [1.3, true],
  fuse: [0.6, true],
  pause: [0.5, true],
  fail: [0.08, true],
  stop: [0.12, true],
} as const;
type Action = keyof typeof ACTIONS;
const NAMES = Object.keys(ACTIONS) as Action[];

/** An action, and two numbers that it makes of what it likes. */
export type Decision = readonly [action: Action, x: number, y: number];

/** How one schedule runs, drawn from its seed. */
function optionsOf(protocol: AnyProtocol, size: number, seed: number): ClusterOptions {
  const dice = new Dice(seed ^ 0x5eed);
  const limits = dice.roll(4) === 0 ? wideLimits : { ...smallLimits, tailEntries: 1 + dice.roll(8) };
  return { protocol, size, seed, limits, alpha: 1 + dice.roll(8), naive: dice.roll(4) === 0 };
}

export function decisionsOf(seed: number, length: number): readonly Decision[] {
  const dice = new Dice(seed);
  const weights = NAMES.map((name) => {
    const [weight, fault] = ACTIONS[name];
    return fault && dice.roll(2) === 0 ? 0 : weight * (0.5 + dice.roll(100) / 100);
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const fifo = dice.roll(3);
  return Array.from({ length }, (): Decision => {
    let left = (dice.roll(1 << 20) / (1 << 20)) * sum;
    const at = weights.findIndex((weight) => (left -= weight) < 0);
    // Mostly the oldest message, or any one: 0 stands for the oldest.
    const x = dice.roll(3) < fifo ? 0 : dice.roll(1 << 16);
    return [NAMES[Math.max(0, at)] as Action, x, dice.roll(1 << 16)];
  });
}

/** Makes one decision happen; it means nothing where it does not fit. */
export function act(cluster: Cluster, [action, x, y]: Decision): void {
  const { hosts, flights } = cluster;
  const at = y % hosts.length;
  const host = hosts[at] as Host;
  const peer = (at + 1 + (x % Math.max(1, hosts.length - 1))) % hosts.length;
  const flight = flights.length === 0 ? -1 : x % flights.length;
  const now = cluster.now(host);
  switch (action) {
    case 'deliver':
      return flight >= 0 ? cluster.deliver(flight) : cluster.nextTick();
    case 'duplicate':
      return flight >= 0 ? cluster.deliver(flight, true) : undefined;
    case 'drop':
      return flight >= 0 ? void flights.splice(flight, 1) : undefined;
    case 'tick':
      return cluster.nextTick();
    case 'leap':
      host.offset += [3, 40, 700, 1400, 5000][x % 5] as number;
      return cluster.tick(host);
    case 'sync':
      cluster.sync(host, 1 + (x % 4));
      return x % 3 > 0 ? cluster.report(host) : undefined;
    case 'report':
      return cluster.report(host);
    case 'apply':
      return cluster.apply(host, host.applied + 1 + (x % 6));
    case 'load':
      return cluster.answerLoad(host, host.loads.length === 0 ? 0 : x % host.loads.length);
    case 'propose':
      return void cluster.propose(host, 1 + (x % 4), x % 7 === 0 ? Infinity : 300 + (x % 5000));
    case 'retry':
      return void cluster.propose(host, 1, 2000, x);
    case 'read':
      return void cluster.read(host, x % 7 === 0 ? Infinity : 300 + (x % 3000));
    case 'cancel':
      return cluster.cancel(
        host,
        [...host.asked.keys()].filter((_, place) => (x >> place % 8) & 1),
      );
    case 'campaign':
      return cluster.step(host, { kind: 'campaign', now });
    case 'unreachable':
      if (peer === at) return;
      return cluster.step(host, { kind: 'unreachable', now, peer: (hosts[peer] as Host).id });
    case 'oneWay':
      return void cluster.cut.add(at * 8 + peer);
    case 'isolate':
      for (let other = 0; other < hosts.length; other++) cluster.cut.add(at * 8 + other).add(other * 8 + at);
      return;
    case 'heal':
      return cluster.cut.clear();
    case 'crash':
      return cluster.crash(host, x % (host.unsynced.length + 1));
    case 'fuse':
      return void (host.fuse = x % 5);
    case 'restart': {
      const down = hosts.find((each) => !each.up || each.silent);
      return down === undefined ? undefined : revive(cluster, down);
    }
    case 'pause':
      return void (host.paused = true);
    case 'resume':
      return hosts.forEach((each) => void (each.paused = false));
    case 'fail':
      return cluster.step(host, { kind: 'storageFailed', now, reason: 'EIO' });
    case 'stop':
      return cluster.step(host, { kind: 'stop', now });
  }
}

function revive(cluster: Cluster, host: Host): void {
  if (host.silent) cluster.crash(host, 0);
  cluster.restart(host);
}

function healAll(cluster: Cluster): void {
  cluster.cut.clear();
  for (const host of cluster.hosts) {
    host.paused = false;
    host.fuse = Infinity;
    revive(cluster, host);
  }
}

/** All have been handed everything there is, and have applied it. */
export function level(cluster: Cluster): boolean {
  const all = cluster.observer.committed.length;
  return cluster.hosts.every((host) => host.applied === all && cluster.status(host).commit === all);
}

/** Everything healed: a leader, a new command from everybody, all equal, all answered, and then nothing stirs. */
export function comeToRest(cluster: Cluster): void {
  const { hosts } = cluster;
  healAll(cluster);
  demand(
    cluster.calm(10 * timing.electionMax, () => cluster.leader() !== null),
    'liveness/leader-found: a leader is found',
  );
  const waiting = new Set(hosts);
  for (let turn = 0; turn < 8 && waiting.size > 0; turn++) {
    const asked = [...waiting].map((host) => [host, cluster.propose(host, 1, timing.electionMax)] as const);
    const ended = (): boolean => asked.every(([host, requests]) => requests.every((one) => !host.asked.has(one)));
    demand(cluster.calm(2 * timing.electionMax, ended), 'liveness/every-call-ends: a request ends');
    for (const [host, requests] of asked) {
      if (requests.every((one) => cluster.observer.acknowledged.has(one))) waiting.delete(host);
    }
    // A leader that was busy, or forwards to one that no longer leads: what is under way comes first.
    if (waiting.size > 0) cluster.calm(timing.electionMin, () => false);
  }
  demand(waiting.size === 0, 'liveness/new-command-commits: a new command of everybody is committed');
  demand(
    cluster.calm(10 * timing.electionMax, () => level(cluster)),
    'liveness/all-become-equal: all are equal',
  );
  const terms = hosts.map((host) => cluster.status(host).term);
  cluster.calm(2 * timing.electionMax, () => false);
  demand(
    hosts.every((host, at) => cluster.status(host).term === terms[at]),
    'liveness/terms-at-rest: terms are at rest',
  );
  const reads = hosts.map((host) => cluster.read(host, timing.electionMax));
  const served = (): boolean => reads.every((read) => cluster.observer.acknowledged.has(read));
  demand(cluster.calm(timing.electionMax, served), 'liveness/every-call-ends: reads at rest are served');
  for (const host of hosts) cluster.cancel(host, [...host.asked.keys()]);
}

/** All lose power at once, with whatever was not synced: nothing that was committed is lost. */
export function losePower(cluster: Cluster): void {
  for (const host of cluster.hosts) cluster.crash(host, 0);
  healAll(cluster);
  const whole = (): boolean => cluster.leader() !== null && level(cluster);
  demand(cluster.calm(20 * timing.electionMax, whole), 'history/acknowledged-is-kept: all is there again');
}

export interface Schedule {
  readonly protocol: AnyProtocol;
  readonly size: number;
  readonly seed: number;
  readonly length: number;
}

/** To look on, when a failure is being understood. */
export type See = (cluster: Cluster) => void;

function play(schedule: Schedule, decisions: readonly Decision[], see?: See): void {
  const { protocol, size, seed } = schedule;
  const cluster = new Cluster(optionsOf(protocol, size, seed));
  see?.(cluster);
  if (seed % 2 === 0) cluster.calm(3 * timing.electionMax, () => cluster.leader() !== null);
  for (const decision of decisions) act(cluster, decision);
  comeToRest(cluster);
  losePower(cluster);
}

/** The error of a run, `null` if there is none. */
export function trial(schedule: Schedule, decisions: readonly Decision[], see?: See): Error | null {
  try {
    play(schedule, decisions, see);
    return null;
  } catch (error) {
    return error as Error;
  }
}
