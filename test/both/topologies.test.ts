/**
 * A partition of any kind that leaves a member with a majority ends with a leader that commits
 * (liveness/any-topology): every fourth of the 998 static topologies of five members, and in the deep suite all of them,
 * with messages and disks that take time.
 */

import { expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { swept } from '../amount.js';
import type { SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { linksOf, timeToCommit, topologies, type Course } from './topologies.js';

/** At most so many of the longest election timeouts pass until a command is committed. */
const BAR = 5 * timing.electionMax;
/**
 * Here only `n2` reaches a majority, it lacks what is committed, and whoever has it reaches nobody but `n2`. Where the
 * last leader still reaches `n2`, it brings it up before it gives way.
 */
const BEYOND_RAFT = ['n1-n5 n2-n3 n2-n4', 'n1-n2 n2-n5 n3-n4', 'n1-n2 n2-n3 n4-n5'];

type Shape = Omit<Course, 'seed'>;

/** The topologies in which nothing is committed in time. */
function late(protocol: SlowOptions['protocol'], shape: Shape): readonly string[] {
  const all = topologies();
  expect(all).toHaveLength(998);
  const taken = all.filter((each, at) => swept(at, 4, shape.roundTrip) || BEYOND_RAFT.includes(linksOf(each)));
  const found = taken.filter((each) => timeToCommit(protocol, each, { ...shape, seed: 1 + (each.bits % 97) }) > BAR);
  return found.map(linksOf);
}

it.each<Shape>([
  { roundTrip: 20, behind: null },
  { roundTrip: 300, behind: null },
  { roundTrip: 20, behind: 'n2' },
])('Multi-Paxos commits in every one: %j', (shape) => {
  expect(late(multipaxosProtocol, shape)).toEqual([]);
});

it.each<Shape>([
  { roundTrip: 20, behind: null },
  { roundTrip: 300, behind: null },
])('Raft commits in every one while all logs are equal: %j', (shape) => {
  expect(late(raftProtocol, shape)).toEqual([]);
});

it('Raft cannot where the only member with a majority lacks what is committed', () => {
  expect(late(raftProtocol, { roundTrip: 20, behind: 'n2' })).toEqual(BEYOND_RAFT);
});
