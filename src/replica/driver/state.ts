/**
 * The driver as a value: what it knows, what can happen to it, what it wants done. It has the core's shape,
 * `(state, event) → [state, effects]`, so that a simulation can run this very driver, and fork it.
 */

import type { Configuration, Member, ReplicaId } from '../../core/members.js';
import type {
  Entry,
  Index,
  Lane,
  Limits,
  Milliseconds,
  Recovered,
  RequestNumber,
  Role,
  Status,
  Term,
  Timing,
} from '../../core/protocol.js';
import type { ErrorCode, RequestOutcome } from '../errors.js';
import type { StorageOp, StoredEntry } from '../storage.js';
import type { ApplyingState } from './apply.js';
import type { CallsState } from './calls.js';
import type { IdentityState } from './identity.js';
import type { PersistLane } from './lane.js';
import type { LeadershipState } from './leadership.js';
import type { ProposalsState } from './proposals.js';
import type { ReadsState } from './reads.js';
import type { OwnSession } from './session.js';
import type { StoredResult } from './session-table.js';

/** Whose data goes by a name, as durably recorded here. */
export interface PeerRecord {
  readonly id: ReplicaId;
  readonly incarnation: number;
}

/** What does not change during a start. */
export interface DriverOptions {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly boot: number;
  readonly cluster: string;
  readonly configuration: Configuration;
  /** Compared before a first start. */
  readonly configurationHash: string;
  readonly timing: Timing;
  readonly limits: Limits;
  /** Fresh at each start. */
  readonly seed: number;
  readonly now: Milliseconds;
  /** Durable: this incarnation is known to its peers, and never asks again. */
  readonly established: boolean;
  /** The incarnations recorded so far. */
  readonly peers: readonly PeerRecord[];
  /** The most requests that may wait here; beyond it they fail as busy. */
  readonly maxWaiting: number;
}

/** What a caller waits for. */
export interface PendingCall {
  /** The host's name for the caller; later ones have higher numbers. */
  readonly call: number;
  readonly deadline: Milliseconds;
}

export interface PendingCommand extends PendingCall {
  readonly data: Uint8Array;
}

/** Why a replica halted. */
export interface Fault {
  readonly code: ErrorCode;
  readonly reason: string;
}

/**
 * `establishing`: first start, the peers are asked to record us; the core does not exist yet, and starts from
 * `recovered`. `running`: the core runs. `lostIdentity`: our name belongs to data that is gone, so we take no part.
 * `halted`: storage, machine or a law of the protocol failed. `stopped`: closed. A core's state is opaque here; of one
 * that runs no more it is kept for `status`, `null` if it never ran.
 */
export type DriverPhase =
  | { readonly kind: 'establishing'; readonly recovered: Recovered }
  | { readonly kind: 'running'; readonly core: unknown }
  | { readonly kind: 'lostIdentity' }
  | { readonly kind: 'halted'; readonly fault: Fault; readonly core: unknown }
  | { readonly kind: 'stopped'; readonly fault: Fault | null; readonly core: unknown };

/** @see DriverPhase */
export type Phase = DriverPhase['kind'];

/** Each part is changed by the verbs of the file that describes it, and by nothing else. */
export interface DriverState {
  readonly options: DriverOptions;
  readonly now: Milliseconds;
  readonly phase: DriverPhase;
  /** The newest number given to a request of ours to the core. */
  readonly lastRequest: RequestNumber;
  readonly lane: PersistLane;
  readonly identity: IdentityState;
  readonly leadership: LeadershipState;
  readonly applying: ApplyingState;
  readonly session: OwnSession;
  readonly calls: CallsState;
  readonly proposals: ProposalsState;
  readonly reads: ReadsState;
}

