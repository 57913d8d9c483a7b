/**
 * The contract between a protocol and its host: one shape for both protocols, and the first file to read.
 *
 * A replica of a protocol is a value, its state. Everything that happens to it is an inbound message. Everything that
 * it wants done is an outbound message, addressed to a peer, to its storage, to its application or to the caller of a
 * request. There is nothing else: no callback, no clock, no promise.
 *
 * Laws:
 * 1. Pure: the same `(state, message)` gives the same result, to the byte.
 * 2. Values: states are readonly plain data; older ones stay valid. A step that changes nothing returns the
 *    same reference. An outbound message is never edited after it was emitted.
 * 3. Time is data: every inbound message carries `now`. Deadlines fire on `tick` alone. `now` is stored only by
 *    a step that stores something else; a `now` before the stored one counts as the stored one.
 * 4. Peers cannot crash a replica: the codec refuses malformed messages, `step` ignores stale ones, and only a proof
 *    that safety is already broken throws, as `InvariantViolation`.
 * 5. Every request ends exactly once, with one `resolve` or one `readReady`.
 * 6. Nothing is claimed before it is durable: see `Persist` and `Send.after`.
 *
 * The contract does not say how a leader is elected, how votes are counted or when an entry is committed: there the two
 * protocols differ.
 */

import type { Reader, Writer } from './bytes.js';
import type { Configuration, Member, ReplicaId } from './members.js';

/** Position in the log, 1-based; a slot in Multi-Paxos. 0 means "before the first entry". */
export type Index = number;
/** Raft's term, or Multi-Paxos' ballot as one number (`ballotOf`). 1-based; 0 means "none yet". */
export type Term = number;
/** Monotonic time in milliseconds, read by the host from any origin. */
export type Milliseconds = number;
/** Number of a persist message, 1-based and rising by one within a start; 0 means "nothing to wait for". */
export type PersistSeq = number;
/** The host's number of a request: a safe integer from 1 on, which rises within this start of this replica. */
export type RequestNumber = number;

/** Names one proposal for the whole cluster, so that it takes effect once however often it arrives. */
export interface EntryId {
  /** Index of the `openSession` entry that opened the session; 0 in an `openSession` entry itself. */
  readonly session: number;
  /** Counts the proposals of the session, 1-based. */
  readonly sequence: number;
  /** The lowest sequence number that the session still waits for when it proposes this. */
  readonly firstIncomplete: number;
}

/**
 * What an entry is for: a leader appends a `noop` to the log for its own sake, a `command` is for the state machine,
 * an `openSession` enters a new session into the session table, and a `session` is of a client's session.
 */
export type EntryKind = 'noop' | 'command' | 'openSession' | 'session';

/** One entry of the replicated log. Two entries with the same index and term are the same entry. */
export interface Entry {
  readonly index: Index;
  /** The term in which it was appended; in Multi-Paxos the ballot in which it was voted for or chosen. */
  readonly term: Term;
  readonly kind: EntryKind;
  /** Milliseconds since the epoch by log time (`log-time.ts`), a whole number; 0 before any time is known. */
  readonly time: Milliseconds;
  /** `null` in a noop. */
  readonly id: EntryId | null;
  /** Opaque to the protocols; empty in a noop. */
  readonly data: Uint8Array;
}

/** One atomic record: what a replica has promised and voted. */
export interface HardState {
  /** Raft: the current term. Multi-Paxos: the highest ballot promised. */
  readonly term: Term;
  /** Raft: the candidate that got the vote in that term. Multi-Paxos: always `null`. */
  readonly vote: ReplicaId | null;
  /** The commit index, as a hint: it is never synced for its own sake. */
  readonly commit: Index;
}

/** Timeouts; the random ones are drawn from the seed in the state. */
export interface Timing {
  /** How often a leader sends heartbeats. */
  readonly heartbeat: Milliseconds;
  /** The shortest election timeout. */
  readonly electionMin: Milliseconds;
  /** The longest election timeout; at least `electionMin`. */
  readonly electionMax: Milliseconds;
}

