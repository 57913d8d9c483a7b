/** What the tests and the mutants of priorities have in common. */

import { steadyTime } from '../../src/core/priority.js';
import type { Transferring } from '../../src/core/transferring.js';
import { leastPatience } from '../../src/core/tuning.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { led, othersOf, type World } from './disturb.js';
import { endOf, fewExchanges } from './transfer.js';

const { heartbeat, electionMin, electionMax } = timing;
const steady = steadyTime({ timing });
const WORLD = { size: 3, roundTrip: 40, write: 10 } as const;

/** Of clusters that start, and of those whose leader falls silent: how many find the member of priority 200 first. */
export function preferredWins(protocol: SlowOptions['protocol'], seeds: number): number {
  let won = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const cluster = new SlowCluster({ protocol, ...WORLD, seed, priorities: [50, 200, 100] });
    demand(
      cluster.run(10 * electionMax, () => cluster.leader() !== null),
      'liveness/leader-found: a leader is found',
    );
    if (cluster.leader() === 'n2') won += 1;
    cluster.run(2 * steady, () => cluster.leader() === 'n2');
    cluster.run(electionMax);
    cluster.kill('n2');
    cluster.run(10 * electionMax, () => cluster.leader() !== null);
    if (cluster.leader() === 'n3') won += 1;
  }
  return won / (2 * seeds);
}

/** A leader hands over to the member of a higher priority, once it was steady, and no command is refused for good. */
export function higherPriorityLeads(protocol: SlowOptions['protocol'], world: World): void {
  const rule = 'liveness/higher-priority-leads: ';
  const { cluster } = led(protocol, { ...world, priorities: [100, 100, 200] });
  demand(
    cluster.run(2 * steady, () => cluster.leader() === 'n3'),
    `${rule}the steady one leads`,
  );
  cluster.run(electionMax);
  // It is gone for long, and comes back: it leads once it was steady, and not before.
  cluster.cut('n3');
  cluster.run(10 * electionMax, () => cluster.leader() !== null && cluster.leader() !== 'n3');
  cluster.run(2 * electionMax);
  const between = cluster.leader() as string;
  demand(between !== 'n3', `${rule}another one leads meanwhile`, () => between);
  cluster.heal();
  const healed = cluster.now;
  for (let at = 0; at < 10; at++) cluster.propose(between, 5, 100);
  cluster.run(steady - electionMin);
  demand(cluster.leader() === between, `${rule}it does not lead at once`, () => cluster.leader());
  const campaigns = cluster.campaigns(healed);
  demand(
    cluster.run(2 * electionMax, () => cluster.leader() === 'n3'),
    `${rule}it leads again`,
  );
  demand(cluster.campaigns(healed) === campaigns + 1, `${rule}by one campaign`);
  const since = cluster.now;
  cluster.run(3 * steady);
  demand(cluster.campaigns(since) === 0, `${rule}then all is quiet`);
}

/** A member that comes and goes does not take the leadership with it. */
export function flapping(protocol: SlowOptions['protocol']): void {
  const { cluster } = led(protocol, { ...WORLD, priorities: [100, 100, 200] });
  cluster.run(2 * steady, () => cluster.leader() === 'n3');
  cluster.cut('n3');
  cluster.run(5 * electionMax);
  const leader = cluster.leader();
  for (let round = 0; round < 12; round++) {
    cluster.heal();
    cluster.run(steady / 2);
    cluster.cut('n3');
    cluster.run(electionMax);
  }
  const rule = 'liveness/higher-priority-leads: who comes and goes does not lead';
  demand(cluster.leader() === leader && leader !== 'n3', rule, () => [leader, cluster.leader()]);
}

/** A member of priority 0 leads only where nobody else does, and gives the leadership back. */
export function zeroComesLast(protocol: SlowOptions['protocol']): void {
  const rule = 'liveness/lower-priority-waits: ';
  const { cluster, leader } = led(protocol, { ...WORLD, priorities: [0, 100, 100] });
  demand(leader !== 'n1', `${rule}a member of priority 0 does not lead`, () => leader);
  const [other] = othersOf(cluster, leader).filter((id) => id !== 'n1') as [string];
  // Nobody else can: the other one answers and does not campaign.
  cluster.give(other, { kind: 'leave' });
  const begun = cluster.now;
  cluster.cut(leader);
  demand(
    cluster.run(20 * electionMax, () => cluster.status('n1').role === 'leader'),
    `${rule}it leads at last`,
  );
  demand(cluster.now - begun > 4 * electionMax, `${rule}it comes last`, () => cluster.now - begun);
  cluster.heal();
  demand(
    cluster.run(3 * steady, () => cluster.leader() === leader),
    `${rule}it gives the leadership back`,
  );
  const end = endOf(cluster, leader, cluster.transfer(leader, 'n1', electionMax), fewExchanges(WORLD) + electionMin);
  demand(end?.kind === 'transferred', `${rule}it leads when it is named`, () => end);
}

