/**
 * Multi-Paxos (Lamport 2001, "Paxos Made Simple", §3) as pure functions: the exports of `quorate/multipaxos`, its model
 * for rigs included.
 */

export { multipaxosModel } from './evidence/model.js';
export { multipaxos, multipaxosProtocol } from './protocol.js';
export type { PaxosMessage } from './messages.js';
export type { PaxosState } from './state.js';
export { ballotOf, numberOf, roundOf } from './ballot.js';
export type { PaxosGhost } from './evidence/ghost.js';
