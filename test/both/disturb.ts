/** What the tests and the mutants of elections have in common: a cluster that follows its leader, and what is done to it. */

import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';

const { heartbeat, electionMin, electionMax } = timing;

export type World = Pick<SlowOptions, 'size' | 'roundTrip' | 'write'>;
export type Wrong = (cluster: SlowCluster, follower: string, leader: string) => void;

/** A cluster whose leader everybody follows. */
export function led(
  protocol: SlowOptions['protocol'],
  world: World & Pick<SlowOptions, 'priorities' | 'limits'>,
  seed = 1,
): { cluster: SlowCluster; leader: string } {
  const cluster = new SlowCluster({ protocol, ...world, seed });
  const settled = (): boolean => {
    const leader = cluster.leader();
    return leader !== null && cluster.hosts.every(({ id }) => cluster.status(id).leader === leader);
  };
  demand(cluster.run(10 * electionMax, settled), 'liveness/leader-found: a healthy cluster finds a leader');
  cluster.run(electionMin);
  return { cluster, leader: cluster.leader() as string };
}

export function othersOf(cluster: SlowCluster, leader: string): string[] {
  return cluster.hosts.map(({ id }) => id).filter((id) => id !== leader);
}

/** What can be wrong with one follower, or with its link to the leader, and deposes nobody. */
export const WRONGS: Readonly<Record<string, Wrong>> = {
  'a member that was isolated comes back': (cluster, follower) => cluster.cut(follower),
  'a follower is deaf: it can send, and hears nobody': (cluster, follower) => {
    for (const { id } of cluster.hosts) cluster.cuts.add(`${id}>${follower}`);
  },
  'a follower is mute: it hears, and nobody hears it': (cluster, follower) => {
    for (const { id } of cluster.hosts) cluster.cuts.add(`${follower}>${id}`);
  },
  'a follower does not hear the leader, and all others hear both': (cluster, follower, leader) => {
    cluster.cuts.add(`${leader}>${follower}`).add(`${follower}>${leader}`);
  },
  'a link from the leader comes and goes': (cluster, follower, leader) => {
    for (let round = 0; round < 20; round++) {
      cluster.cuts.add(`${leader}>${follower}`);
      cluster.run(electionMax + 100 * (round % 5));
      cluster.heal();
      cluster.run(heartbeat * (round % 4));
    }
  },
  'who is told to campaign is refused while the others hear the leader': (cluster, follower) => {
    cluster.give(follower, { kind: 'campaign' });
  },
  'all but the leader are told to campaign, again and again': (cluster, _, leader) => {
    for (let round = 0; round < 5; round++) {
      for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'campaign' });
      cluster.run(30);
    }
  },
  'one follower loses its connection to the leader and cannot connect again': (cluster, follower, leader) => {
    cluster.cuts.add(`${leader}>${follower}`).add(`${follower}>${leader}`);
    cluster.give(follower, { kind: 'unreachable', peer: leader });
  },
};

/** Lets that be wrong with one follower for long, and heals it: leader and term stay, and all follow again. */
export function undisturbed(protocol: SlowOptions['protocol'], world: World, wrong: Wrong): void {
  const { cluster, leader } = led(protocol, world);
  const [follower] = othersOf(cluster, leader) as [string];
  const term = cluster.term();
  const rule = 'liveness/pre-vote-changes-nothing: who campaigns in vain deposes nobody';
  const stays = (): boolean => cluster.leader() === leader && cluster.term() === term;
  wrong(cluster, follower, leader);
  cluster.run(10 * electionMax);
  demand(stays(), rule, () => [cluster.leader(), cluster.term()]);
  cluster.heal();
  cluster.run(2 * electionMax);
  demand(stays() && cluster.status(follower).leader === leader, rule, () => [cluster.leader(), cluster.term()]);
}

/**
 * How long it takes from when a killed leader refuses connections until another one leads, in units of what it should
 * take at most: a delay of up to half a heartbeat, two round trips and two writes.
 */
export function succession(protocol: SlowOptions['protocol'], world: Required<World>, seed: number): number {
  const { cluster, leader } = led(protocol, world, seed);
  cluster.kill(leader);
  // What it sent arrives first; then a new connection is refused.
  cluster.run(1.5 * world.roundTrip);
  for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'unreachable', peer: leader });
  const since = cluster.now;
  const found = cluster.run(5 * electionMax, () => cluster.leader() !== null);
  demand(found, 'liveness/leader-found: a healthy cluster finds a leader');
  return (cluster.now - since) / (heartbeat / 2 + 2 * world.roundTrip + 2 * world.write + 1);
}

/** Two that ask for pre-votes at once: how many of them campaign. */
export function rivals(protocol: SlowOptions['protocol']): number {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 100, write: 5 });
  cluster.kill(leader);
  cluster.run(electionMin + 200); // nobody hears a leader
  const since = cluster.now;
  for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'campaign' });
  cluster.run(electionMin, () => cluster.leader() !== null);
  return cluster.campaigns(since);
}