/** Bounds of memory and of messages. */
export interface Limits {
  /** Entries of the log held in memory for whoever needs them, and their bytes; the others are fetched with `load`. */
  readonly tailEntries: number;
  readonly tailBytes: number;
  /** Bytes of entries in one message, unless one entry alone is larger. */
  readonly messageBytes: number;
  /** Messages with entries, and their bytes, under way to one peer. */
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  /** Bytes that a leader appends ahead of what is committed; beyond it proposals end as `busy`. */
  readonly uncommittedBytes: number;
  /** Bytes delivered to the application and not yet reported `applied`. */
  readonly applyBytes: number;
  /** Bytes asked for by one `load`. */
  readonly loadBytes: number;
}

/** The identity, the configuration and the settings of a replica; the same for both protocols. */
export interface ProtocolOptions {
  readonly id: ReplicaId;
  /** Counts the starts of this replica, 1-based and durable before it is used. */
  readonly boot: number;
  /** The configuration in force: the stored one, or at the first start the given one. */
  readonly configuration: Configuration;
  /** Any 32-bit integer, fresh at each start. */
  readonly seed: number;
  readonly now: Milliseconds;
  readonly timing: Timing;
  readonly limits: Limits;
  /**
   * Whether a replica asks for pre-votes before it campaigns, and refuses an election while it hears a leader. Without
   * it any replica that was cut off deposes a healthy leader when it comes back; it is off to study the papers' rules.
   */
  readonly preVote: boolean;
  /** By how many milliseconds the wall clock is ahead of `now`, a whole number; absent when the host knows none. */
  readonly ahead?: Milliseconds;
}

/** Names a snapshot: the state of the application when everything up to `index` was applied. */
export interface SnapshotName {
  readonly index: Index;
  /** The term of the entry at `index`; in Multi-Paxos the ballot in which this replica knows it. */
  readonly term: Term;
  /** Of the whole snapshot, 32 bits. Snapshots of one index differ in bytes between members. */
  readonly checksum: number;
  /** Log time at `index`: the highest stamp of all entries up to there. */
  readonly time: Milliseconds;
}

/** The newest entry that was trimmed, behind which a log begins; index and term are 0 while nothing was. */
export interface LogBase {
  readonly index: Index;
  /** Its term; in Multi-Paxos the ballot in which this replica knew it. */
  readonly term: Term;
}

/** Entries from `from` up to the next run have this term. */
export interface TermRun {
  readonly from: Index;
  readonly term: Term;
}

/** What the storage held at the start. All of it is durable. */
export interface Recovered {
  /** `null` when nothing was ever written. */
  readonly hard: HardState | null;
  /** What the log in storage begins behind; what lies at or below is in the snapshot. */
  readonly base: LogBase;
  /** The highest index in storage, that of the base when there is none. */
  readonly last: Index;
  /** Run-length terms of everything in storage above the base, ascending. */
  readonly runs: readonly TermRun[];
  /** The entries from `DurableCodec.tailFrom` on, ascending; in Multi-Paxos with gaps above the commit index. */
  readonly tail: readonly Entry[];
  /** The snapshot that the application restores, which a durable persist named: delivery begins behind it. */
  readonly snapshot: SnapshotName | null;
}

/** A new state, and what it wants done, in order. */
export type Step<State, Message> = readonly [state: State, outbound: readonly Outbound<Message>[]];

export interface Protocol<State, Message> {
  /** Stored with the data and compared at a start: one protocol refuses the data of the other. */
  readonly name: string;
  /**
   * The state of a replica that starts, and what it wants done.
   * @throws TypeError, RangeError when the options break their rules
   * @throws InvariantViolation when what was recovered contradicts itself
   */
  init(options: ProtocolOptions, recovered: Recovered): Step<State, Message>;
  /** @throws InvariantViolation when a message proves that safety is broken; RangeError on misuse by the host */
  step(state: State, message: Inbound<Message>): Step<State, Message>;
  /**
   * Checks what must hold between two states, at a cost that follows what the step changed. The host calls it after
   * every step that changed something, before it acts on the outbound messages, and halts when it throws.
   * @throws InvariantViolation that names the rule
   */
  checkStep(before: State, after: State, inbound: Inbound<Message>): void;
  /**
   * Checks what must hold of one state, at a cost that follows what is under way in it. The host calls it at the start
   * and after ticks.
   * @throws InvariantViolation that names the rule
   */
  checkState(state: State): void;
  /** When the host must deliver the next `tick` at the latest; `Infinity` when nothing is due. */
  deadline(state: State): Milliseconds;
  /** When the newest message of a leader arrived whose commit index is applied here; `-Infinity` for none. */
  freshAt(state: State, now: Milliseconds): Milliseconds;
  /** The replica's view of itself and its peers, for operators. */
  status(state: State): Status;
  /** Peer messages to bytes and back. Everything that a peer sends passes through it. */
  readonly codec: Codec<Message>;
  /** Durable records to bytes and back; the storage sees opaque records. */
  readonly durable: DurableCodec;
}

