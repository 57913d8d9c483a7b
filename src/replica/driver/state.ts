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
  PersistOp,
  Recovered,
  Role,
  PersistSeq,
  Status,
  Term,
  Timing,
} from '../../core/protocol.js';
import type { ErrorCode, RequestOutcome } from '../errors.js';
import type { SessionTable, StoredResult } from './session-table.js';
import type { StorageOp, StoredEntry } from '../storage.js';

/** Whose data goes by a name, as durably recorded here. */
export interface PeerRecord {
  readonly id: ReplicaId;
  /** 0 while unknown. */
  readonly incarnation: number;
}

/** What does not change during a start. */
export interface DriverOptions {
  readonly id: ReplicaId;
  readonly incarnation: number;
  readonly boot: number;
  readonly cluster: string;
  readonly configuration: Configuration;
  /** Of the configuration, compared before a first start. */
  readonly configurationHash: string;
  readonly timing: Timing;
  readonly limits: Limits;
  /** Fresh at each start. */
  readonly seed: number;
  readonly now: Milliseconds;
  /** The durable mark: this incarnation is known to its peers, and never asks again. */
  readonly established: boolean;
  /** The incarnations recorded so far. */
  readonly peers: readonly PeerRecord[];
  /** The most requests that may wait here; beyond it they fail as busy. */
  readonly maxWaiting: number;
}

/** What a caller waits for. Objects are replaced when their fate changes, never edited. */
export interface PendingCall {
  /** The shell's name for the caller. */
  readonly call: number;
  readonly deadline: Milliseconds;
}

export interface PendingCommand extends PendingCall {
  readonly data: Uint8Array;
  /** Its counter within the origin, 0 before it was first proposed. */
  readonly sequence: number;
  /** The core's name for the attempt under way. */
  readonly request: number;
  /** An earlier attempt may still take effect. */
  readonly mayHaveTakenEffect: boolean;
}

/** Reads that are served together, once everything up to `index` is applied. */
export interface ReadBatch {
  /** The core's name for it; 0 when the core has answered, or was not asked. */
  readonly request: number;
  /** 0 while the core has not answered. */
  readonly index: Index;
  readonly calls: readonly PendingCall[];
}

/** A peer that is asked to record our incarnation. */
export interface PeerIntroduction extends PeerRecord {
  /** The write that makes `incarnation` durable; 0 for one long done. */
  readonly writeId: number;
  /** It has recorded ours. */
  readonly recorded: boolean;
}

/** A message that waits for the disk: for a persist of the core, or for a write of the driver's own. */
export interface HeldMessage {
  readonly after: PersistSeq;
  readonly writeId: number;
  readonly to: ReplicaId;
  readonly bytes: Uint8Array;
  readonly lane: Lane;
}

/** An operation on its way to storage: the core's, or a value of the driver's own. */
export type LaneOp = PersistOp | { readonly kind: 'set'; readonly key: string; readonly value: Uint8Array };

/** A run of committed entries that the machine is busy with. */
export interface Applying {
  readonly through: Index;
  readonly commands: readonly Entry[];
}

/**
 * `establishing`: first start, the peers are asked to record us; the core does not exist yet. `running`: the core
 * runs. `lostIdentity`: our name belongs to data that is gone, so we take no part. `halted`: storage, machine or a
 * law of the protocol failed. `stopped`: closed.
 */
export type Phase = 'establishing' | 'running' | 'lostIdentity' | 'halted' | 'stopped';

export interface DriverState {
  readonly options: DriverOptions;
  readonly now: Milliseconds;
  readonly phase: Phase;
  /** Why it halted, and with which code; the code means nothing before. */
  readonly fault: string | null;
  readonly faultCode: ErrorCode;
  /** The core's state; opaque here. `null` before it exists. */
  readonly core: unknown;
  /** What the core starts from; let go of once it has started. */
  readonly recovered: Recovered | null;

  // The persist lane: one write under way, everything queued meanwhile goes into the next.
  readonly queue: readonly LaneOp[];
  /** The newest persist of the core in `queue`, and in the write under way; 0 for none. */
  readonly queueSeq: PersistSeq;
  readonly writingSeq: PersistSeq;
  /** Counts writes: of the one that `queue` will become, of the one under way (0 for none), of the last durable. */
  readonly queueWriteId: number;
  readonly writingWriteId: number;
  readonly durableWriteId: number;
  readonly durableSeq: PersistSeq;
  readonly held: readonly HeldMessage[];

  // Identity.
  readonly introducedTo: readonly PeerIntroduction[];
  /** When to ask again those who have not answered. */
  readonly askAt: Milliseconds;
  /** The write that carries the durable mark; 0 before it was issued. */
  readonly establishedWriteId: number;

  // What the core last said about leadership.
  readonly role: Role;
  readonly term: Term;
  readonly leader: ReplicaId | null;
  readonly fence: Index;
  /** What the application was last told. */
  readonly leading: boolean;
  /** After a pause: leading is not claimed before this read of the core is answered; 0 for none, see `CONFIRMING_FAILED`. */
  readonly confirming: number;

  // Applying.
  readonly table: SessionTable;
  /** Committed, in order, not yet looked at. */
  readonly backlog: readonly (readonly Entry[])[];
  readonly applying: Applying | null;
  readonly applied: Index;

  // Requests.
  /** Our number in the request table; 0 until our `open` is applied. */
  readonly session: Index;
  /** The core's name for the `open` under way; 0 for none, see `OPENING_COMMITTED`. */
  readonly openingRequest: number;
  readonly nextSequence: number;
  readonly nextRequest: number;
  /** To be proposed, in the order of their counters; those without one come last. */
  readonly queued: readonly PendingCommand[];
  /** Proposed, in the order of their counters. */
  readonly underway: readonly PendingCommand[];
  readonly queuedReads: readonly PendingCall[];
  readonly readBatches: readonly ReadBatch[];
  /** Nothing is fed to the core before: a refusal is a pause. */
  readonly pausedUntil: Milliseconds;
  /** No caller's deadline lies before; may be too early. */
  readonly nextExpiry: Milliseconds;
}

/** What can happen to a driver. All carry `now`, monotonic milliseconds. */
export type DriverEvent = { readonly now: Milliseconds } & (
  | { readonly kind: 'message'; readonly from: ReplicaId; readonly bytes: Uint8Array }
  | { readonly kind: 'tick' }
  | { readonly kind: 'propose'; readonly commands: readonly (PendingCall & { readonly data: Uint8Array })[] }
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
