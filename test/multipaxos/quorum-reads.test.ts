/** Quorum reads: never stale, without the leader, and each ends. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { led, othersOf } from '../both/disturb.js';
import { SlowCluster } from '../slow-links.js';
import { timing } from '../values.js';
import { neverStale, voteInVain, withoutLeader } from './quorum-reads.js';

const WORLD = { size: 3, roundTrip: 40, write: 10 } as const;

describe('a quorum read', () => {
  it('reads/quorum-names-highest: sees all that was committed, whatever is slow, cut or under way', () => {
    let served = 0;
    for (let seed = 1; seed <= 12; seed++) served += neverStale(seed);
    expect(served).toBeGreaterThan(12 * 100);
  });

  it('needs no leader', () => {
    withoutLeader();
  });

  it('reads/quorum-falls-back: is asked of the leader when a slot is not chosen in time', () => {
    voteInVain();
  });

  it('ends without a majority', () => {
    const { cluster, leader } = led(multipaxosProtocol, WORLD);
    const [reader] = othersOf(cluster, leader) as [string];
    cluster.cut(reader);
    const request = cluster.quorumRead(reader);
    cluster.run(4 * timing.electionMax);
    expect(cluster.host(reader).ends.get(request)?.kind).toBe('none');
  });

  it('ends when it is cancelled, when its time is over, and when the replica stops', () => {
    const { cluster, leader } = led(multipaxosProtocol, WORLD);
    const [reader] = othersOf(cluster, leader) as [string];
    const { ends } = cluster.host(reader);
    const first = cluster.quorumRead(reader);
    cluster.give(reader, { kind: 'cancel', requests: [first] });
    expect(ends.get(first)).toMatchObject({ kind: 'none', reason: 'cancelled' });
    cluster.give(reader, { kind: 'read', request: 900, deadline: cluster.now, byQuorum: true });
    expect(ends.get(900)).toMatchObject({ kind: 'none', reason: 'deadline' });
    const last = cluster.quorumRead(reader);
    cluster.give(reader, { kind: 'stop' });
    expect(ends.get(last)).toMatchObject({ kind: 'none', reason: 'stopped' });
  });

  it('of a single member is served at once', () => {
    const { cluster, leader } = led(multipaxosProtocol, { size: 1 });
    const request = cluster.quorumRead(leader);
    expect(cluster.host(leader).reads.get(request)).toBe(cluster.status(leader).commit);
  });

  it('is a linearizable one in Raft', () => {
    const cluster = new SlowCluster({ protocol: raftProtocol, ...WORLD });
    cluster.run(4 * timing.electionMax, () => cluster.hosts.every(({ id }) => cluster.status(id).leader !== null));
    cluster.run(timing.electionMin);
    const request = cluster.quorumRead('n1');
    expect(cluster.run(timing.electionMin, () => cluster.host('n1').reads.has(request))).toBe(true);
  });
});
