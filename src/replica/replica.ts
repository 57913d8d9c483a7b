/** `createReplica`, and what a replica does for an application. */

import type { Change, ChangesOptions } from './changes.js';
import type { ReplicaEvent, ReplicaStatus } from './driver/state.js';
import { ConsensusError, invalidArgument, typedError } from './errors.js';
import type { Listener } from './host/emitter.js';
import { closeStorage, stopTransport } from './host/closing.js';
import { HostedReplica } from './host/hosted-replica.js';
import { MachineRunner } from './host/machine-runner.js';
import { answered, typedBy, type CheckedTransport } from './host/plug-ins.js';
import { openData } from './host/recover.js';
import { StorageNotices } from './host/storage-notices.js';
import { takePlace } from './host/take-place.js';
import type { Leadership, PlatformSignal } from './leadership.js';
import type { ClientSession, SessionOptions } from './session.js';
import {
  checkOptions,
  type AnyMachine,
  type CheckedOptions,
  type CommandOf,
  type InlineOptions,
  type ReplicaOptions,
  type ResultOf,
} from './options.js';

/** Options of every request. */
export interface RequestOptions {
  /** Ends the wait when it aborts. Without a signal the wait ends after `requestTimeout`. */
  readonly signal?: PlatformSignal | undefined;
}

/** Options of `propose` and `proposeAll` with which they give the index of the entry, too. */
export interface WithMeta extends RequestOptions {
  readonly meta: true;
}

/** Options of `propose` and `proposeAll` with which they give the result alone. */
export interface WithoutMeta extends RequestOptions {
  readonly meta?: false | undefined;
}

/** Options of `Replica.read`: how fresh the state must be. */
export interface ReadOptions extends RequestOptions {
  /**
   * `linearizable` (the default) sees all writes acknowledged before it (thesis 6.4). `lease` sees the same as long as
   * the clocks of the members keep to the bound that the documentation states (thesis 6.4.1): the leader serves it
   * without a message, if the cluster has `constants.leaseReads`; where it cannot, it is served as `linearizable`.
   * `quorum` sees the same as `linearizable`, too: in Multi-Paxos any replica serves it after one exchange with a
   * majority, without the leader; where it cannot, and in Raft, it is served as `linearizable`. `stale` sees what is
   * applied here.
   */
  readonly consistency?: 'linearizable' | 'lease' | 'quorum' | 'stale' | undefined;
  /** For a stale read: wait until this replica has applied the entry at this index; 0 by default. */
  readonly minIndex?: number | undefined;
  /**
   * For a stale read: milliseconds. Wait until a message of a leader, whose commit index is applied here, has arrived
   * at most so long ago by this host's monotonic clock: taken from the transport, so what waited there while the
   * process was stopped counts as new. The message's way here does not count, nor a stop of the leader's host before it
   * left. Messages come at least every `timing.heartbeat`.
   */
  readonly maxAge?: number | undefined;
}

/** Options of `Replica.transfer`. */
export interface TransferOptions extends RequestOptions {
  /** The member that is to lead; without it the best candidate: one that answers and holds most of the log. */
  readonly to?: string | undefined;
  /** Milliseconds after which the transfer is given up; four times `timing.electionMin` by default. */
  readonly timeout?: number | undefined;
}

/** Options of `Replica.close`. */
export interface CloseOptions {
  /** Milliseconds that handing over and draining may take; 5000 by default, 0 to stop at once. */
  readonly timeout?: number | undefined;
}

/** Options of `Replica.compact`. */
export interface CompactOptions extends RequestOptions {
  /**
   * So many entries, up to the snapshot's, stay in the log at least, for members that lag; 0 by default. More stay
   * where the older snapshot, or a member that pulls one, needs them.
   */
  readonly keep?: number | undefined;
}

/** What `Replica.compact` reached. */
export interface Compaction {
  /** The index of the newest snapshot; 0 if nothing was applied before the call. */
  readonly index: number;
  /** The lowest index that the log holds, or will hold. */
  readonly first: number;
}

/** A command's result with the log index of its entry, which `minIndex` of a stale read takes. */
export interface WithIndex<T> {
  readonly result: T;
  readonly index: number;
}

