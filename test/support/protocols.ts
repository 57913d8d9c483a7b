/** Both protocols with their own invariants, for tests with one body. */

import * as multipaxos from '../../src/multipaxos/index.js';
import * as raft from '../../src/raft/index.js';
import type { AnyProtocol } from './host.js';

const paxosChecks = { checkState: multipaxos.checkState, checkStep: multipaxos.checkStep };
const raftChecks = { checkState: raft.checkState, checkStep: raft.checkStep };

export const protocols: readonly (readonly [name: string, protocol: AnyProtocol])[] = [
  ['raft', { ...raft.raftProtocol, ...raftChecks } as AnyProtocol],
  ['multipaxos', { ...multipaxos.multipaxosProtocol, ...paxosChecks } as AnyProtocol],
];
