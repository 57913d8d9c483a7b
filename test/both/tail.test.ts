/** The tail of the log in memory, on links that take time. */

import { it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { tailByNeed } from './tail.js';

it.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s: entries stay in memory while somebody who answers needs them', (_, protocol) => {
  tailByNeed(protocol);
});
