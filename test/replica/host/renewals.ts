/** What must hold of the renewals of a session, as functions that throw a violation: the tests run them, and killers. */

import type { raft, Replica } from 'quorate';
import { ConsensusError } from 'quorate';
import { ClientHandles, type HandleDoor } from '../../../src/replica/host/client-handles.js';
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

/** Sessions 1 and 2 have handles, and every renewal fails: session 1's when it is asked, session 2's late. */
export async function failingAreRenewedSooner(): Promise<void> {
  let now = 0;
  let timers: { readonly at: number; readonly callback: () => void }[] = [];
  const after = (delay: number, callback: () => void): { cancel(): void } => {
    const timer = { at: now + delay, callback };
    timers.push(timer);
    return { cancel: () => void (timers = timers.filter((each) => each !== timer)) };
  };
  const asked: number[] = [];
  let opened = 0;
  const door = {
    clock: { now: () => now, wall: () => now, after },
    sessionTime: () => TIME,
    enqueue: (...[, , , renews]: Parameters<HandleDoor<never>['enqueue']>) => {
      if (renews !== true) return Promise.resolve({ result: ++opened, index: opened });
      asked.push(now);
      if (asked.length % 2 === 1) return Promise.reject(new Error('refused'));
      return new Promise((_, reject) => after(TIME / 48, () => reject(new Error('refused'))));
    },
  };
  const handles = new ClientHandles(door as unknown as HandleDoor<never>);
  for (const name of ['first', 'second']) await handles.session(name, {});
  while (now < TIME && timers.length > 0) {
    const next = timers.reduce((a, b) => (b.at < a.at ? b : a));
    timers = timers.filter((each) => each !== next);
    now = next.at;
    next.callback();
    await new Promise((resolve) => setImmediate(resolve));
  }
  handles.end();
  const rounds = [...new Set(asked)];
  const gaps = rounds.slice(1).map((at, nth) => at - (rounds[nth] as number));
  demand(rounds[0] === TIME / 3, `${RULE}the first renewal comes at a third of the time`, () => rounds);
  demand(Math.max(...gaps) === TIME / 24, `${RULE}after a failure the next comes soon`, () => rounds);
}
