/** Raft (Ongaro and Ousterhout 2014) as pure functions: the exports of `quorate/raft`, its model for rigs included. */

export { raft, raftProtocol } from './protocol.js';
export { raftModel } from './evidence/model.js';
export type { RaftMessage } from './messages.js';
export type { RaftGhost } from './evidence/ghost.js';
export type { RaftState } from './state.js';