/** @see Protocol.codec */
export interface Codec<Message> {
  /** An upper bound of the bytes of a message, for the writer's first allocation. */
  sizeOf(message: Message): number;
  write(writer: Writer, message: Message): void;
  /** @throws Malformed for anything that `write` does not produce; allocates no more than the input is long */
  read(reader: Reader): Message;
}

/** @see Protocol.durable */
export interface DurableCodec {
  encodeHard(hard: HardState): Uint8Array;
  /** @throws Malformed */
  decodeHard(bytes: Uint8Array): HardState;
  /** Index and term are kept beside the record. One buffer may back the records of one call. */
  encodeEntries(entries: readonly Entry[]): readonly Uint8Array[];
  /** @throws Malformed */
  decodeEntry(index: Index, term: Term, bytes: Uint8Array): Entry;
  /** From which index on `Recovered.tail` must hold everything that is stored. */
  tailFrom(hard: HardState | null, first: Index, last: Index, limits: Limits): Index;
}

/** The progress of one peer, as the leader knows it. */
export interface PeerStatus {
  readonly id: ReplicaId;
  /** Everything up to here is known to be durable there. */
  readonly match: Index;
  /** The next index that will be sent. */
  readonly next: Index;
  /** When it last answered; when this leadership began, if it has not; 0 since its process is unreachable. */
  readonly answeredAt: Milliseconds;
}

/** A replica's view of itself and its peers, as plain data, for operators. */
export interface Status {
  readonly id: ReplicaId;
  readonly role: Role;
  readonly term: Term;
  /** The leader as far as this replica knows, itself included; `null` when unknown. */
  readonly leader: ReplicaId | null;
  readonly commit: Index;
  /** The last index delivered to the application, and the last one that it reported applied. */
  readonly delivered: Index;
  readonly applied: Index;
  /** The lowest index that the log holds; one above `last` when it holds none. */
  readonly first: Index;
  /** The highest index held, and the highest one up to which everything is durable here. */
  readonly last: Index;
  readonly durable: Index;
  /** Of a leader: bytes of the entries that it proposed and that are not committed. 0 otherwise. */
  readonly uncommittedBytes: number;
  /** Bytes of the entries delivered to the application and not yet reported applied. */
  readonly unappliedBytes: number;
  /** The host will stop this replica soon: it does not campaign. */
  readonly leaving: boolean;
  /** The newest stamp that is known here, in milliseconds since the epoch; 0 when none is. */
  readonly newestStamp: Milliseconds;
  /** Of a leader whose wall clock is far from log time (`CLOCK_BOUND`): by how much it is ahead. `null` otherwise. */
  readonly clockOff: Milliseconds | null;
  /** Of a leader: the other members. Empty otherwise. */
  readonly peers: readonly PeerStatus[];
  /** Why the replica halted; `null` while it runs. */
  readonly fault: string | null;
}

/** `candidate` in Multi-Paxos: a proposer in Phase 1. */
export type Role = 'follower' | 'candidate' | 'leader';

/** One proposal of the host. */
export interface Proposal {
  readonly request: RequestNumber;
  readonly kind: Exclude<EntryKind, 'noop'>;
  readonly id: EntryId;
  readonly data: Uint8Array;
  /** It may have been sent before: a leader first looks for it among its uncommitted entries. */
  readonly retry: boolean;
}

/** Everything that can happen to a replica. */
export type Inbound<Message> =
  | Receive<Message>
  | Tick
  | Propose
  | Read
  | Campaign
  | Transfer
  | Leave
  | Cancel
  | Stop
  | Persisted
  | StorageFailed
  | StorageFull
  | Loaded
  | Applied
  | SnapshotTaken
  | Install
  | Unsent
  | Disconnected
  | Unreachable
  | Resumed
  | WallClock
  | WakeAt;

