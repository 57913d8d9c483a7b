/**
 * The types of the driver: its state, its events and its effects. The driver has the core's shape,
 * `(state, event) → [state, effects]`, so that a simulation can run the shipped driver and fork it.
 */

import type { Configuration, Member, ReplicaId } from '../../core/members.js';
import type {
  Entry,
  Index,
  Lane,
  Limits,
  Milliseconds,
  PeerStatus,
  Recovered,
  RequestNumber,
  Role,
  Status,
  Term,
  Timing,
} from '../../core/protocol.js';
import type { ErrorCode, RequestOutcome } from '../errors.js';
import type { StorageNotice, StorageOp, StoredEntry } from '../storage.js';
import type { ApplyingState } from './apply.js';
import type { CallsState } from './calls.js';
import type { CompactEvent, CompactedEffect, CompactionsState } from './compactions.js';
import type { StoredStatus } from './disk-status.js';
import type { FirstStart } from './first-start.js';
import type { IdentityState } from './peer-records.js';
import type { LeadershipState } from './leadership.js';
import type { PersistLane } from './persist-lane.js';
import type { ProposalsState } from './commands.js';
import type { HealthState, PeerHealth } from './health.js';
import type { PullingState, PullStatus } from './pull-state.js';
import type { ReadsState } from './reads.js';
import type { OwnSession } from './session.js';
import type { SnapshotInput, SnapshotOutput, SnapshotReport } from './snapshot-events.js';
import type { SourcesState } from './snapshot-sources.js';
import type { FoundSnapshots, SnapshotPolicy, SnapshotsState } from './snapshots.js';
import type { StoredResult } from './session-table.js';
import type { TimingPart, TimingState, TimingStatus } from './timing.js';
import type { TransfersState } from './transfers.js';
import type { WaitingBytes } from './waiting-bytes.js';

/** The incarnation recorded durably for a peer: a note, which another may replace, or final. */
export interface PeerRecord {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly final: boolean;
}

/** The settings of one start of a replica, which do not change during it. */
export interface DriverOptions {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly boot: number;
  readonly cluster: string;
  readonly configuration: Configuration;
  /** Compared with the peers' at a first start. */
  readonly configurationHash: string;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly preVote: boolean;
  /** Fresh at each start, unless the user fixes it. */
  readonly seed: number;
  /** 32 random bits, fresh at each start whatever the seed: they tell a start from one of a copy of its storage. */
  readonly start: number;
  readonly now: Milliseconds;
  /** By how many milliseconds the wall clock is ahead of `now`, a whole number; absent when it is not known. */
  readonly ahead?: Milliseconds;
  /** The durable flag: enough peers hold final records of this incarnation, so it need not ask again. */
  readonly established: boolean;
  /** The records of peers as recovered from storage. */
  readonly peers: readonly PeerRecord[];
  /** How many requests may wait here, and how many bytes of commands; more fail with ERR_BUSY. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** When a snapshot is taken; `null`: never. */
  readonly snapshotPolicy: SnapshotPolicy | null;
  /** Whether the storage keeps snapshots, so that one can be pulled from a peer. */
  readonly storesSnapshots: boolean;
  /** The snapshots in storage, of which the machine restores the newest first. */
  readonly snapshots: FoundSnapshots;
}

/** A member as the transport is to reach it; with an incarnation every other one is refused. */
export interface PeerToReach {
  readonly id: ReplicaId;
  readonly address: string;
  readonly incarnation?: number;
}

/** A request of a caller that has not ended. */
export interface PendingCall {
  /** The number by which the host knows the caller; later callers have higher ones. */
  readonly call: number;
  readonly deadline: Milliseconds;
}

export interface PendingCommand extends PendingCall {
  readonly data: Uint8Array;
  /** Of a client's session; by default it is for the machine. */
  readonly kind?: 'command' | 'session';
  /** It renews a client's session, and is not refused for the sake of this replica's own space or bounds. */
  readonly renews?: boolean;
}

/** Why a replica halted. */
export interface Fault {
  readonly code: ErrorCode;
  readonly reason: string;
  /** What was thrown; opaque, for people. */
  readonly cause?: unknown;
}

