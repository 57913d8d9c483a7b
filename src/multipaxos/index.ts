/**
 * Multi-Paxos ("Paxos Made Simple", slot by slot) as a pure function: all that `quorate/multipaxos` gives out, with the
 * model that a rig needs.
 */

export { multipaxosModel } from './evidence/model.js';
export { multipaxos, multipaxosProtocol } from './protocol.js';
export type { PaxosMessage } from './messages.js';
export type { PaxosState } from './state.js';
export { ballotOf, numberOf, roundOf } from './ballot.js';
export type { PaxosGhost } from './evidence/ghost.js';
