/** What must hold of the renewals of a session, as functions that throw a violation: the tests run them, and killers. */

import type { raft, Replica } from 'quorate';
import { ConsensusError } from 'quorate';
import { demand } from '../../violation.js';
import { MINUTE, SimulatedCluster } from './cluster.js';

const TIME = 3 * MINUTE;
const RULE = 'sessions/expires-by-log-time: ';

/** Another client's command every half minute, for so long. */
export async function traffic(cluster: SimulatedCluster, replica: Replica, time: number): Promise<void> {
  for (let passed = 0; passed < time; passed += MINUTE / 2) {
    await cluster.schedule.pass(MINUTE / 2);
    await cluster.until(replica.propose('other'));
  }
}

/** The replica that has the handle of a session refuses its own callers for longer than the session lives unrenewed. */
export async function livesWhile(why: 'full' | 'busy', protocol: typeof raft): Promise<void> {
  const cluster = new SimulatedCluster(protocol, { constants: { clientSessionTime: TIME } });
  const leader = await cluster.led();
  const other = cluster.replicas.find((replica) => replica !== leader) as Replica;
  const kept = await cluster.until(other.session('kept'));
  const { disk } = cluster.member(other);
  const abort = new AbortController();
  const read = (): Promise<unknown> =>
    other.read(() => 1, { signal: abort.signal, consistency: 'stale', minIndex: 1e9 });
  if (why === 'full') disk.runShort('full', 1e9);
  else for (let more = 0; more < 20_000; more++) void read().catch(() => undefined);
  await cluster.schedule.pass(1000);
  const refused: unknown = await cluster.until(other.propose('x').catch((error: unknown) => error));
  const code = refused instanceof ConsensusError ? refused.code : 'none';
  demand(code === (why === 'full' ? 'ERR_STORAGE_FULL' : 'ERR_BUSY'), `${RULE}callers are refused`, () => code);
  await traffic(cluster, leader, 2 * TIME);
  abort.abort();
  disk.replenish();
  await cluster.schedule.pass(1000);
  const end = await cluster.until(kept.propose('y', { sequence: 1 }).catch((error: unknown) => error));
  demand(typeof end === 'number', `${RULE}the session lives`, () => String(end));
  await cluster.close();
}