/**
 * `establishing`: a first start asks the peers to record this replica; the core does not exist yet, and will start
 * from `recovered`. `running`: the core runs. `lostIdentity`: a peer's final record names another incarnation for this
 * id, so the replica takes no part but answers what others ask at their first starts. `halted`: storage or machine
 * failed, or a rule was broken. `stopped`: closed. The core's state is opaque here; after the end it is kept for
 * `status`, and is `null` if the core never ran.
 */
export type DriverPhase =
  | { readonly kind: 'establishing'; readonly recovered: Recovered }
  | { readonly kind: 'running'; readonly core: unknown }
  | { readonly kind: 'lostIdentity' }
  | { readonly kind: 'halted'; readonly fault: Fault; readonly core: unknown }
  | { readonly kind: 'stopped'; readonly fault: Fault | null; readonly core: unknown };

/**
 * What a replica does: `establishing` (a first start), `running`, `lostIdentity` (its disk was lost, it takes no part),
 * `halted` (by a fault) or `stopped` (closed).
 */
export type Phase = DriverPhase['kind'];

/** The state of a driver. Each part is changed only by the verbs of the file that declares its type. */
export interface DriverState {
  readonly options: DriverOptions;
  readonly now: Milliseconds;
  readonly phase: DriverPhase;
  /** The number of the last request to the core. */
  readonly lastRequest: RequestNumber;
  readonly lane: PersistLane;
  readonly identity: IdentityState;
  readonly leadership: LeadershipState;
  readonly applying: ApplyingState;
  readonly session: OwnSession;
  readonly snapshots: SnapshotsState;
  readonly sources: SourcesState;
  readonly pulling: PullingState;
  readonly compactions: CompactionsState;
  readonly calls: CallsState;
  readonly proposals: ProposalsState;
  readonly reads: ReadsState;
  readonly timing: TimingState;
  readonly transfers: TransfersState;
  readonly health: HealthState;
  /** By how many milliseconds the wall clock is ahead of the monotonic one; `null` when it is not known. */
  readonly ahead: Milliseconds | null;
}

/** What confirms a read that is linearizable: a round of the leader, its lease, or a quorum without the leader. */
export type ReadWay = 'leader' | 'lease' | 'quorum';

/** The events that the host reports to a driver. `now` is in monotonic milliseconds. */
export type DriverEvent = { readonly now: Milliseconds } & (
  | { readonly kind: 'message'; readonly from: ReplicaId; readonly bytes: Uint8Array }
  | { readonly kind: 'tick' }
  /** A timer of the host fired so many milliseconds late, whether or not a tick is still due. */
  | { readonly kind: 'late'; readonly by: Milliseconds }
  | { readonly kind: 'propose'; readonly commands: readonly PendingCommand[] }
  /** Linearizable if `minIndex` is `null`; else stale, served once that index is applied. */
  | {
      readonly kind: 'read';
      readonly calls: readonly PendingCall[];
      readonly minIndex: Index | null;
      /** By whom it is confirmed: the leader, the leader by lease, or a quorum. */
      readonly by?: ReadWay;
      /** Of stale reads: the most milliseconds since the state here was known to be fresh. */
      readonly maxAge?: Milliseconds;
    }
  /** Transfer the leadership to that member, or to the best candidate. */
  | { readonly kind: 'transfer'; readonly call: PendingCall; readonly to: ReplicaId | null }
  | CompactEvent
  /** The replica is about to close: it drains and hands over, and says `left`, at the deadline at the latest. */
  | { readonly kind: 'leave'; readonly deadline: Milliseconds }
  | { readonly kind: 'cancel'; readonly calls: readonly number[] }
  /** The write under way is durable. */
  | { readonly kind: 'written' }
  /** What was to make room is. */
  | { readonly kind: 'roomMade' }
  | {
      readonly kind: 'storageFailed';
      /** ERR_STORAGE_FAILED by default. */
      readonly code?: ErrorCode;
      readonly reason: string;
      readonly cause?: unknown;
    }
  /** The storage has no more space, or has space again. */
  | { readonly kind: 'storageFull'; readonly full: boolean }
  | { readonly kind: 'loaded'; readonly id: number; readonly entries: readonly StoredEntry[] }
  /** The machine has applied the next entries of the last `apply`, one or more, with one result for each. */
  | {
      readonly kind: 'applied';
      readonly results: readonly StoredResult[];
      /** When the machine asks to be woken, in log time; `Infinity`, or absent: never. */
      readonly wakeAt?: Milliseconds;
    }
  /** The machine was woken, as the last effect asked. */
  | { readonly kind: 'woken'; readonly wakeAt: Milliseconds }
  /** The wall clock is by another whole number of milliseconds ahead of the monotonic one than was told before. */
  | { readonly kind: 'wallClock'; readonly ahead: Milliseconds }
  /** A plug-in or the host itself failed: the replica halts. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly reason: string; readonly cause?: unknown }
  | SnapshotInput
  /** The transport refused the message that carried this forward: it never left. */
  | { readonly kind: 'unsent'; readonly forward: number }
  /** A connection with this peer was lost, and perhaps what was under way on its lane. */
  | { readonly kind: 'disconnected'; readonly peer: ReplicaId; readonly lane: Lane }
  /** The host slept. */
  | { readonly kind: 'resumed' }
  /** The control connection to this peer was lost, and one immediate attempt to connect again failed. */
  | { readonly kind: 'unreachable'; readonly peer: ReplicaId }
  /** A peer's transport refused this replica; `incarnation`: it knows this id by other data. */
  | {
      readonly kind: 'refused';
      readonly peer: ReplicaId;
      readonly why: 'incarnation' | 'other';
      readonly reason: string;
    }
  | { readonly kind: 'campaign' }
  | { readonly kind: 'stop' }
);

