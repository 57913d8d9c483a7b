/** A follower whose disk hangs while the cluster goes on. */

import { it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { hungFollower } from './swamped.js';

it.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s: it holds a bounded amount in memory, and is level when its disk works again', (_, protocol) => {
  hungFollower(protocol);
});
