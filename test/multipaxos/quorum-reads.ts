/** What the tests and the mutants of quorum reads have in common. */

import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { led, othersOf } from '../both/disturb.js';
import { Dice } from '../../src/testing/random.js';
import type { SlowCluster } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';

const { electionMin, electionMax } = timing;

/** Everything that some replica knows to be committed, and so may have acknowledged. */
function committed(cluster: SlowCluster): number {
  return Math.max(...cluster.hosts.map(({ id }) => cluster.status(id).commit));
}

/** Under load, with links that are slow or cut and leaders that die, no read is served below what was committed. */
export function neverStale(seed: number): number {
  const { cluster } = led(multipaxosProtocol, { size: seed % 2 === 0 ? 3 : 5, roundTrip: 40, write: 10 }, seed);
  const dice = new Dice(seed);
  cluster.delays = () => dice.between(0, 60);
  const asked: { readonly id: string; readonly request: number; readonly least: number }[] = [];
  for (let round = 0; round < 150; round++) {
    const { id } = dice.pick(cluster.hosts);
    cluster.propose(id, dice.between(0, 3), 10);
    if (dice.chance(0.05)) cluster.cut(dice.pick(cluster.hosts).id);
    if (dice.chance(0.1)) cluster.heal();
    cluster.run(dice.between(1, 60));
    const reader = dice.pick(cluster.hosts).id;
    asked.push({ id: reader, least: committed(cluster), request: cluster.quorumRead(reader, 5 * electionMax) });
  }
  cluster.heal();
  cluster.run(10 * electionMax);
  let served = 0;
  for (const { id, request, least } of asked) {
    const { reads, ends } = cluster.host(id);
    const index = reads.get(request);
    if (index !== undefined) served += 1;
    const stale = 'reads/quorum-names-highest: a read sees what was committed before it was asked';
    demand(index === undefined || index >= least, stale, () => [index, least]);
    const isOnce = (index !== undefined) !== ends.has(request);
    demand(isOnce, 'reads/quorum-falls-back: every read ends, and once', () => [request, index, ends.get(request)]);
  }
  return served;
}

/** A slot stands in one vote alone, whose proposer is gone; the leader that follows has nothing to put there. */
export function voteInVain(): void {
  const { cluster, leader } = led(multipaxosProtocol, { size: 3, roundTrip: 40, write: 10 });
  const [holder, other] = othersOf(cluster, leader) as [string, string];
  const before = cluster.status(leader).commit;
  cluster.loses = (_from, to, { kind }) => kind === 'accept' && to === other;
  cluster.cuts.add(`${holder}>${leader}`);
  cluster.propose(leader, 3, 10);
  cluster.run(100);
  const request = cluster.quorumRead(other);
  cluster.run(electionMin - 200);
  const { reads, ends } = cluster.host(other);
  demand(!reads.has(request), 'reads/quorum-names-highest: what is voted for is waited for', () => reads.get(request));
  // The read is over in time, whatever becomes of the slots: the leader is asked, and answers or is none.
  const ended = cluster.run(electionMin, () => reads.has(request) || ends.has(request));
  demand(ended, 'reads/quorum-falls-back: a read does not wait for what is never chosen', () => before);
}

/** The leader is gone, and nobody campaigns yet. */
export function withoutLeader(): void {
  const { cluster, leader } = led(multipaxosProtocol, { size: 3, roundTrip: 40, write: 10 });
  cluster.propose(leader, 5, 10);
  cluster.run(electionMin);
  const least = committed(cluster);
  cluster.kill(leader);
  const [reader] = othersOf(cluster, leader) as [string];
  const request = cluster.quorumRead(reader);
  const { reads } = cluster.host(reader);
  const served = cluster.run(100, () => reads.has(request));
  demand(served && cluster.leader() === null, 'reads/quorum-names-highest: a read needs no leader');
  demand((reads.get(request) as number) >= least, 'reads/quorum-names-highest: it sees what was committed');
}
