/** What the tests and the mutants of transfers have in common. */

import type { Outcome } from '../../src/core/protocol.js';
import { exchangeBound, transferPatience } from '../../src/core/tuning.js';
import type { SlowCluster, SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { led, othersOf, type World } from './disturb.js';

const { electionMin, electionMax } = timing;

/** Five times there and back, and five syncs one after the other. */
export function fewExchanges({ roundTrip = 2, write = 0 }: World): number {
  return 5 * (roundTrip + write) + 10;
}

/** How a transfer ended, after so much time at most. */
export function endOf(cluster: SlowCluster, id: string, request: number, time: number): Outcome | undefined {
  const { ends } = cluster.host(id);
  cluster.run(time, () => ends.has(request));
  return ends.get(request);
}

/** A transfer while the leader is busy: the target leads within a few exchanges, by one campaign, without pre-votes. */
export function transferUnderLoad(protocol: SlowOptions['protocol'], world: World, seed = 1): void {
  const { cluster, leader } = led(protocol, world, seed);
  const target = othersOf(cluster, leader)[seed % 2] as string;
  cluster.sent.delete('preVote');
  for (let at = 0; at < 20; at++) {
    cluster.propose(leader, 5, 100);
    cluster.run(1);
  }
  const begun = cluster.now;
  const request = cluster.transfer(leader, target);
  // The load does not end before the transfer does.
  for (let at = 0; at < electionMax && !cluster.host(leader).ends.has(request); at++) {
    cluster.propose(leader, 5, 100);
    cluster.run(1);
  }
  const end = endOf(cluster, leader, request, electionMax);
  demand(end?.kind === 'transferred', 'liveness/target-holds-all: a target that holds all takes over', () => end);
  cluster.run(electionMax, () => cluster.leader() === target);
  const won = cluster.host(target).events.find(({ at, role }) => at >= begun && role === 'leader');
  const took = (won?.at ?? Infinity) - begun;
  demand(took <= fewExchanges(world), 'liveness/handover-passes-stickiness: it takes a few exchanges', () => took);
  demand(cluster.campaigns(begun) === 1, 'liveness/handover-passes-stickiness: one campaign is enough');
  demand(!cluster.sent.has('preVote'), 'liveness/handover-passes-stickiness: nobody is asked for a pre-vote');
  cluster.propose(target, 1, 10);
  const last = (): number => cluster.status(target).last;
  const level = (): boolean => cluster.hosts.every(({ id }) => cluster.status(id).commit === last());
  demand(cluster.run(electionMax, level), 'liveness/all-become-equal: all are level after a transfer');
}

/** A target far away, within the timing assumption, takes over under load in the time that is given by default. */
export function farTargetTakesOver(protocol: SlowOptions['protocol']): void {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 2, write: 5 });
  const [target] = othersOf(cluster, leader) as [string];
  const far = 0.4 * exchangeBound(timing);
  cluster.delays = (from, to) => (from === target || to === target ? far : 0);
  const load = (): void => {
    cluster.propose(leader, 1, 100);
    cluster.run(1);
  };
  for (let at = 0; at < electionMax; at++) load();
  const request = cluster.transfer(leader, target, transferPatience(timing));
  const { ends } = cluster.host(leader);
  for (let at = 0; at < 4 * electionMax && !ends.has(request); at++) load();
  const end = ends.get(request);
  demand(end?.kind === 'transferred', 'liveness/target-holds-all: also a target far away takes over', () => end);
}

/** A target that lags is caught up first, and takes over at the first attempt. */
export function catchesUpFirst(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  const [target] = othersOf(cluster, leader) as [string];
  cluster.cut(target);
  for (let at = 0; at < 40; at++) cluster.propose(leader, 10, 2000);
  cluster.run(electionMin / 2);
  cluster.heal();
  const request = cluster.transfer(leader, target);
  const { last } = cluster.status(leader);
  cluster.propose(leader, 10, 100);
  const taken = cluster.status(leader).last === last + 10;
  demand(taken, 'liveness/target-holds-all: a leader takes proposals while the target is caught up');
  const begun = cluster.now;
  const end = endOf(cluster, leader, request, 10 * electionMax);
  demand(end?.kind === 'transferred', 'liveness/target-holds-all: a target that lags is caught up', () => end);
  cluster.run(electionMax, () => cluster.leader() !== null);
  demand(cluster.leader() === target, 'liveness/target-holds-all: the target leads', () => cluster.leader());
  demand(cluster.campaigns(begun) === 1, 'liveness/target-holds-all: it takes over at once');
}

/** A named target dies as soon as it was handed the leadership: proposals wait no longer than for a silent peer. */
export function silentTargetIsGivenUp(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  const [target] = othersOf(cluster, leader) as [string];
  cluster.kill(target);
  const request = cluster.transfer(leader, target, 10 * electionMax);
  const end = endOf(cluster, leader, request, electionMin);
  const rule = 'liveness/silent-target-is-given-up: ';
  demand(end?.kind === 'unknown' && end.reason === 'noTarget', `${rule}nobody waits for who is silent`, () => end);
  demand(cluster.leader() === leader, `${rule}the leader leads on`, () => cluster.leader());
  const { commit } = cluster.status(leader);
  cluster.propose(leader, 1, 10);
  const goesOn = cluster.run(electionMin, () => cluster.status(leader).commit > commit);
  demand(goesOn, `${rule}and takes proposals`);
}

