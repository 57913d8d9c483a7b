/** A follower whose disk hangs, or is slow, while the cluster goes on. */

import { it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { hungFollower, outrunFollower } from './swamped.js';

const cores = [
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const;

it.each(cores)('%s: it holds a bounded amount in memory, and is level when its disk works again', (_, protocol) => {
  hungFollower(protocol);
});

it.each(cores)('%s: it learns what it missed while new entries keep its disk writing', (_, protocol) => {
  outrunFollower(protocol);
});
