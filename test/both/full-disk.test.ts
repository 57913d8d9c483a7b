/** Replicas whose storage is full: in both protocols, where everything takes time. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { SlowCluster } from '../slow-links.js';
import { timing } from '../values.js';
import { led } from './disturb.js';
import { fullDiskGivesWay, fullVoter, nobodyHasSpace, refusedIsDead } from './full-disk.js';

const WORLDS = [
  { size: 3, roundTrip: 2, write: 1 },
  { size: 3, roundTrip: 300, write: 150 },
  { size: 5, roundTrip: 40, write: 10 },
] as const;

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  describe.each(WORLDS)('$size members, round trip $roundTrip ms, sync $write ms', (world) => {
    it('liveness/full-disk-gives-way: a leader without space hands over', () => {
      fullDiskGivesWay(protocol, world);
    });

    it('liveness/refused-handover-is-dead: a copy that comes when there is space has no effect', () => {
      refusedIsDead(protocol, world);
    });

    it.each([false, true])('nobody has space, and the disk of the leader is stuck: %s', (stuck) => {
      nobodyHasSpace(protocol, world, stuck);
    });
  });

  it.each([false, true])('liveness/full-disk-votes-if-it-can: a full voter whose disk is stuck: %s', (stuck) => {
    fullVoter(protocol, stuck);
  });

  it('alone it leads on, takes nothing, and goes on when there is space', () => {
    const { cluster, leader } = led(protocol, { size: 1 });
    cluster.give(leader, { kind: 'storageFull', full: true });
    const { last } = cluster.status(leader);
    cluster.propose(leader, 1, 10);
    cluster.run(5 * timing.electionMax);
    expect([...cluster.host(leader).ends.values()]).toEqual([{ kind: 'none', reason: 'storageFull', leader }]);
    expect(cluster.leader()).toBe(leader);
    cluster.give(leader, { kind: 'storageFull', full: false });
    cluster.propose(leader, 1, 10);
    cluster.run(10);
    expect(cluster.status(leader)).toMatchObject({ last: last + 1, commit: last + 1 });
  });

  it('alone it leads on even when it is full before its vote is durable', () => {
    const cluster = new SlowCluster({ protocol, size: 1, write: 10 });
    const id = 'n1';
    cluster.give(id, { kind: 'storageFull', full: true });
    expect(cluster.run(100, () => cluster.leader() === id)).toBe(true);
  });

  it('what is asked again while nothing changed changes nothing', () => {
    const { cluster, leader } = led(protocol, WORLDS[0]);
    const { state } = cluster.host(leader);
    cluster.give(leader, { kind: 'storageFull', full: false });
    expect(cluster.host(leader).state).toBe(state);
  });
});
