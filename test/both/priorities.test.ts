/** Priorities of members, in both protocols, where everything takes time. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { steadyTime } from '../../src/core/priority.js';
import { SlowCluster } from '../slow-links.js';
import { timing } from '../values.js';
import {
  flapping,
  higherPriorityLeads,
  preferredInTime,
  preferredInVain,
  preferredUnderLoad,
  preferredWhileHung,
  preferredWins,
  zeroComesLast,
} from './priorities.js';

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  it('liveness/lower-priority-waits: mostly the highest priority that is there wins', () => {
    expect(preferredWins(protocol, 20)).toBeGreaterThan(0.7);
  });

  it.each([
    { size: 3, roundTrip: 2, write: 1 },
    { size: 3, roundTrip: 300, write: 150 },
    { size: 5, roundTrip: 40, write: 10 },
  ])('liveness/higher-priority-leads: of $size members, round trip $roundTrip ms', (world) => {
    higherPriorityLeads(protocol, world);
  });

  it('who comes and goes does not lead', () => {
    flapping(protocol);
  });

  it('who could not win is not handed the leadership', () => {
    preferredInVain(protocol);
  });

  it('nobody is handed the leadership too late', () => {
    preferredInTime(protocol);
  });

  it('a leader whose disk hangs waits for nobody whom it prefers', () => {
    preferredWhileHung(protocol);
  });

  it.each([
    { size: 3, roundTrip: 200, write: 20 },
    { size: 3, roundTrip: 380, write: 20 },
    { size: 5, roundTrip: 300, write: 150 },
  ])('who is preferred takes over under load: of $size members, round trip $roundTrip ms', (world) => {
    for (let seed = 1; seed <= 10; seed++) preferredUnderLoad(protocol, world, seed);
  });

  it('priority 0 comes last', () => {
    zeroComesLast(protocol);
  });

  it('where all are alike nobody is preferred', () => {
    const cluster = new SlowCluster({ protocol, priorities: [0, 0, 0] });
    cluster.run(4 * timing.electionMax, () => cluster.leader() !== null);
    const leader = cluster.leader();
    expect(leader).not.toBeNull();
    cluster.run(3 * steadyTime({ timing }));
    expect(cluster.leader()).toBe(leader);
  });
});
