/**
 * Long silent outages, in real time and with the timing that ships: paths between real replicas swallow every byte for so
 * long, without a reset, and live again. Everything waits in one process, beside the workers.
 */

import { LinkedCluster, type LinkedReplica } from '../adapters/tcp-cluster.js';
import type { Found, ProtocolName } from './jobs.js';

/** What was cut, for how many seconds, and how many milliseconds after its end all was well. */
export interface OutageSummary {
  readonly protocol: ProtocolName;
  readonly cut: 'all' | 'one';
  readonly seconds: number;
  readonly took: number;
}

export interface OutageReport {
  readonly outages: OutageSummary[];
  readonly found: Found[];
  /** Those that are longer than the time there is. */
  readonly leftOut: number;
}

/** Of all links until something commits; of a member until it is heard again, without another term. */
const BOUNDS = { all: 6000, one: 2000 } as const;
const OUTAGES: readonly (readonly ['all' | 'one', number])[] = [
  ['all', 20],
  ['one', 30],
  ['all', 60],
  ['all', 120],
];
/** What an outage takes beside its length: the start of a cluster, and what is looked for after it. */
const AROUND = 15_000;
const PATIENCE = 60_000;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function allCut(cluster: LinkedCluster, seconds: number): Promise<number> {
  cluster.areDead = true;
  await pause(seconds * 1000);
  cluster.areDead = false;
  const healed = performance.now();
  await Promise.any(cluster.replicas.map(({ replica }) => replica.propose(1)));
  return performance.now() - healed;
}

async function oneCut(cluster: LinkedCluster, seconds: number): Promise<number> {
  await cluster.until('there is a leader', () => cluster.leader() !== undefined, PATIENCE);
  const leader = cluster.leader() as LinkedReplica;
  const cut = cluster.replicas.find(({ id }) => id !== leader.id) as LinkedReplica;
  const { term } = leader.replica.status();
  cluster.cut(cut.id);
  await pause(seconds * 1000);
  cluster.heal();
  const healed = performance.now();
  const isHeard = (): boolean => leader.replica.status().connected.includes(cut.id);
  const hears = (): boolean => cut.replica.status().leader === leader.id;
  await cluster.until('it is heard', () => isHeard() && hears(), PATIENCE);
  const took = performance.now() - healed;
  await cut.replica.propose(1);
  const now = leader.replica.status();
  if (!now.leading || now.term !== term) throw new Error(`${cut.id} came back, and ${leader.id} was deposed`);
  return took;
}

/** @param budget milliseconds; longer outages are left out */
export async function outages(budget: number): Promise<OutageReport> {
  const report: OutageReport = { outages: [], found: [], leftOut: 0 };
  const within = OUTAGES.filter(([, seconds]) => seconds * 1000 + AROUND <= budget);
  const runs = (['raft', 'multipaxos'] as const).flatMap((protocol) =>
    within.map(async ([cut, seconds]) => {
      const what = `outage of ${cut}, ${seconds} s, ${protocol}`;
      const cluster = await LinkedCluster.start(protocol);
      try {
        await cluster.replicas[0]?.replica.propose(1);
        const took = Math.round(await (cut === 'all' ? allCut : oneCut)(cluster, seconds));
        report.outages.push({ protocol, cut, seconds, took });
        const rule = `transport/dead-path: took ${took} ms, expected ${BOUNDS[cut]} at most`;
        if (took > BOUNDS[cut]) report.found.push({ what, rule, scenario: null });
      } catch (error) {
        report.found.push({ what, rule: `transport/dead-path: ${String(error)}`, scenario: null });
      } finally {
        await cluster.close();
      }
    }),
  );
  await Promise.all(runs);
  return { ...report, leftOut: 2 * (OUTAGES.length - within.length) };
}