/** A peer's message arrived, already decoded; `from` is the peer that the transport authenticated. */
export interface Receive<Message> {
  readonly kind: 'receive';
  readonly now: Milliseconds;
  readonly from: ReplicaId;
  readonly message: Message;
}

/** The deadline is reached. The host delivers input that was queued before it first. */
export interface Tick {
  readonly kind: 'tick';
  readonly now: Milliseconds;
}

/** Proposals to replicate. Each ends with one `resolve`. This is one attempt; the host may make another one. */
export interface Propose {
  readonly kind: 'propose';
  readonly now: Milliseconds;
  readonly proposals: readonly Proposal[];
  /** When the attempt ends unserved; `Infinity` for never. */
  readonly deadline: Milliseconds;
}

/** Asks for an index at which a local read is linearizable. Ends with one `readReady` or one `resolve`. */
export interface Read {
  readonly kind: 'read';
  readonly now: Milliseconds;
  readonly request: RequestNumber;
  readonly deadline: Milliseconds;
  /** A lease read: served at once by a leader that holds the grants of a majority, otherwise as any other read. */
  readonly byLease?: boolean;
  /** A quorum read of Multi-Paxos, which needs no leader; in Raft as any other read. */
  readonly byQuorum?: boolean;
}

/** Try to lead now, without waiting for the election timer. The others refuse pre-votes while they hear a leader. */
export interface Campaign {
  readonly kind: 'campaign';
  readonly now: Milliseconds;
}

/**
 * Hand the leadership over, with one `resolve` at the end: `transferred`, `none` or `unknown`. Meanwhile proposals end
 * as `busy` for as long as the target needs to take over.
 */
export interface Transfer {
  readonly kind: 'transfer';
  readonly now: Milliseconds;
  readonly request: RequestNumber;
  /** Another member; `null`: the best candidate. */
  readonly to: ReplicaId | null;
  /** When it is given up, and this replica leads on; `Infinity` for never. */
  readonly deadline: Milliseconds;
}

/** The host will stop this replica soon: it campaigns no more, and the leadership is not transferred to it. */
export interface Leave {
  readonly kind: 'leave';
  readonly now: Milliseconds;
}

/** The callers of these requests have gone: resolve them `none` or `unknown`. Unknown numbers are ignored. */
export interface Cancel {
  readonly kind: 'cancel';
  readonly now: Milliseconds;
  readonly requests: readonly RequestNumber[];
}

/** Resolve every request and leave no timer. Nothing that arrives afterwards changes the state. */
export interface Stop {
  readonly kind: 'stop';
  readonly now: Milliseconds;
}

/** The storage has made every persist up to `persistSeq` durable. */
export interface Persisted {
  readonly kind: 'persisted';
  readonly now: Milliseconds;
  readonly persistSeq: PersistSeq;
}

/** The storage has failed for good: step down, stop voting, halt. */
export interface StorageFailed {
  readonly kind: 'storageFailed';
  readonly now: Milliseconds;
  readonly reason: string;
}

/** The storage has run out of space, or has some again. Meanwhile what is written may become durable, or may wait. */
export interface StorageFull {
  readonly kind: 'storageFull';
  readonly now: Milliseconds;
  readonly full: boolean;
}

/** The answer to a `load`: entries from its `from` on, without a gap, up to its `maxBytes`. */
export interface Loaded {
  readonly kind: 'loaded';
  readonly now: Milliseconds;
  readonly id: number;
  /** Empty when no entry of that range is stored any more. */
  readonly entries: readonly Entry[];
}

/** The application has applied everything up to `index`. */
export interface Applied {
  readonly kind: 'applied';
  readonly now: Milliseconds;
  readonly index: Index;
}

/** The application has a complete and durable snapshot, which the core must name before it counts. */
export interface SnapshotTaken {
  readonly kind: 'snapshotTaken';
  readonly now: Milliseconds;
  readonly snapshot: SnapshotName;
  /** The log may be trimmed up to here, the index of a snapshot that is named or lower; 0 for not at all. */
  readonly through: Index;
}