/** What can happen to a driver. All carry `now`, monotonic milliseconds. */
export type DriverEvent = { readonly now: Milliseconds } & (
  | { readonly kind: 'message'; readonly from: ReplicaId; readonly bytes: Uint8Array }
  | { readonly kind: 'tick' }
  | { readonly kind: 'propose'; readonly commands: readonly PendingCommand[] }
  /** Linearizable, or with `minIndex` as stale as that index allows. */
  | { readonly kind: 'read'; readonly calls: readonly PendingCall[]; readonly minIndex: Index | null }
  | { readonly kind: 'cancel'; readonly calls: readonly number[] }
  /** The write under way is durable. */
  | { readonly kind: 'written' }
  | { readonly kind: 'storageFailed'; readonly reason: string }
  | { readonly kind: 'loaded'; readonly id: number; readonly entries: readonly StoredEntry[] }
  /** The machine has applied what `apply` gave it, one result a command. */
  | { readonly kind: 'applied'; readonly results: readonly StoredResult[] }
  | { readonly kind: 'applyFailed'; readonly code: ErrorCode; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly peer: ReplicaId }
  | { readonly kind: 'campaign' }
  | { readonly kind: 'stop' }
);

/** How a call ended without a result. */
export interface Failure {
  readonly code: ErrorCode;
  readonly outcome: RequestOutcome;
  readonly message: string;
}

/** What a driver wants done, in order. */
export type DriverEffect =
  | { readonly kind: 'send'; readonly to: ReplicaId; readonly bytes: Uint8Array; readonly lane: Lane }
  /** Make durable; never a second one before `written`. */
  | { readonly kind: 'write'; readonly ops: readonly StorageOp[] }
  | { readonly kind: 'load'; readonly id: number; readonly from: Index; readonly to: Index; readonly maxBytes: number }
  /** Give these to the machine, in order; never a second one before `applied`. */
  | { readonly kind: 'apply'; readonly entries: readonly Entry[] }
  | { readonly kind: 'answer'; readonly call: number; readonly result: StoredResult; readonly index: Index }
  /** Read the machine now: it is as far as these callers need. */
  | { readonly kind: 'serve'; readonly calls: readonly number[]; readonly index: Index }
  | { readonly kind: 'fail'; readonly calls: readonly number[]; readonly failure: Failure }
  | { readonly kind: 'peers'; readonly members: readonly Member[] }
  | { readonly kind: 'event'; readonly event: ReplicaEvent };

/** What a replica tells people. Nothing depends on it. */
export type ReplicaEvent =
  /** The role, the term (in Multi-Paxos the ballot) or the known leader changed. */
  | { readonly kind: 'role'; readonly role: Role; readonly term: Term; readonly leader: ReplicaId | null }
  /** `leading` became true with the entry at `fence` applied here, or false. */
  | { readonly kind: 'leadership'; readonly leading: boolean; readonly term: Term; readonly fence: Index }
  /** A first start is complete: enough peers have recorded this replica. */
  | { readonly kind: 'established' }
  /** A peer knows this replica by other data: the disk was lost, and the replica takes no part. */
  | { readonly kind: 'lostIdentity'; readonly peer: ReplicaId }
  /** A peer was given other members or constants for its first start, and does not record us. */
  | { readonly kind: 'configurationMismatch'; readonly peer: ReplicaId }
  /** Options differ from what is stored; the stored value rules. */
  | { readonly kind: 'optionIgnored'; readonly option: string; readonly reason: string }
  /** A peer sent bytes that mean nothing, or another incarnation spoke in its name: dropped. */
  | { readonly kind: 'dropped'; readonly peer: ReplicaId; readonly reason: string }
  /** The replica halted. */
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly reason: string }
  /** What the transport reports. */
  | {
      readonly kind: 'transport';
      readonly event: 'refused' | 'malformed' | 'connected' | 'disconnected';
      readonly peer: ReplicaId | null;
      readonly reason: string;
    };

/** What an operator wants to see. */
export interface ReplicaStatus extends Status {
  readonly cluster: string;
  readonly protocol: string;
  readonly incarnation: number;
  readonly boot: number;
  readonly phase: Phase;
  readonly leading: boolean;
  readonly members: readonly Member[];
  /** Requests of this replica's own callers that have not ended. */
  readonly waiting: number;
}
