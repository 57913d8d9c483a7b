/** Transfer of the leadership, leaving, and the leader whose disk stalls: in both protocols, where everything takes time. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { timing } from '../values.js';
import { led, othersOf } from './disturb.js';
import {
  catchesUpFirst,
  endOf,
  farTargetTakesOver,
  fewExchanges,
  hungDiskGivesWay,
  leavesAlone,
  leavesDuringTransfer,
  silentTargetIsGivenUp,
  slowDisksTakeOver,
  slowDiskTakesOver,
  transferUnderLoad,
} from './transfer.js';

const { electionMin, electionMax } = timing;

const WORLDS = [
  { size: 3, roundTrip: 2, write: 1 },
  { size: 3, roundTrip: 300, write: 150 },
  { size: 5, roundTrip: 40, write: 10 },
] as const;

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  it('liveness/target-is-waited-for: a target with a slow disk takes over by one campaign', () => {
    for (let seed = 1; seed <= 10; seed++) slowDiskTakesOver(protocol, seed);
  });

  it('liveness/target-holds-all: also a target far away takes over in the time given by default', () => {
    farTargetTakesOver(protocol);
  });

  it('liveness/target-is-waited-for: also the one before the last', () => {
    for (let seed = 1; seed <= 10; seed++) slowDisksTakeOver(protocol, seed);
  });

  describe.each(WORLDS)('$size members, round trip $roundTrip ms, sync $write ms', (world) => {
    it('a transfer under load takes a few exchanges', () => {
      for (let seed = 1; seed <= 8; seed++) transferUnderLoad(protocol, world, seed);
    });

    it('liveness/leaving-leads-not: who leaves takes no leadership and does not campaign', () => {
      leavesAlone(protocol, world);
    });

    it('liveness/close-hands-over: a leader that leaves does not wait for a target that is gone', () => {
      leavesDuringTransfer(protocol, world);
      leavesDuringTransfer(protocol, world, 4 * electionMin);
    });

    it('with nobody else left, a transfer to a member that is gone ends when the leader leaves', () => {
      const { cluster, leader } = led(protocol, world);
      for (const id of othersOf(cluster, leader)) cluster.kill(id);
      cluster.run(electionMin / 2);
      const request = cluster.transfer(leader, othersOf(cluster, leader)[0]);
      cluster.give(leader, { kind: 'leave' });
      const end = endOf(cluster, leader, request, electionMin);
      expect(end?.kind).toMatch(/none|unknown/);
    });

    it('liveness/stalled-disk-gives-way: a leader whose disk hangs hands over', () => {
      hungDiskGivesWay(protocol, world);
    });

    it('a target that lags is caught up first, and proposals are taken until then', () => {
      catchesUpFirst(protocol, world);
    });

    it('liveness/silent-target-is-given-up: the leader leads on, and takes proposals', () => {
      silentTargetIsGivenUp(protocol, world);
    });

    it('without a target another one is tried when the best does not answer, or refuses', () => {
      const { cluster, leader } = led(protocol, world);
      const [gone, leaver] = othersOf(cluster, leader) as [string, string];
      if (world.size === 5) cluster.kill(gone);
      cluster.give(leaver, { kind: 'leave' });
      const end = endOf(cluster, leader, cluster.transfer(leader), 4 * electionMin);
      expect(end?.kind).toBe('transferred');
      cluster.run(electionMin, () => ![null, leader].includes(cluster.leader()));
      expect([gone, leaver].slice(world.size === 5 ? 0 : 1)).not.toContain(cluster.leader());
      expect(cluster.leader()).not.toBe(leader);
    });

    it('with nobody left to take over it ends at once', () => {
      const { cluster, leader } = led(protocol, world);
      for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'leave' });
      const end = endOf(cluster, leader, cluster.transfer(leader), fewExchanges(world) * world.size);
      expect(end).toMatchObject({ kind: 'none', reason: 'noTarget' });
      expect(cluster.leader()).toBe(leader);
    });
  });

  it('is asked of the leader, once at a time, for another member', () => {
    const { cluster, leader } = led(protocol, WORLDS[1]);
    const [b, c] = othersOf(cluster, leader) as [string, string];
    const ends = (id: string, request: number): unknown => cluster.host(id).ends.get(request);
    expect(ends(b, cluster.transfer(b))).toEqual({ kind: 'none', reason: 'notLeader', leader });
    expect(() => cluster.transfer(leader, leader)).toThrow(RangeError);
    expect(() => cluster.transfer(leader, 'x')).toThrow(RangeError);
    expect(ends(leader, cluster.transfer(leader, b, 0))).toMatchObject({ kind: 'none', reason: 'deadline' });
    const first = cluster.transfer(leader, b);
    expect(ends(leader, cluster.transfer(leader, c))).toMatchObject({ kind: 'none', reason: 'busy' });
    cluster.give(leader, { kind: 'cancel', requests: [first] });
    expect(ends(leader, first)).toMatchObject({ kind: 'unknown', reason: 'cancelled' });
    const last = cluster.transfer(leader, c);
    cluster.give(leader, { kind: 'stop' });
    expect(ends(leader, last)).toMatchObject({ kind: 'unknown', reason: 'stopped' });
  });

  it('alone, a leader has nobody to hand over to, and its disk may hang', () => {
    const { cluster, leader } = led(protocol, { size: 1 });
    const end = cluster.host(leader).ends.get(cluster.transfer(leader));
    expect(end).toEqual({ kind: 'none', reason: 'noTarget', leader });
    cluster.host(leader).hung = true;
    cluster.propose(leader, 1, 1);
    cluster.run(10 * electionMax);
    expect(cluster.leader()).toBe(leader);
  });

  it('behind a disk that hangs a leader without peers that answer takes nothing more, and steps down', () => {
    const { cluster, leader } = led(protocol, WORLDS[0]);
    for (const id of othersOf(cluster, leader)) cluster.cuts.add(`${leader}>${id}`);
    cluster.host(leader).hung = true;
    cluster.propose(leader, 1, 1000);
    cluster.run(electionMin + 1);
    cluster.propose(leader, 100, 1000);
    expect(cluster.status(leader).uncommittedBytes).toBeLessThan(3000);
    cluster.run(2 * electionMin);
    expect(cluster.status(leader).role).toBe('follower');
  });
});
