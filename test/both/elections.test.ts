/**
 * Split votes are rare on slow links (liveness/grant-puts-off, liveness/spread-grows): at the bound of the timing
 * assumption the first leader stands within five of the longest election timeouts in every seed, and within two in the
 * median; from then on no term or ballot begins.
 */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { amount } from '../amount.js';
import { timing } from '../values.js';

const { electionMin, electionMax } = timing;
/** Round trip and sync, of which the timing assumption bounds the sum: nearly all of it, and a quarter. */
const WORLDS: readonly (readonly [roundTrip: number, write: number])[] = [
  [490, 5],
  [300, 195],
  [100, 395],
  [10, 480],
  [60, 60],
];
const SEEDS = amount(16, 60);

function stands(cluster: SlowCluster): boolean {
  const leader = cluster.leader();
  const followers = cluster.hosts.filter(({ id }) => leader !== null && cluster.status(id).leader === leader);
  return followers.length * 2 > cluster.hosts.length;
}

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  const worlds = WORLDS.flatMap(([roundTrip, write]) => [3, 5].map((size) => [size, roundTrip, write] as const));
  it.each(worlds)('%i members, round trip %i ms, sync %i ms: a leader stands soon, and stays', (...world) => {
    expect(roundAndRest(protocol, world)).toEqual([]);
  });
});

/** What is wrong: runs in which a leader stands late or not for good, and a median that is too high. */
function roundAndRest(protocol: SlowOptions['protocol'], world: readonly [number, number, number]): readonly string[] {
  const [size, roundTrip, write] = world;
  expect(roundTrip + write).toBeLessThan(electionMin / 2);
  const found: string[] = [];
  const times: number[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const cluster = new SlowCluster({ protocol, size, roundTrip, write, seed });
    if (!cluster.run(5 * electionMax, () => stands(cluster))) found.push(`seed ${seed}: no leader`);
    times.push(cluster.now);
    const term = cluster.term();
    cluster.run(10 * electionMax);
    if (cluster.term() !== term) found.push(`seed ${seed}: another term`);
  }
  const median = times.sort((a, b) => a - b)[SEEDS / 2] as number;
  if (median > 2 * electionMax) found.push(`median ${median}`);
  return found;
}
