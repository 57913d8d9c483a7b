/**
 * Long silent outages, in real time and with the timing that ships: paths between real replicas swallow every byte for so
 * long, without a reset, and live again. Everything waits in one process, beside the workers.
 */

import { LinkedCluster } from '../adapters/tcp-cluster.js';
import { allSilent, BOUNDS, oneSilent } from '../outage.js';
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

const OUTAGES: readonly (readonly ['all' | 'one', number])[] = [
  ['all', 20],
  ['one', 30],
  ['all', 60],
  ['all', 120],
];
/** What an outage takes beside its length: the start of a cluster, and what is looked for after it. */
const AROUND = 15_000;

/** @param budget milliseconds; longer outages are left out */
export async function outages(budget: number): Promise<OutageReport> {
  const report: OutageReport = { outages: [], found: [], leftOut: 0 };
  const within = OUTAGES.filter(([, seconds]) => seconds * 1000 + AROUND <= budget);
  const runs = (['raft', 'multipaxos'] as const).flatMap((protocol) =>
    within.map(async ([cut, seconds]) => {
      const what = `outage of ${cut}, ${seconds} s, ${protocol}`;
      const cluster = await LinkedCluster.start(protocol);
      try {
        await cluster.commits(null);
        const took = Math.round(await (cut === 'all' ? allSilent : oneSilent)(cluster, seconds));
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
