/** What the test and the mutant of a follower's hung disk have in common. */

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