/** The host has pulled a snapshot of a peer, complete, verified and durable: the log is to begin behind it. */
export interface Install {
  readonly kind: 'install';
  readonly now: Milliseconds;
  readonly snapshot: SnapshotName;
}

/** The transport refused the forward of this number: it never left, and never will. */
export interface Unsent {
  readonly kind: 'unsent';
  readonly now: Milliseconds;
  readonly number: number;
}

/**
 * The transport lost a connection with a peer, and with it perhaps what was under way on its lane: evidence for trying
 * again. It says nothing about the peer, so it deposes nobody.
 */
export interface Disconnected {
  readonly kind: 'disconnected';
  readonly now: Milliseconds;
  readonly peer: ReplicaId;
  readonly lane: Lane;
}

/**
 * The transport lost the control connection to a peer, and one immediate attempt to connect again failed or was
 * refused: a hint that its process has ended, never needed for safety or liveness. What was under way to it counts as
 * lost, as after `disconnected`, which the host reports beside it.
 */
export interface Unreachable {
  readonly kind: 'unreachable';
  readonly now: Milliseconds;
  readonly peer: ReplicaId;
}

/** The host slept, and its monotonic clock may have stood still: what was granted before ends. */
export interface Resumed {
  readonly kind: 'resumed';
  readonly now: Milliseconds;
}

/**
 * The host's wall clock, told when it differs from what was told before: by how many milliseconds it is ahead of `now`.
 * Nothing but the stamps of entries depends on it (`log-time.ts`).
 */
export interface WallClock {
  readonly kind: 'wallClock';
  readonly now: Milliseconds;
  /** A whole number; negative when the wall clock is behind. */
  readonly ahead: Milliseconds;
}

/** The state machine is to be woken by the first entry whose time reaches this one: a leader appends a no-op for it. */
export interface WakeAt {
  readonly kind: 'wakeAt';
  readonly now: Milliseconds;
  /** In log time; `Infinity` for never. Replaces what was told before. */
  readonly time: Milliseconds;
}

/** Everything that a replica can want done. */
export type Outbound<Message> =
  | Send<Message>
  | Persist
  | Commit
  | Restore
  | Pull
  | Resolve
  | ForwardTaken
  | ReadReady
  | Load
  | MembersChanged
  | EventRaised;

/** `control`: small and urgent messages, which never wait behind `bulk` ones. */
export type Lane = 'control' | 'bulk';

/** Send to a peer, not before persist `after` is durable. The message may be lost, reordered or duplicated. */
export interface Send<Message> {
  readonly kind: 'send';
  readonly to: ReplicaId;
  readonly message: Message;
  /** The newest persist that must be durable before the message may leave, of any step; 0: send now. */
  readonly after: PersistSeq;
  readonly lane: Lane;
  /** Of a forward its number, by which the host says that it was `unsent`. */
  readonly forward?: number;
}

/**
 * Make durable, atomically and in order. Persists form one lossless lane with rising `persistSeq`. A simple host waits
 * for each persist before it handles the next outbound message. A fast one writes in the background, sends at once the
 * messages whose `after` is durable, holds back the others, and reports `persisted`.
 */
export interface Persist {
  readonly kind: 'persist';
  readonly persistSeq: PersistSeq;
  readonly ops: readonly PersistOp[];
}

/**
 * `put`: overwrites these indexes, and may leave gaps. `truncate`: drops `from` and all above it (Raft only). `trim`:
 * from now on a start restores this snapshot, and the log begins behind `base`. `install`: the same with a snapshot of
 * a peer, whose index is that of the base; unless `keepsAbove`, nothing stored is kept.
 */
export type PersistOp =
  | { readonly kind: 'hard'; readonly hard: HardState }
  | { readonly kind: 'put'; readonly entries: readonly Entry[] }
  | { readonly kind: 'truncate'; readonly from: Index }
  | { readonly kind: 'trim'; readonly snapshot: SnapshotName; readonly base: LogBase }
  | { readonly kind: 'install'; readonly snapshot: SnapshotName; readonly keepsAbove: boolean };

