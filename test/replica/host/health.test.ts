/** What a leader tells of its peers, and when. */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, type Replica, type ReplicaEvent } from 'quorate';
import { MINUTE, SimulatedCluster } from './cluster.js';

const ELECTION_MIN = 1000;
const ELECTION_MAX = 2000;
const HEARTBEAT = 150;

type PeerEvent = Extract<ReplicaEvent, { kind: 'peer' }>;

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  async function start(reports = false): Promise<{
    cluster: SimulatedCluster;
    leader: Replica;
    peer: string;
    told: () => string[];
    shown: () => string | undefined;
  }> {
    const cluster = new SimulatedCluster(protocol, { reports });
    const leader = await cluster.led();
    const peer = leader.status().peers[0]?.id as string;
    const told = (): string[] =>
      cluster
        .member(leader)
        .events.filter((event): event is PeerEvent => event.kind === 'peer' && event.peer === peer)
        .map(({ health }) => health);
    const shown = (): string | undefined => leader.status().peers.find(({ id }) => id === peer)?.health;
    return { cluster, leader, peer, told, shown };
  }

  it('nothing while all answer', async () => {
    const { cluster, leader, told } = await start();
    await cluster.schedule.pass(MINUTE / 6);
    expect(told()).toEqual([]);
    expect(leader.status().peers.map(({ health }) => health)).toEqual(['online', 'online']);
    await cluster.close();
  });

  it('that a silent one is suspect, then offline, and online again with its first answer', async () => {
    const { cluster, peer, told, shown } = await start();
    const { schedule } = cluster;
    cluster.isolate(peer);
    await schedule.pass(ELECTION_MIN - HEARTBEAT);
    expect([told(), shown()]).toEqual([[], 'online']);
    await schedule.pass(3 * HEARTBEAT);
    expect([told(), shown()]).toEqual([['suspect'], 'suspect']);
    await schedule.pass(2 * ELECTION_MAX);
    expect([told(), shown()]).toEqual([['suspect', 'offline'], 'offline']);
    await schedule.pass(5 * ELECTION_MAX);
    cluster.network.heal();
    await schedule.pass(3 * HEARTBEAT);
    expect([told(), shown()]).toEqual([['suspect', 'offline', 'online'], 'online']);
    await cluster.close();
  });

  it('that the leader before it is offline at once, since its process refuses connections', async () => {
    const { cluster, leader } = await start(true);
    await cluster.schedule.pass(ELECTION_MAX);
    const gone = leader.status().id;
    cluster.crash(gone);
    const next = await cluster.led();
    expect(next.status().peers.find(({ id }) => id === gone)?.health).toBe('offline');
    await cluster.schedule.pass(2 * HEARTBEAT);
    const told = () => {
      const events = cluster.member(next).events.filter((event) => event.kind === 'peer');
      return events.map(({ peer, health }) => ({ peer, health }));
    };
    expect(told()).toEqual([{ peer: gone, health: 'offline' }]);
    await cluster.restart(gone);
    await cluster.schedule.pass(2 * HEARTBEAT);
    expect(told().at(-1)).toEqual({ peer: gone, health: 'online' });
    await cluster.close();
  });
});
