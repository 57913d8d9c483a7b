/** Raft (Ongaro & Ousterhout 2014) as a pure function: what `quorate/raft` gives out, with its model for rigs. */

export { raft, raftProtocol } from './protocol.js';
export { raftModel } from './evidence/model.js';
export type { RaftMessage } from './messages.js';
export type { RaftGhost } from './evidence/ghost.js';
export type { RaftState } from './state.js';