/** An event without its time. */
export type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

/** The end of a call that failed. */
export interface Failure {
  readonly code: ErrorCode;
  readonly outcome: RequestOutcome;
  readonly message: string;
  /** The fault's, on a replica that has halted. */
  readonly cause?: unknown;
}

/** The effects that the host carries out for a driver, in order. */
export type DriverEffect =
  /** Of a forward its number: if the transport refuses the message, the host says `unsent`. */
  | {
      readonly kind: 'send';
      readonly to: ReplicaId;
      readonly bytes: Uint8Array;
      readonly lane: Lane;
      readonly forward?: number;
    }
  /** Make these operations durable; the next `write` comes after `written`. */
  | { readonly kind: 'write'; readonly ops: readonly StorageOp[] }
  /** The same on a full disk, beside a write that may wait for the space that these give; they are written again. */
  | { readonly kind: 'makeRoom'; readonly ops: readonly StorageOp[] }
  | { readonly kind: 'load'; readonly id: number; readonly from: Index; readonly to: Index; readonly maxBytes: number }
  /**
   * Apply these entries to the machine in order; the next `apply` comes when all are reported. Their time is log time;
   * the machine is woken before the first one whose time reaches `wakeAt`; `null`: it is not woken at all.
   */
  | { readonly kind: 'apply'; readonly entries: readonly Entry[]; readonly wakeAt: Milliseconds | null }
  /** Wake the machine, at this entry, which has no command for it; answered by `woken`. */
  | { readonly kind: 'wake'; readonly index: Index; readonly time: Milliseconds }
  | SnapshotOutput
  | { readonly kind: 'answer'; readonly call: number; readonly result: StoredResult; readonly index: Index }
  /** Let these callers read the machine now, in the state after the entry at `index`. */
  | { readonly kind: 'serve'; readonly calls: readonly number[]; readonly index: Index }
  /** This caller's transfer has succeeded: that member leads. */
  | { readonly kind: 'transferred'; readonly call: number; readonly leader: ReplicaId }
  | CompactedEffect
  /** The replica has left: it may be stopped. */
  | { readonly kind: 'left' }
  | { readonly kind: 'fail'; readonly calls: readonly number[]; readonly failure: Failure }
  /** Reach these members, this one among them, and refuse other incarnations of them where one is named. */
  | { readonly kind: 'peers'; readonly members: readonly PeerToReach[] }
  | { readonly kind: 'event'; readonly event: ReplicaEvent };