/** Deliver to the application: in order, once per start, without a gap. Does not wait for the local disk. */
export interface Commit {
  readonly kind: 'commit';
  readonly entries: readonly Entry[];
}

/**
 * The application replaces its state by this snapshot, which was given by `install`. Commits that came before and are
 * not applied are in it; the next one goes on behind it.
 */
export interface Restore {
  readonly kind: 'restore';
  readonly snapshot: SnapshotName;
}

/**
 * This replica needs entries that no log holds any more which it can reach: the host is to pull a snapshot of at least
 * this index from a peer, and give it by `install`. Said again as long as it is so.
 */
export interface Pull {
  readonly kind: 'pull';
  readonly least: Index;
}

/** The end of each of these requests, which comes once. */
export interface Resolve {
  readonly kind: 'resolve';
  readonly requests: readonly RequestNumber[];
  readonly outcome: Outcome;
}

/**
 * The leader has these proposals, which were forwarded, in its log: nothing more has to be sent for them while it
 * leads. Not an end: they may still be superseded.
 */
export interface ForwardTaken {
  readonly kind: 'forwardTaken';
  readonly requests: readonly RequestNumber[];
}

/**
 * How a request ended. `committed`: it is in the log for good. `transferred`: this replica let another one take over
 * and leads no longer. `none`: it provably has no effect. `unknown`: it may
 * still take effect. `leader` is the replica to ask next, if it is known.
 */
export type Outcome =
  | { readonly kind: 'committed' }
  | { readonly kind: 'transferred'; readonly reason: Reason; readonly leader: ReplicaId | null }
  | { readonly kind: 'none'; readonly reason: Reason; readonly leader: ReplicaId | null }
  | { readonly kind: 'unknown'; readonly reason: Reason; readonly leader: ReplicaId | null };

/**
 * - `noLeader`: no leader is known. `notLeader`: the replica asked does not lead, or not any more.
 * - `busy`: a limit is reached; it may be tried again later.
 * - `storageFull`: the leader's storage has no space; it may be tried again later.
 * - `superseded`: another entry was committed at its index.
 * - `leaderChanged`: the leader that had it does not lead any more.
 * - `restored`: a snapshot of a peer took the place of the entries that would have told.
 * - `noTarget`: no other member can take the leadership over now.
 * - `unsent`: it never left. `disconnected`: the connection to the leader was lost. `unanswered`: the leader's answer
 *   is overdue.
 * - `deadline`, `cancelled`, `stopped`, `storageFailed`: this replica waits for it no longer.
 */
export type Reason =
  | 'noLeader'
  | 'notLeader'
  | 'busy'
  | 'storageFull'
  | 'superseded'
  | 'leaderChanged'
  | 'restored'
  | 'noTarget'
  | 'unsent'
  | 'disconnected'
  | 'unanswered'
  | 'deadline'
  | 'cancelled'
  | 'stopped'
  | 'storageFailed';

/** Serve this read once everything up to `index` is applied. */
export interface ReadReady {
  readonly kind: 'readReady';
  readonly request: RequestNumber;
  readonly index: Index;
}

/** The core needs entries that it no longer holds; answered by `loaded` with the same id. */
export interface Load {
  readonly kind: 'load';
  readonly id: number;
  readonly from: Index;
  readonly to: Index;
  readonly maxBytes: number;
}

/** The members that the transport must reach from now on. */
export interface MembersChanged {
  readonly kind: 'members';
  readonly members: readonly Member[];
}

/** For people and for tracing; nothing depends on it. */
export interface EventRaised {
  readonly kind: 'event';
  readonly event: CoreEvent;
}

/** `fence`: at a leader, the index of the no-op by which its leadership takes effect once applied; only grows. */
export type CoreEvent =
  | {
      readonly kind: 'role';
      readonly role: Role;
      readonly term: Term;
      readonly leader: ReplicaId | null;
      readonly fence: Index | null;
    }
  /** A leader gives way: its disk has made nothing durable since then. */
  | { readonly kind: 'stalled'; readonly since: Milliseconds }
  /** The wall clock of a leader is far from log time, or no longer; so many milliseconds ahead of it. */
  | { readonly kind: 'clock'; readonly isOff: boolean; readonly ahead: Milliseconds }
  | { readonly kind: 'fault'; readonly reason: string };
