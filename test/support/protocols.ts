/** Both protocols with their own invariants, for tests with one body. */

import * as multipaxos from '../../src/multipaxos/index.js';
import * as raft from '../../src/raft/index.js';
import type { AnyProtocol } from './host.js';

export const protocols: readonly (readonly [name: string, protocol: AnyProtocol])[] = [
  ['raft', raft.raftProtocol as AnyProtocol],
  ['multipaxos', multipaxos.multipaxosProtocol as AnyProtocol],
];
