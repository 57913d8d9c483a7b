/** The public names of `quorate`: replicas and their interfaces, both protocols, adapters in memory, errors. */

export { createReplica } from './replica/replica.js';
export type { ReadOptions, Replica, RequestOptions, WithIndex } from './replica/replica.js';
export type { AnyMachine, CommandOf, ReplicaOptions, ResultOf } from './replica/options.js';
export type { Leadership } from './replica/leadership.js';
export type { Phase, ReplicaEvent, ReplicaStatus } from './replica/driver/state.js';
export { CommandRejected, ConsensusError } from './replica/errors.js';
export type { ErrorCode, ErrorDetails, RequestOutcome } from './replica/errors.js';
export { jsonCodec } from './replica/state-machine.js';
export type { StateMachine, ValueCodec } from './replica/state-machine.js';
export type { Opened, Storage, StorageOp, StoredEntry, StoredRun } from './replica/storage.js';
export type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
} from './replica/transport.js';
export type { Cancellable, Clock } from './replica/clock.js';
export { raft } from './raft/protocol.js';
export { multipaxos } from './multipaxos/protocol.js';
export type { ProtocolChoice, Tuning } from './core/tuning.js';
export type { Constants, Member } from './core/members.js';
export { memoryNetwork, memoryStorage } from './adapters/memory.js';
