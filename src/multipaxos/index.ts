/** Multi-Paxos ("Paxos Made Simple", slot by slot) as a pure function; `multipaxos()` chooses it for a replica. */

import { choose, type ProtocolChoice, type Tuning } from '../core/tuning.js';
import { multipaxosProtocol } from './protocol.js';

/**
 * Multi-Paxos, with these settings.
 * @throws RangeError that names the setting and what was expected
 */
export function multipaxos(tuning: Tuning = {}): ProtocolChoice {
  return choose(multipaxosProtocol, tuning);
}

export { multipaxosModel } from './evidence/model.js';
export { multipaxosProtocol } from './protocol.js';
export type { PaxosMessage } from './messages.js';
export type { PaxosState } from './state.js';
export { ballotOf, numberOf, roundOf } from './ballot.js';
export type { PaxosGhost } from './evidence/safety.js';
export { checkState, checkStep } from './invariants.js';