/** The events of a replica for applications and operators (`Replica.on`, `onEvent`). */
export type ReplicaEvent =
  /** The role, the term (in Multi-Paxos the ballot) or the known leader changed. */
  | { readonly kind: 'role'; readonly role: Role; readonly term: Term; readonly leader: ReplicaId | null }
  /** The replica began to lead, with the fencing token `fence` (its no-op is applied here), or ceased to. */
  | { readonly kind: 'leadership'; readonly leading: boolean; readonly term: Term; readonly fence: Index }
  /** A first start is complete: enough peers hold final records of this replica. */
  | { readonly kind: 'established' }
  /** `peer` knows this id by other data for good: this replica's disk was lost, and it takes no part. */
  | { readonly kind: 'lostIdentity'; readonly peer: ReplicaId }
  /** `peer` was given other members or constants for its first start; the two do not record each other. */
  | { readonly kind: 'configurationMismatch'; readonly peer: ReplicaId }
  /** An option differs from the stored value, which stays in force. */
  | { readonly kind: 'optionIgnored'; readonly option: string; readonly reason: string }
  /** A message was dropped: it is malformed, or comes from an incarnation other than the one recorded for `peer`. */
  | { readonly kind: 'dropped'; readonly peer: ReplicaId; readonly reason: string }
  /** The replica halted, for this reason. `cause` is what was thrown, like the machine's own error. */
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly reason: string; readonly cause?: unknown }
  /**
   * The timing assumption ceased to hold, or holds again (`TimingStatus`): `total` milliseconds against `bound`, of
   * which `part` took the most, `measured`. `peer`: with whom, if that is a round trip.
   */
  | {
      readonly kind: 'timing';
      readonly holds: boolean;
      readonly part: TimingPart;
      readonly measured: Milliseconds;
      readonly total: Milliseconds;
      readonly bound: Milliseconds;
      readonly peer: ReplicaId | null;
    }
  /** This replica led and gives way: its disk has made nothing durable for so many milliseconds. */
  | { readonly kind: 'stalled'; readonly waited: Milliseconds }
  /**
   * This replica leads, and its wall clock is far from log time, or no longer: so many milliseconds ahead of it. What
   * the cluster does is unharmed, as long as a majority of the clocks is right.
   */
  | { readonly kind: 'clock'; readonly isOff: boolean; readonly ahead: Milliseconds }
  /** This replica leads, and another member answers it, or does so no longer. */
  | { readonly kind: 'peer'; readonly peer: ReplicaId; readonly health: PeerHealth }
  /** A listener of events of the kind `of` threw; told once for each listener. `cause` is what it threw. */
  | { readonly kind: 'listenerFailed'; readonly of: string; readonly reason: string; readonly cause?: unknown }
  | SnapshotReport
  /** An event of the storage; see `StorageNotice`. */
  | {
      readonly kind: 'storage';
      readonly event: StorageNotice['kind'];
      readonly reason: string;
      readonly cause?: unknown;
    }
  /** An event of the transport; see `TransportEvent`. */
  | {
      readonly kind: 'transport';
      readonly event: 'refused' | 'malformed' | 'connected' | 'disconnected' | 'unresolved';
      readonly peer: ReplicaId | null;
      readonly reason: string;
    };

/** The status of a replica as its driver knows it. */
export interface DriverStatus extends Status {
  readonly peers: readonly PeerView[];
  readonly cluster: string;
  readonly protocol: string;
  readonly incarnation: number;
  readonly boot: number;
  readonly phase: Phase;
  /** Why the first start waits, or ended with a lost identity; `null` once this replica takes part. */
  readonly firstStart: FirstStart | null;
  readonly leading: boolean;
  readonly members: readonly Member[];
  /** Log time at what is applied here, in milliseconds since the epoch; 0 before any is known. */
  readonly logTime: Milliseconds;
  /** The snapshots that it keeps, newest first, with the sizes of their files. */
  readonly snapshots: readonly { readonly index: Index; readonly bytes: number }[];
  /** The snapshot that is pulled from a peer; `null` when none is. */
  readonly pulling: PullStatus | null;
  /** The machine is being restored from a snapshot, or is about to be: nothing else touches it. */
  readonly restoring: boolean;
  /** The number of requests of this replica's own callers that have not ended. */
  readonly waiting: number;
  /** Where bytes wait. */
  readonly bytes: WaitingBytes;
  /** Whether the timing assumption holds, and what was measured. */
  readonly timing: TimingStatus;
}

/** The progress and the health of one peer, as the leader knows it. */
export interface PeerView extends PeerStatus {
  readonly health: PeerHealth;
}

/** The status of a replica, for operators. */
export interface ReplicaStatus extends DriverStatus, StoredStatus {
  /** The members that this replica can send to now. */
  readonly connected: readonly ReplicaId[];
  /** What the transport has not yet passed on, by peer; `null` if it cannot tell. */
  readonly unsent: readonly { readonly peer: ReplicaId; readonly bytes: number }[] | null;
}
