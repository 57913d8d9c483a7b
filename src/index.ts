/** The public names of `quorate`: replicas and their interfaces, both protocols, adapters in memory, errors. */

export { createReplica } from './replica/replica.js';
export type {
  CloseOptions,
  CompactOptions,
  Compaction,
  ReadOptions,
  Replica,
  RequestOptions,
  TransferOptions,
  WithIndex,
  WithMeta,
  WithoutMeta,
} from './replica/replica.js';
export type { AnyMachine, CommandOf, InlineOptions, ReplicaOptions, ResultOf } from './replica/options.js';
export type { ClientSession, SequenceOptions, SessionOptions } from './replica/session.js';
export type { AppliedChange, Change, ChangesOptions, RejectedChange } from './replica/changes.js';
export type { Leadership, PlatformSignal } from './replica/leadership.js';
export type { PeerView, Phase, ReplicaEvent, ReplicaStatus } from './replica/driver/state.js';
export type { PeerHealth } from './replica/driver/health.js';
export type { FirstStart } from './replica/driver/first-start.js';
export type { RoundTrip, TimingPart, TimingStatus } from './replica/driver/timing.js';
export type { PullStatus } from './replica/driver/pull-state.js';
export type { DiskStatus } from './replica/driver/disk-status.js';
export type { WaitingBytes } from './replica/driver/waiting-bytes.js';
export { ChangesTrimmed, CommandRejected, ConsensusError } from './replica/errors.js';
export type { ErrorCode, ErrorDetails, RequestOutcome } from './replica/errors.js';
export { jsonCodec } from './replica/state-machine.js';
export type { SnapshotPolicy } from './replica/driver/snapshots.js';
export type { ApplyContext, StateMachine, StreamingStateMachine, ValueCodec } from './replica/state-machine.js';
export type {
  Opened,
  PartialFile,
  PartialSnapshots,
  SnapshotStore,
  Storage,
  StorageListener,
  StorageNotice,
  StorageOp,
  StorageStatus,
  StoredEntry,
  StoredRun,
} from './replica/storage.js';
export type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
  TransportTiming,
  UnsentBytes,
} from './replica/transport.js';
export type { Cancellable, Clock } from './replica/clock.js';
export type { Given, ProtocolChoice, Tuning } from './core/tuning.js';
export type { Limits, Timing } from './core/protocol.js';
export type { Constants, GivenMember, Member } from './core/members.js';
export { memoryNetwork, memoryStorage } from './adapters/memory.js';
export type { MemoryNetwork, MemoryNetworkOptions } from './adapters/memory-network.js';

import { multipaxos as chooseMultipaxos } from './multipaxos/protocol.js';
import { raft as chooseRaft } from './raft/protocol.js';
import { checkedChoice, type ChooseProtocol } from './replica/protocol-choice.js';

/** Raft. @throws ConsensusError ERR_INVALID_ARGUMENT that names the setting and what was expected */
export const raft: ChooseProtocol = checkedChoice(chooseRaft);
/** Multi-Paxos. @throws ConsensusError ERR_INVALID_ARGUMENT that names the setting and what was expected */
export const multipaxos: ChooseProtocol = checkedChoice(chooseMultipaxos);