/** The preferred member reaches nobody but the leader, and could not win: the leader leads on, and nobody campaigns. */
export function preferredInVain(protocol: SlowOptions['protocol']): void {
  const { cluster } = led(protocol, { ...WORLD, size: 5, priorities: [200, 150, 100, 100, 100] });
  cluster.cut('n1');
  for (const link of ['n1>n2', 'n2>n1']) cluster.cuts.delete(link);
  cluster.run(4 * steady, () => cluster.leader() === 'n2');
  cluster.run(electionMax);
  const since = cluster.now;
  let most = 0;
  for (let at = cluster.now; cluster.now < since + 10 * steady; at = cluster.now) {
    const { commit } = cluster.status('n2');
    cluster.propose('n2', 1, 100);
    cluster.run(electionMax, () => cluster.status('n2').commit > commit);
    most = Math.max(most, cluster.now - at);
    cluster.run(heartbeat);
  }
  const rule = 'liveness/preferred-could-win: ';
  demand(cluster.leader() === 'n2', `${rule}the leader leads on`, () => cluster.leader());
  demand(cluster.campaigns(since) === 0, `${rule}who could not win does not campaign`, () => cluster.campaigns(since));
  demand(most < electionMin / 2, `${rule}and is waited for by nobody`, () => most);
  cluster.heal();
  demand(
    cluster.run(2 * steady, () => cluster.leader() === 'n1'),
    `${rule}it leads once it could`,
  );
}

/** The preferred member comes back and takes over under load from afar, by one campaign. */
export function preferredUnderLoad(protocol: SlowOptions['protocol'], world: World, seed: number): void {
  const priorities = Array.from({ length: world.size ?? 3 }, (_, at) => (at === 0 ? 200 : 100));
  const { cluster } = led(protocol, { ...world, priorities }, seed);
  const rule = 'liveness/preferred-could-win: ';
  cluster.cut('n1');
  const isLed = (): boolean => ![null, 'n1'].includes(cluster.leader());
  demand(cluster.run(10 * electionMax, isLed), `${rule}another one leads meanwhile`);
  cluster.run(2 * electionMax);
  cluster.heal();
  const campaigns = cluster.campaigns();
  for (let at = 0; at < 4 * steady && cluster.leader() !== 'n1'; at += 20) {
    const leader = cluster.leader();
    if (leader !== null) cluster.propose(leader, 2, 100);
    cluster.run(20);
  }
  demand(cluster.leader() === 'n1', `${rule}it leads, also under load`, () => cluster.leader());
  const more = cluster.campaigns() - campaigns;
  demand(more === 1, `${rule}by one campaign`, () => more);
}

/** Another one leads, and the preferred member `n3` has just come back. */
function preferredIsBack(protocol: SlowOptions['protocol']): { cluster: SlowCluster; leader: string } {
  const { cluster } = led(protocol, { ...WORLD, priorities: [100, 100, 200] });
  cluster.cut('n3');
  cluster.run(10 * electionMax, () => ![null, 'n3'].includes(cluster.leader()));
  cluster.run(electionMax);
  cluster.heal();
  cluster.run(electionMin);
  return { cluster, leader: cluster.leader() as string };
}

/** The transfer that this leader has under way. */
function transferOf(cluster: SlowCluster, id: string): Transferring | null {
  const { role } = cluster.host(id).state as { readonly role: { readonly transfer?: Transferring | null } };
  return role.transfer ?? null;
}

/** Whether this message carries entries of the log, or those of a catch-up. */
function carriesEntries(message: { readonly kind: string; readonly entries?: readonly unknown[] }): boolean {
  return message.kind === 'accept' || message.kind === 'slots' || (message.entries?.length ?? 0) > 0;
}

/** Runs the cluster under load until the leader has a transfer. */
function untilTransfer(cluster: SlowCluster, leader: string): boolean {
  const begun = cluster.now;
  while (cluster.now < begun + 2 * steady && transferOf(cluster, leader) === null) {
    cluster.propose(leader, 1, 100);
    cluster.run(5);
  }
  return transferOf(cluster, leader) !== null;
}

/** No Handover to who is only preferred may arrive after the transfer: the first ones are lost, and come again in time. */
export function preferredInTime(protocol: SlowOptions['protocol']): void {
  const { cluster, leader } = preferredIsBack(protocol);
  let sent = -Infinity;
  let count = 0;
  let end = -Infinity;
  cluster.loses = (_, to, { kind }) => {
    if (kind !== 'handover' || to !== 'n3') return false;
    sent = cluster.now;
    count += 1;
    return true;
  };
  const rule = 'liveness/preferred-could-win: ';
  demand(untilTransfer(cluster, leader), `${rule}it is handed the leadership`);
  cluster.run(4 * electionMin, () => {
    end = transferOf(cluster, leader)?.deadline ?? end;
    return transferOf(cluster, leader) === null;
  });
  demand(count > 1, `${rule}a Handover that is lost comes again`, () => count);
  demand(end - sent >= leastPatience(timing), `${rule}none is sent that may come too late`, () => end - sent);
}

/** A leader whose disk hangs while it would prefer a member that cannot catch up: another one leads at once. */
export function preferredWhileHung(protocol: SlowOptions['protocol']): void {
  const { cluster, leader } = preferredIsBack(protocol);
  cluster.loses = (_, to, message) => to === 'n3' && carriesEntries(message);
  const rule = 'liveness/stalled-disk-gives-way: ';
  demand(untilTransfer(cluster, leader), `${rule}it would hand over to the preferred one`);
  cluster.host(leader).hung = true;
  cluster.propose(leader, 1, 100);
  const limit = electionMin + fewExchanges(WORLD);
  const replaced = cluster.run(limit, () => ![null, leader].includes(cluster.leader()));
  demand(replaced, `${rule}a leader with a preferred member gives way, too`);
}
