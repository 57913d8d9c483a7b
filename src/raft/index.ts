/** Raft (Ongaro & Ousterhout 2014) as a pure function; `raft()` chooses it for a replica. */

import { choose, type ProtocolChoice, type Tuning } from '../core/tuning.js';
import { raftProtocol } from './protocol.js';

/**
 * Raft, with these settings.
 * @throws RangeError that names the setting and what was expected
 */
export function raft(tuning: Tuning = {}): ProtocolChoice {
  return choose(raftProtocol, tuning);
}

export { raftProtocol } from './protocol.js';
export { raftModel } from './evidence/model.js';
export type { RaftMessage } from './messages.js';
export type { RaftGhost } from './evidence/safety.js';
export type { RaftState } from './state.js';
export { checkState, checkStep } from './invariants.js';
