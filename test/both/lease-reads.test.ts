/** Lease reads in both protocols: never stale, without a message, and nobody else leads meanwhile. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { othersOf } from './disturb.js';
import { afterHandover, afterSleep, byLease, cutOff, leased, LEASE_READS, startsBound } from './lease-reads.js';
import { timing } from '../values.js';

const { heartbeat, electionMin, electionMax } = timing;

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  it.each(Array.from({ length: 20 }, (__, at) => at + 1))(
    'a leader that is cut off serves nothing stale (%i)',
    (seed) => {
      const world = { size: seed % 2 === 0 ? 3 : 5, roundTrip: [2, 40, 200, 400][seed % 4] as number, write: seed % 7 };
      cutOff(protocol, seed, 'reads/grant-binds', world);
    },
  );

  it('serves none after a Handover left', () => {
    afterHandover(protocol, 'reads/handover-ends-leases');
  });

  it('serves none by what was granted before its host slept', () => {
    afterSleep(protocol, 'reads/sleep-ends-leases');
  });

  it('a voter that has just started elects nobody for the length of a grant, unless nothing was durable', () => {
    startsBound(protocol);
  });

  it('sends nothing for a lease read, and goes on serving while followers answer', () => {
    const { cluster, leader } = leased(protocol);
    for (let at = 0; at < 50; at++) {
      cluster.run(heartbeat / 3);
      const before = [...cluster.sent.values()].reduce((sum, { count }) => sum + count, 0);
      for (let read = 0; read < 10; read++) expect(byLease(cluster, leader)).toBe(cluster.status(leader).commit);
      expect([...cluster.sent.values()].reduce((sum, { count }) => sum + count, 0)).toBe(before);
    }
  });

  it('is asked by a follower in one exchange, without a round', () => {
    const { cluster, leader } = leased(protocol, { size: 3, roundTrip: 100 });
    const [follower] = othersOf(cluster, leader) as [string];
    const request = cluster.read(follower, true);
    expect(cluster.run(101, () => cluster.host(follower).reads.has(request))).toBe(true);
  });

  it('falls back to a round without a majority of grants, and every read ends', () => {
    const { cluster, leader } = leased(protocol);
    const others = othersOf(cluster, leader);
    cluster.loses = (from, __, message) => others.includes(from) && message.kind === 'grant';
    cluster.run(LEASE_READS + heartbeat);
    expect(cluster.leader()).toBe(leader);
    const request = cluster.read(leader, true);
    expect(cluster.host(leader).reads.has(request)).toBe(false);
    expect(cluster.run(electionMin, () => cluster.host(leader).reads.has(request))).toBe(true);
  });

  it('nobody is elected for the length of a grant, and somebody soon after it', () => {
    const { cluster, leader } = leased(protocol);
    const [one] = othersOf(cluster, leader) as [string];
    cluster.kill(leader);
    for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'unreachable', peer: leader });
    cluster.run(20);
    cluster.give(one, { kind: 'campaign' });
    expect(
      cluster.run(LEASE_READS - heartbeat - 60, () => cluster.leader() !== null && cluster.leader() !== leader),
    ).toBe(false);
    expect(cluster.run(electionMax, () => cluster.leader() !== null)).toBe(true);
  });

  it('a transfer passes the grants, and the new leader serves by lease soon', () => {
    const { cluster, leader } = leased(protocol);
    const [target] = othersOf(cluster, leader) as [string];
    const begun = cluster.now;
    cluster.transfer(leader, target);
    expect(cluster.run(electionMin / 2, () => cluster.leader() === target)).toBe(true);
    expect(cluster.run(electionMin / 2, () => byLease(cluster, target) !== null)).toBe(true);
    expect(cluster.now - begun).toBeLessThan(electionMin);
  });
});
