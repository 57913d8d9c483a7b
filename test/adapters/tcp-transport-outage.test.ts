/** Whole replicas over TCP whose paths die without a word and come back. The deep suite has the long outages. */

import { afterEach, describe, expect, test } from 'vitest';
import { LinkedCluster } from './tcp-cluster.js';

/** So long that a slow machine elects within it; what is waited for is a condition. */
const timing = { heartbeat: 100, electionMin: 600, electionMax: 1200 };
let cluster: LinkedCluster;

afterEach(() => cluster.close());

describe.each(['raft', 'multipaxos'] as const)('%s', (protocol) => {
  test('commits again after a silent outage of all links (transport/dead-path)', async () => {
    cluster = await LinkedCluster.start(protocol, timing);
    const [first] = cluster.replicas;
    expect(await first?.replica.propose(1)).toBe(1);
    cluster.silence(cluster.ids);
    const connected = (): number =>
      cluster.replicas.reduce((sum, { replica }) => sum + replica.status().connected.length, 0);
    await cluster.until('all paths are known to be dead', () => connected() === 0);
    cluster.heal();
    const results = await Promise.all(cluster.replicas.map(({ replica }) => replica.propose(1)));
    expect(results.sort()).toEqual([2, 3, 4]);
    await cluster.until('all are connected', () => connected() === 6);
  });

  test('deposes nobody for a member that was cut off, which is heard again (transport/dead-path)', async () => {
    cluster = await LinkedCluster.start(protocol, timing);
    await cluster.replicas[0]?.replica.propose(1);
    await cluster.until('there is a leader', () => cluster.leader() !== undefined);
    const leader = cluster.leader() as LinkedCluster['replicas'][number];
    const cut = cluster.replicas.find(({ id }) => id !== leader.id) as LinkedCluster['replicas'][number];
    const { term } = leader.replica.status();
    cluster.silence([cut.id]);
    await cluster.until('it is missed', () => !leader.replica.status().connected.includes(cut.id));
    await cluster.until('it misses all', () => cut.replica.status().connected.length === 0);
    await cluster.until('it misses its leader', () => cut.replica.status().leader === null);
    expect(await leader.replica.propose(1)).toBe(2);
    cluster.heal();
    await cluster.until('it has caught up', () => cut.replica.status().applied >= leader.replica.status().applied);
    expect(await cut.replica.propose(1)).toBe(3);
    expect(leader.replica.status()).toMatchObject({ leading: true, term });
    expect(cut.replica.status()).toMatchObject({ leader: leader.id, term });
  });
});
