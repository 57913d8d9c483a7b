/** What the tests and the mutants of a follower whose disk hangs, or is slow, have in common. */

import { defaultLimits } from '../../src/core/tuning.js';
import type { SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { led, othersOf } from './disturb.js';

const { electionMax, heartbeat } = timing;
const KIB = 1024;

/** The disk of a follower hangs while the others write on: it takes a bounded amount, and is level again afterwards. */
export function hungFollower(protocol: SlowOptions['protocol']): void {
  const rule = 'limits/disk-bounds-learning';
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 4, write: 1 });
  const [follower] = othersOf(cluster, leader) as [string];
  cluster.host(follower).hung = true;
  const bound = defaultLimits.tailBytes + 3 * defaultLimits.inflightBytes;
  for (let round = 0; round < 40; round++) {
    cluster.propose(leader, 10, 100 * KIB);
    cluster.run(heartbeat);
    const held = cluster.unsyncedBytes(follower);
    demand(held <= bound, `${rule}: what waits for a disk is bounded`, () => ({ round, held, bound }));
  }
  const { commit } = cluster.status(leader);
  demand(commit > 400, `${rule}: the others go on`, () => commit);
  cluster.unhang(follower);
  const level = (): boolean => cluster.status(follower).commit === cluster.status(leader).commit;
  demand(cluster.run(20 * electionMax, level), `${rule}: it is level when its disk works again`);
  demand(cluster.leader() === leader, `${rule}: it deposes nobody`);
}

/**
 * A follower that was cut off has much to learn while the leader goes on, and its disk always writes. What it has voted
 * for above the gap is durable and waits for what is below it: that must not keep it from asking for this.
 */
export function outrunFollower(protocol: SlowOptions['protocol']): void {
  const rule = 'limits/disk-bounds-learning';
  const limits = { tailBytes: 64 * KIB, inflightBytes: 128 * KIB, inflightMessages: 4, messageBytes: 4 * KIB };
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 90, write: 300, limits });
  const [follower] = othersOf(cluster, leader) as [string];
  const load = (time: number, done?: () => boolean): boolean => {
    for (const end = cluster.now + time; cluster.now < end; ) {
      cluster.propose(leader, 1, 64 * KIB);
      if (cluster.run(heartbeat, done)) return true;
    }
    return false;
  };
  cluster.cut(follower);
  load(4 * electionMax);
  cluster.heal();
  const { commit } = cluster.status(leader);
  const level = (): boolean => cluster.status(follower).commit >= commit;
  const progress = (): object => ({ commit, reached: cluster.status(follower).commit });
  demand(load(10 * electionMax, level), `${rule}: what is durable does not count as waiting for the disk`, progress);
}