/** One replica of a cluster, made by `createReplica`. */
export interface Replica<M extends AnyMachine = AnyMachine> extends AsyncDisposable {
  /**
   * Replicates a command, on any member, so that it takes effect at most once (thesis 6.3). Resolves with its result
   * once it is applied on this replica; with `meta: true` with result and index.
   *
   * Throws a ConsensusError at once if the request can never succeed: ERR_INVALID_ARGUMENT, ERR_NOT_SERIALIZABLE,
   * ERR_TOO_LARGE, ERR_CLOSED. Rejects with CommandRejected when the machine refused the command, otherwise with a
   * ConsensusError whose `outcome` says whether the command may still take effect: ERR_OUTCOME_UNKNOWN,
   * ERR_NO_LEADER, ERR_TIMEOUT, ERR_BUSY, ERR_CLOSED, ERR_LOST_IDENTITY, ERR_RESULT_NOT_SERIALIZABLE (the result cannot
   * be decoded), or the code of a fault on a replica that has halted, with what was thrown as `cause`.
   */
  propose(command: CommandOf<M>, options: WithMeta): Promise<WithIndex<ResultOf<M>>>;
  propose(command: CommandOf<M>, options?: WithoutMeta): Promise<ResultOf<M>>;
  /**
   * Proposes many commands as one batch, in their order. Gives one promise for each, which ends like that of `propose`.
   * Throws like `propose`, at once and without proposing any, if one of the commands can never succeed. A promise that
   * rejects before anybody waits for it counts as handled, so that callers may wait for one after the other.
   */
  proposeAll(commands: readonly CommandOf<M>[], options: WithMeta): Promise<WithIndex<ResultOf<M>>>[];
  proposeAll(commands: readonly CommandOf<M>[], options?: WithoutMeta): Promise<ResultOf<M>>[];
  /**
   * Opens the session of this name (1 to 128 printable ASCII characters), or attaches the one that there is: whoever
   * had it before is fenced. Its commands take effect once and its results are kept beyond this process, until it is
   * closed, or has given no sign for `clientSessionTime` of log time. With `id` it is attached and never created, or
   * ERR_SESSION_EXPIRED. Throws and rejects like `propose`; ERR_BUSY if there are `clientSessions` already.
   */
  session(name: string, options?: SessionOptions): Promise<ClientSession<M>>;
  /**
   * Reads the machine, on any member, through `reader`, which must not change it. Throws ERR_INVALID_ARGUMENT or
   * ERR_CLOSED at once. Rejects with the error of `reader`, or with a ConsensusError: ERR_TIMEOUT, ERR_BUSY,
   * ERR_CLOSED, ERR_LOST_IDENTITY, or the code of a fault on a replica that has halted.
   */
  read<T>(reader: (machine: M) => T, options?: ReadOptions): Promise<T>;
  /**
   * Resolves once a leader is known, its leadership has taken effect (its no-op is committed and applied here), and
   * this replica takes part; only `signal` ends the wait. Rejects like `read`.
   */
  ready(options?: RequestOptions): Promise<void>;
  /** Resolves once everything that was committed before the call is applied here, on any member. Throws like `read`. */
  barrier(options?: RequestOptions): Promise<void>;
  /**
   * Resolves once a majority has confirmed, after the call, that this replica leads: nobody else has led until
   * then. Rejects with ERR_NOT_LEADER if it does not lead, or ceases to meanwhile; otherwise like `read`.
   */
  verifyLeader(options?: RequestOptions): Promise<void>;
  /**
   * Hands the leadership over to `to`, or to the best candidate (thesis 3.10); asked of the leader. The target is
   * caught up first; proposals wait meanwhile, and go to the new leader. Resolves with the new leader's id once this
   * replica knows it. Throws ERR_INVALID_ARGUMENT or ERR_CLOSED at once. Rejects with a ConsensusError: ERR_NOT_LEADER;
   * ERR_TRANSFER_FAILED, and this replica may lead on; ERR_TIMEOUT, and it leads on; ERR_OUTCOME_UNKNOWN, when the
   * target may still take over; ERR_CLOSED; ERR_LOST_IDENTITY; or the code of a fault.
   */
  transfer(options?: TransferOptions): Promise<string>;
  /** A transfer to the best candidate: resolves once another member leads. Rejects like `transfer`. */
  stepDown(options?: Omit<TransferOptions, 'to'>): Promise<void>;
  /**
   * Takes a snapshot here now, whatever the option `snapshots` says, and lets the log begin behind the older one of the
   * two that are kept. Resolves once a snapshot that holds all that was applied here before the call is durable: one
   * that there is, that is being taken, or that came from a peer will do. Only `signal` ends the wait.
   *
   * Throws a ConsensusError at once: ERR_INVALID_ARGUMENT, also where the storage keeps no snapshots, or ERR_CLOSED.
   * Rejects with ERR_INVALID_ARGUMENT if `keep` is more than the log holds; ERR_SNAPSHOT_FAILED, and nothing has
   * changed; ERR_TIMEOUT once `signal` has aborted; ERR_CLOSED; ERR_LOST_IDENTITY; or the code of a fault.
   */
  compact(options?: CompactOptions): Promise<Compaction>;
  /** Yields the current leadership, then the latest after each change; ends when the replica is closed. */
  leadership(): AsyncGenerator<Leadership, void, undefined>;
  /**
   * Yields the commands applied here, in the order of the log: each that took effect, with its result, and each that
   * the machine refused in `apply`, with the reason; nothing else that the log holds. Applying waits for no consumer:
   * the replica keeps the last `changesBytes`, from which consumers pull, each at its own pace. A start applies again
   * what follows the snapshot that it restored, so `from` may name an index of before.
   *
   * Ends once the replica is closed and the consumer has what was applied. Throws ERR_INVALID_ARGUMENT or ERR_CLOSED at
   * once. `next` rejects, and the iterator ends, with a ConsensusError: ERR_CHANGES_TRIMMED, a `ChangesTrimmed` that
   * names the first index there; ERR_TIMEOUT once `signal` has aborted; ERR_NOT_SERIALIZABLE or
   * ERR_RESULT_NOT_SERIALIZABLE for what cannot be decoded; and, once the consumer has what was applied,
   * ERR_LOST_IDENTITY, or the code of a fault on a replica that has halted.
   */
  changes(options?: ChangesOptions): AsyncGenerator<Change<M>, void, undefined>;
  /** The state of this replica at this moment, for operators. */
  status(): ReplicaStatus;
  /**
   * Calls `listener` for every event of one kind, those of the start too if it is registered in the turn in which
   * `createReplica` resolved. What it throws becomes a `listenerFailed` event once, and goes to `console.error` after
   * that; nothing else is harmed. Returns a function that removes the listener.
   */
  on<K extends ReplicaEvent['kind']>(kind: K, listener: Listener<K>): () => void;
  /** Starts an election now, without waiting for the election timeout. Throws ERR_CLOSED after `close`. */
  campaign(): void;
  /**
   * Closes the replica. It takes no new requests, hands over if it leads, and lets the requests of its own callers end;
   * with nothing left to do, with nobody to hand over to, or after `timeout`, it ends what is left, and stops transport
   * and storage; no handle stays open. May be called more than once: the soonest `timeout` counts.
   * Throws ERR_INVALID_ARGUMENT.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** An upper bound of the bytes that a message needs beside its largest entry. */
const MESSAGE_OVERHEAD = 1024;

function checkMessageSize(transport: CheckedTransport, maxEntryBytes: number, messageBytes: number): void {
  const needed = Math.max(maxEntryBytes, messageBytes) + MESSAGE_OVERHEAD;
  if (transport.maxMessageBytes >= needed) return;
  throw invalidArgument(
    `transport: expected maxMessageBytes of at least ${needed}, for entries of ${maxEntryBytes} bytes ` +
      `and limits.messageBytes of ${messageBytes}; it takes ${transport.maxMessageBytes}`,
  );
}

async function startReplica<M extends AnyMachine>(checked: CheckedOptions<M>): Promise<Replica<M>> {
  const { transport, machine, codec, resultCodec } = checked;
  let started = false;
  const notices = new StorageNotices();
  try {
    const data = await answered('ERR_STORAGE_FAILED', 'storage.open', () => openData(checked, notices.listener));
    const { configuration } = data.options;
    const runner = new MachineRunner(machine, codec, resultCodec, configuration.constants.onApplyError);
    const replica = new HostedReplica(checked, runner);
    checkMessageSize(transport, configuration.constants.maxEntryBytes, checked.protocol.limits.messageBytes);
    await takePlace(checked, data, replica.host.handler);
    started = true;
    for (const event of data.events) replica.tell(event);
    replica.host.begin(data);
    notices.begin(replica.host, (event) => replica.tell(event));
    return replica.handOver();
  } catch (error) {
    // The caller gets the first error. A locked storage or a transport that did not start may serve another replica.
    const isInUse = error instanceof ConsensusError && error.code === 'ERR_STORAGE_LOCKED';
    await Promise.allSettled([
      started ? stopTransport(checked) : undefined,
      isInUse ? undefined : closeStorage(checked),
    ]);
    throw typedError(error, 'ERR_INVARIANT');
  }
}

/**
 * Starts a replica. Resolves when its storage is open and its transport listens; it never waits for other members
 * (`Replica.ready` does).
 *
 * @throws ConsensusError ERR_INVALID_ARGUMENT at once, naming the option and what was expected
 * @returns rejects with a ConsensusError: ERR_STORAGE_LOCKED, ERR_STORAGE_CORRUPT, ERR_STORAGE_FAILED,
 * ERR_STORAGE_MISMATCH, ERR_TRANSPORT_FAILED, ERR_CLOCK_FAILED, ERR_INVALID_ARGUMENT (against stored data, or the
 * transport's limit). What else a storage or a transport rejects with is the `cause` of one.
 */
export function createReplica<M>(options: InlineOptions<M>): Promise<Replica<M extends AnyMachine ? M : never>>;
export function createReplica<M extends AnyMachine>(options: ReplicaOptions<M>): Promise<Replica<M>>;
export function createReplica<M extends AnyMachine>(options: ReplicaOptions<M>): Promise<Replica<M>> {
  return startReplica(typedBy('ERR_INVALID_ARGUMENT')(() => checkOptions(options)));
}