/** Of two targets with slow disks the leader hears late of the first one's ballot: it does not campaign against it. */
export function slowDisksTakeOver(protocol: SlowOptions['protocol'], seed: number): void {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 2, write: 1 }, seed);
  cluster.laterWrites = (id) => (id === leader ? 0 : 0.95 * electionMin);
  const begun = cluster.now;
  cluster.loses = (_, to, { kind }) => kind === 'nack' && to === leader && cluster.now < begun + 0.55 * electionMin;
  cluster.transfer(leader);
  cluster.run(2 * electionMax);
  const { events } = cluster.host(leader);
  const again = events.filter(({ at, role }) => at > begun && role !== 'follower');
  demand(again.length === 0, 'liveness/target-is-waited-for: the leader does not campaign', () => again);
  const isOther = ![null, leader].includes(cluster.leader());
  demand(isOther, 'liveness/target-is-waited-for: one of the targets leads', () => cluster.leader());
}

/** A target whose disk is slow is waited for by the leader that handed over: it leads after one campaign. */
export function slowDiskTakesOver(protocol: SlowOptions['protocol'], seed: number): void {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 2, write: 1 }, seed);
  const [target] = othersOf(cluster, leader) as [string];
  cluster.laterWrites = (id) => (id === target ? electionMin / 3 : 0);
  const begun = cluster.now;
  cluster.transfer(leader, target);
  for (let at = 0; at < 2 * electionMax; at += 20) {
    cluster.propose(cluster.leader() ?? leader, 2, 100);
    cluster.run(20);
  }
  const rule = 'liveness/target-is-waited-for: ';
  demand(cluster.leader() === target, `${rule}a target with a slow disk leads`, () => cluster.leader());
  const campaigns = cluster.campaigns(begun);
  demand(campaigns === 1, `${rule}nobody campaigns against it`, () => campaigns);
}

/** A replica that leaves does not campaign, whatever happens, and takes no leadership over. */
export function leavesAlone(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  const [leaver] = othersOf(cluster, leader) as [string];
  cluster.give(leaver, { kind: 'leave' });
  const begun = cluster.now;
  const end = endOf(cluster, leader, cluster.transfer(leader, leaver, electionMax), 2 * electionMax);
  demand(end?.kind === 'none', 'liveness/leaving-leads-not: a replica that leaves takes no Handover', () => end);
  cluster.give(leaver, { kind: 'campaign' });
  cluster.kill(leader);
  const replaced = (): boolean => cluster.leader() !== null;
  cluster.run(10 * electionMax, replaced);
  const campaigned = cluster.host(leaver).events.filter(({ at, role }) => at >= begun && role !== 'follower');
  demand(campaigned.length === 0, 'liveness/leaving-leads-not: a replica that leaves does not campaign');
  const isOther = ![null, leader, leaver].includes(cluster.leader());
  demand(isOther, 'liveness/leaving-leads-not: another one leads', () => cluster.leader());
}

/** A leader that leaves while its transfer waits for a member that does not hear it: another one takes over. */
export function leavesDuringTransfer(protocol: SlowOptions['protocol'], world: World, time = Infinity): void {
  const { cluster, leader } = led(protocol, world);
  const [gone] = othersOf(cluster, leader) as [string];
  cluster.kill(gone);
  const request = cluster.transfer(leader, gone, time);
  cluster.run(1);
  cluster.give(leader, { kind: 'leave' });
  const end = endOf(cluster, leader, request, 4 * electionMin);
  demand(end?.kind === 'transferred', 'liveness/close-hands-over: a transfer goes on to another candidate', () => end);
  cluster.run(electionMin, () => ![null, leader].includes(cluster.leader()));
  const isOther = ![null, leader, gone].includes(cluster.leader());
  demand(isOther, 'liveness/close-hands-over: another one leads', () => cluster.leader());
}

/** A leader whose disk hangs gives way while the others can go on, and does not lead again while it hangs. */
export function hungDiskGivesWay(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  cluster.host(leader).hung = true;
  cluster.propose(leader, 1, 10);
  const replaced = (): boolean => ![null, leader].includes(cluster.leader());
  const limit = electionMin + fewExchanges(world);
  demand(cluster.run(limit, replaced), 'liveness/stalled-disk-gives-way: a leader whose disk hangs gives way');
  const begun = cluster.now;
  cluster.run(6 * electionMax);
  const again = cluster.host(leader).events.some(({ at, role }) => at >= begun && role !== 'follower');
  demand(!again, 'liveness/stalled-disk-gives-way: it does not campaign while its disk hangs');
}
