/** Both protocols with their own invariants, for tests with one body. */

import * as raft from '../../src/raft/index.js';
import type { AnyProtocol } from './host.js';

export const protocols: readonly (readonly [name: string, protocol: AnyProtocol])[] = [
  ['raft', { ...raft.raftProtocol, checkState: raft.checkState, checkStep: raft.checkStep } as AnyProtocol],
];
