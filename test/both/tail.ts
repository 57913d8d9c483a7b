/** What the tests and the mutants of the tail of the log have in common. */

import { RECENT, type Log } from '../../src/core/log.js';
import type { SlowCluster, SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';
import { led, othersOf } from './disturb.js';

const { electionMax } = timing;
const RULE = 'limits/tail-by-need: ';
const EACH = 4;

/** How many entries a replica holds in memory behind the oldest chunk: one chunk more always stays. */
function tailOf(cluster: SlowCluster, id: string): number {
  const { log } = cluster.host(id).state as { readonly log: Log };
  return log.chunks.slice(1).reduce((sum, { entries }) => sum + entries.length, 0);
}

/** One command a millisecond: to who is far more are to be sent than the window takes. */
function load(cluster: SlowCluster, leader: string, time: number): void {
  for (let at = 0; at < time; at += EACH) {
    cluster.propose(leader, EACH, 20);
    cluster.run(EACH);
  }
}

/** Entries stay in memory while a peer that answers lacks them, within the bounds, and few of them afterwards. */
export function tailByNeed(protocol: SlowOptions['protocol']): void {
  const { cluster, leader } = led(protocol, { size: 3, roundTrip: 100, write: 1 });
  const [far] = othersOf(cluster, leader) as [string];
  cluster.delays = (from, to) => (from === far || to === far ? 150 : 0);
  load(cluster, leader, 1000);
  demand(cluster.host(leader).loads === 0, `${RULE}what is under way is not loaded`, () => cluster.host(leader).loads);
  cluster.run(electionMax);
  for (const { id } of cluster.hosts) {
    demand(tailOf(cluster, id) < RECENT, `${RULE}what nobody needs goes`, () => [id, tailOf(cluster, id)]);
  }
  cluster.cut(far);
  load(cluster, leader, 500);
  cluster.run(2 * electionMax);
  load(cluster, leader, 500);
  cluster.run(electionMax);
  const held = tailOf(cluster, leader);
  demand(held < RECENT, `${RULE}nothing is held for who is gone`, () => held);
  cluster.heal();
  const level = (): boolean => cluster.status(far).commit === cluster.status(leader).last;
  demand(cluster.run(4 * electionMax, level), `${RULE}who comes back gets what has gone`);
  demand(
    cluster.hosts.some(({ loads }) => loads > 0),
    `${RULE}it is loaded`,
  );
}
