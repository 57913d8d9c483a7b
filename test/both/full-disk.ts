/** What the tests and the mutants of full disks have in common. */

import type { SlowCluster, SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { led, othersOf, type World } from './disturb.js';
import { endOf, fewExchanges } from './transfer.js';

const { electionMin, electionMax } = timing;

function fill(cluster: SlowCluster, ids: readonly string[], full = true): void {
  for (const id of ids) cluster.give(id, { kind: 'storageFull', full });
}

/** A command of this replica's host, and how it ended. */
function proposed(cluster: SlowCluster, id: string, time: number): unknown {
  const { ends } = cluster.host(id);
  const known = ends.size;
  cluster.propose(id, 1, 10);
  cluster.run(time, () => ends.size > known);
  return [...ends.values()][known];
}

/** A leader without space hands over within a few exchanges, and leads no more until it has some. */
export function fullDiskGivesWay(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  cluster.run(electionMin / 2);
  const begun = cluster.now;
  fill(cluster, [leader]);
  const replaced = (): boolean => ![null, leader].includes(cluster.leader());
  const rule = 'liveness/full-disk-gives-way: ';
  demand(cluster.run(fewExchanges(world), replaced), `${rule}a leader without space hands over`);
  demand(cluster.campaigns(begun) === 1, `${rule}one campaign is enough`);
  const next = cluster.leader() as string;
  const end = endOf(cluster, next, cluster.transfer(next, leader, electionMax), 2 * electionMax);
  demand(end?.kind === 'none', `${rule}it takes no Handover`, () => end);
  cluster.give(leader, { kind: 'campaign' });
  cluster.run(electionMax);
  const led2 = cluster.host(leader).events.some(({ at, role }) => at > begun && role !== 'follower');
  demand(!led2, `${rule}it does not campaign`);
  fill(cluster, [leader], false);
  const back = endOf(cluster, next, cluster.transfer(next, leader, electionMax), 2 * electionMax);
  demand(back?.kind === 'transferred', `${rule}with space it leads again`, () => back);
}

/** A Handover that was refused for want of space has no effect, though a copy of it arrives when there is some. */
export function refusedIsDead(protocol: SlowOptions['protocol'], world: World): void {
  const { cluster, leader } = led(protocol, world);
  const [target] = othersOf(cluster, leader) as [string];
  const copies: { readonly kind: string }[] = [];
  cluster.loses = (_, to, message) => {
    if (to === target && message.kind === 'handover') copies.push(message);
    return false;
  };
  fill(cluster, [target]);
  const end = endOf(cluster, leader, cluster.transfer(leader, target, electionMax), 2 * electionMax);
  demand(end?.kind === 'none' && copies.length > 0, 'liveness/full-disk-gives-way: it takes no Handover', () => end);
  fill(cluster, [target], false);
  const begun = cluster.now;
  for (const message of copies) cluster.give(target, { kind: 'receive', from: leader, message });
  cluster.run(electionMax);
  const rule = 'liveness/refused-handover-is-dead: ';
  demand(cluster.campaigns(begun) === 0, `${rule}what was refused has no effect`);
  const again = endOf(cluster, leader, cluster.transfer(leader, target, electionMax), 2 * electionMax);
  demand(again?.kind === 'transferred', `${rule}another one has`, () => again);
}

/** Where nobody has space the leader leads on, serves reads, takes no proposals, and all is well when there is space. */
export function nobodyHasSpace(protocol: SlowOptions['protocol'], world: World, stuck: boolean): void {
  const { cluster, leader } = led(protocol, world);
  const others = othersOf(cluster, leader);
  cluster.run(electionMin / 2);
  fill(cluster, others);
  if (stuck) {
    cluster.host(leader).hung = true;
    cluster.propose(leader, 1, 10);
  }
  fill(cluster, [leader]);
  const term = cluster.term();
  cluster.run(5 * electionMax + electionMin); // no Handover is under way
  const stays = cluster.leader() === leader && cluster.term() === term;
  demand(stays, 'liveness/full-disk-gives-way: where nobody can take over the leader leads on', () => cluster.leader());
  const rule = 'requests/full-takes-nothing: ';
  const { last } = cluster.status(leader);
  const own = proposed(cluster, leader, 0) as { kind: string; reason: string } | undefined;
  demand(own?.kind === 'none' && own.reason === 'storageFull', `${rule}a leader takes no proposals`, () => own);
  const [other] = others as [string];
  const forwarded = proposed(cluster, other, fewExchanges(world)) as { reason: string } | undefined;
  demand(forwarded?.reason === 'storageFull', `${rule}nor those of others`, () => forwarded);
  demand(cluster.status(leader).last === last, `${rule}nothing is appended`);
  const read = cluster.read(other, false);
  const served = (): boolean => cluster.host(other).reads.has(read);
  demand(cluster.run(fewExchanges(world), served), 'liveness/every-call-ends: a read is served');
  cluster.unhang(leader);
  fill(cluster, [leader, ...others], false);
  cluster.propose(other, 1, 10);
  const committed = (): boolean => cluster.status(other).commit > last;
  demand(cluster.run(2 * electionMax, committed), 'liveness/new-command-commits: with space all goes on');
}

/** The leader is gone, and the only other voter of a candidate is full: it lets it lead if its disk takes the vote. */
export function fullVoter(protocol: SlowOptions['protocol'], stuck: boolean): void {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 40, write: 10 });
  const [voter, candidate] = othersOf(cluster, leader) as [string, string];
  fill(cluster, [voter]);
  if (stuck) {
    cluster.host(voter).hung = true;
    cluster.propose(leader, 1, 10);
    cluster.run(electionMin);
  }
  const term = cluster.term();
  cluster.kill(leader);
  const found = cluster.run(5 * electionMax, () => cluster.leader() === candidate);
  const rule = 'liveness/full-disk-votes-if-it-can: ';
  demand(found === !stuck, `${rule}a vote that can be kept is given`, () => cluster.leader());
  if (!stuck) return;
  demand(cluster.term() === term, `${rule}nobody campaigns for a vote that cannot be kept`, () => cluster.term());
  cluster.unhang(voter);
  const later = cluster.run(5 * electionMax, () => cluster.leader() === candidate);
  demand(later, `${rule}it is given when there is room`);
}
