/** `createReplica` and `Replica`: checks requests, gives promises, and passes requests to the driver by the host. */

import { Waiters, abortError, errorOf, notReadyError } from './host/waiters.js';
import { refusalOf } from './driver/calls.js';
import type { PendingCall, PendingCommand, ReplicaEvent, ReplicaStatus } from './driver/state.js';
import { Emitter, rethrowApart, type Listener } from './host/emitter.js';
import { CommandRejected, ConsensusError, invalidArgument } from './errors.js';
import { Host } from './host/host.js';
import { LeadershipView } from './host/leadership-view.js';
import type { Leadership, PlatformSignal, Signal } from './leadership.js';
import { MachineRunner } from './host/machine-runner.js';
import { openData } from './host/recover.js';
import { takePlace } from './host/take-place.js';
import {
  checkOptions,
  type AnyMachine,
  type CheckedOptions,
  type CommandOf,
  type ReplicaOptions,
  type ResultOf,
} from './options.js';
import type { Transport } from './transport.js';

/** Options of every request. */
export interface RequestOptions {
  /** Ends the wait when it aborts. Without a signal the wait ends after `requestTimeout`. */
  readonly signal?: PlatformSignal;
}

/** Options of `Replica.read`: how fresh the state must be. */
export interface ReadOptions extends RequestOptions {
  /** `linearizable` (the default) sees all writes acknowledged before it (thesis 6.4); `stale` what is applied here. */
  readonly consistency?: 'linearizable' | 'stale';
  /** For a stale read: wait until this replica has applied the entry at this index; 0 by default. */
  readonly minIndex?: number;
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
   * ERR_NO_LEADER, ERR_TIMEOUT, ERR_BUSY, ERR_CLOSED, ERR_LOST_IDENTITY, ERR_NOT_SERIALIZABLE (the result cannot be
   * decoded), or the code of a fault on a replica that has halted.
   */
  propose(command: CommandOf<M>, options: RequestOptions & { readonly meta: true }): Promise<WithIndex<ResultOf<M>>>;
  propose(command: CommandOf<M>, options?: RequestOptions & { readonly meta?: false }): Promise<ResultOf<M>>;
  /**
   * Reads the machine, on any member, through `reader`, which must not change it. Throws ERR_INVALID_ARGUMENT or
   * ERR_CLOSED at once. Rejects with the error of `reader`, or with a ConsensusError: ERR_TIMEOUT, ERR_BUSY,
   * ERR_CLOSED, ERR_LOST_IDENTITY, or the code of a fault on a replica that has halted.
   */
  read<T>(reader: (machine: M) => T, options?: ReadOptions): Promise<T>;
  /** Resolves once a leader is known and this replica takes part; only `signal` ends the wait. Rejects like `read`. */
  ready(options?: RequestOptions): Promise<void>;
  /** Yields the current leadership, then the latest after each change; ends when the replica is closed. */
  leadership(): AsyncGenerator<Leadership, void, undefined>;
  /** The state of this replica at this moment, for operators. */
  status(): ReplicaStatus;
  /** Calls `listener` for every event of one kind. Returns a function that removes the listener. */
  on<K extends ReplicaEvent['kind']>(kind: K, listener: Listener<K>): () => void;
  /** Starts an election now, without waiting for the election timeout. Throws ERR_CLOSED after `close`. */
  campaign(): void;
  /** Ends every request, then stops transport and storage; no handle stays open. May be called more than once. */
  close(): Promise<void>;
}

function checkRequest(options: object, known: readonly string[]): Signal | undefined {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options: expected an object');
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalidArgument(`${unknown}: no such option`);
  const { signal } = options as { signal?: Signal };
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalidArgument('signal: expected an AbortSignal');
  }
  return signal;
}

function undecodable(cause: unknown, index: number): ConsensusError {
  const message = `the command has taken effect at index ${index}, but its result cannot be decoded: ${String(cause)}`;
  return new ConsensusError(message, { code: 'ERR_NOT_SERIALIZABLE', outcome: 'unknown', cause });
}

/** The index that a stale read waits for; `null` for a linearizable read. */
function staleIndex({ consistency = 'linearizable', minIndex }: ReadOptions): number | null {
  if (consistency !== 'linearizable' && consistency !== 'stale') {
    throw invalidArgument(`consistency: expected 'linearizable' or 'stale', got ${String(consistency)}`);
  }
  if (minIndex !== undefined && (consistency !== 'stale' || !Number.isSafeInteger(minIndex) || minIndex < 0)) {
    throw invalidArgument(`minIndex: expected an index, with consistency 'stale'`);
  }
  return consistency === 'stale' ? (minIndex ?? 0) : null;
}

class HostedReplica<M extends AnyMachine> implements Replica<M> {
  readonly host: Host;
  private readonly checked: CheckedOptions<M>;
  private readonly runner: MachineRunner;
  private readonly callers = new Waiters();
  private readonly emitter = new Emitter();
  private readonly view = new LeadershipView();
  private readonly readyWaiters = new Set<() => void>();
  private newCommands: PendingCommand[] = [];
  private newReads: PendingCall[] = [];
  private gone: number[] = [];
  private flushing = false;
  private closing: Promise<void> | null = null;

  constructor(checked: CheckedOptions<M>, runner: MachineRunner) {
    this.checked = checked;
    this.runner = runner;
    this.host = new Host(checked, runner, {
      answer: (call, result, index) => this.callers.answer(call, result, index),
      serve: (calls, index) => this.callers.serve(calls, index),
      fail: (calls, failure) => this.callers.fail(calls, failure),
      tell: (event) => this.tell(event),
    });
  }

  tell(event: ReplicaEvent): void {
    if (event.kind === 'role') this.view.followed(event);
    if (event.kind === 'leadership') this.view.led(event, this.checked.id);
    try {
      this.checked.onEvent?.(event);
    } catch (error) {
      rethrowApart(error);
    }
    this.emitter.emit(event);
    if (this.readyWaiters.size > 0) this.checked.clock.soon(() => this.lookReady());
  }

  private lookReady(): void {
    for (const look of this.readyWaiters) look();
  }

  private assertOpen(): void {
    if (this.closing !== null) throw new ConsensusError('the replica is closed', { code: 'ERR_CLOSED' });
  }

  /** Requests of one turn of the event loop go to the driver together. */
  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    this.checked.clock.soon(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    const { newCommands, newReads, gone } = this;
    this.newCommands = [];
    this.newReads = [];
    this.gone = [];
    if (newCommands.length > 0) this.host.dispatch({ kind: 'propose', commands: newCommands });
    if (newReads.length > 0) this.host.dispatch({ kind: 'read', calls: newReads, minIndex: null });
    if (gone.length > 0) this.host.dispatch({ kind: 'cancel', calls: gone });
  }

  /** Cancels in batches, since one signal may belong to thousands of callers. */
  private cancel(call: number): void {
    this.gone.push(call);
    this.flushSoon();
  }

  private deadline(signal: Signal | undefined): number {
    return signal === undefined ? this.host.now + this.checked.requestTimeout : Infinity;
  }

  propose(command: CommandOf<M>, options: RequestOptions & { readonly meta: true }): Promise<WithIndex<ResultOf<M>>>;
  propose(command: CommandOf<M>, options?: RequestOptions & { readonly meta?: false }): Promise<ResultOf<M>>;
  propose(
    command: CommandOf<M>,
    options: RequestOptions & { readonly meta?: boolean } = {},
  ): Promise<ResultOf<M> | WithIndex<ResultOf<M>>> {
    this.assertOpen();
    const signal = checkRequest(options, ['signal', 'meta']);
    const data = this.encode(command);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortError(signal));
      const complete: Parameters<Waiters['add']>[1]['complete'] = (stored, index) => {
        let value: ResultOf<M>;
        try {
          value = this.runner.give(stored) as ResultOf<M>;
        } catch (error) {
          return reject(undecodable(error, index));
        }
        if (stored.rejected) reject(new CommandRejected(value));
        else resolve(options.meta === true ? { result: value, index } : value);
      };
      const call = this.callers.add(signal, { complete }, reject, (gone) => this.cancel(gone));
      this.newCommands.push({ call, deadline: this.deadline(signal), data });
      this.flushSoon();
    });
  }

  private encode(command: CommandOf<M>): Uint8Array {
    let data: Uint8Array;
    try {
      data = this.checked.codec.encode(command);
    } catch (error) {
      const message = `the command cannot be encoded: ${(error as Error).message}`;
      throw new ConsensusError(message, { code: 'ERR_NOT_SERIALIZABLE', cause: error });
    }
    const limit = this.host.state.options.configuration.constants.maxEntryBytes;
    if (data.length <= limit) return data;
    const message = `the command takes ${data.length} bytes, and the cluster's limit is ${limit}`;
    throw new ConsensusError(message, { code: 'ERR_TOO_LARGE' });
  }

  read<T>(reader: (machine: M) => T, options: ReadOptions = {}): Promise<T> {
    this.assertOpen();
    if (typeof reader !== 'function') throw invalidArgument('read: expected a function of the machine');
    const signal = checkRequest(options, ['signal', 'consistency', 'minIndex']);
    const minIndex = staleIndex(options);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortError(signal));
      const serve = (): void => {
        try {
          resolve(reader(this.checked.machine));
        } catch (error) {
          reject(error);
        }
      };
      const call = this.callers.add(signal, { serve }, reject, (gone) => this.cancel(gone));
      const booked = { call, deadline: this.deadline(signal) };
      if (minIndex !== null) return this.host.dispatch({ kind: 'read', calls: [booked], minIndex });
      this.newReads.push(booked);
      this.flushSoon();
    });
  }

  ready(options: RequestOptions = {}): Promise<void> {
    this.assertOpen();
    const signal = checkRequest(options, ['signal']);
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        this.readyWaiters.delete(look);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const onAbort = (): void => end(() => reject(notReadyError(signal as Signal, this.host.status())));
      const look = (): void => {
        const { state } = this.host;
        const refusal = refusalOf(state.phase);
        if (refusal !== null) end(() => reject(errorOf(refusal, signal)));
        else if (state.phase.kind === 'running' && state.leadership.leader !== null) end(resolve);
      };
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.readyWaiters.add(look);
      look();
    });
  }

  leadership(): AsyncGenerator<Leadership, void, undefined> {
    return this.view.follow();
  }

  status(): ReplicaStatus {
    return this.host.status();
  }

  on<K extends ReplicaEvent['kind']>(kind: K, listener: Listener<K>): () => void {
    return this.emitter.on(kind, listener);
  }

  campaign(): void {
    this.assertOpen();
    this.host.dispatch({ kind: 'campaign' });
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.flush();
    const stopped = this.host.stop();
    this.view.end();
    this.lookReady();
    try {
      await stopped;
    } finally {
      this.lookReady(); // if a callback closed the replica, the driver has only now handled `stop`
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** An upper bound of the bytes that a message needs beside its largest entry. */
const MESSAGE_OVERHEAD = 1024;

function checkMessageSize(transport: Transport, maxEntryBytes: number, messageBytes: number): void {
  const needed = Math.max(maxEntryBytes, messageBytes) + MESSAGE_OVERHEAD;
  if (transport.maxMessageBytes >= needed) return;
  throw invalidArgument(
    `transport: expected maxMessageBytes of at least ${needed}, for entries of ${maxEntryBytes} bytes ` +
      `and limits.messageBytes of ${messageBytes}; it takes ${transport.maxMessageBytes}`,
  );
}

async function startReplica<M extends AnyMachine>(checked: CheckedOptions<M>): Promise<Replica<M>> {
  const { transport, storage, machine, codec, resultCodec } = checked;
  let started = false;
  try {
    const data = await openData(checked);
    const { configuration } = data.options;
    const runner = new MachineRunner(machine, codec, resultCodec, configuration.constants.onApplyError);
    const replica = new HostedReplica(checked, runner);
    checkMessageSize(transport, configuration.constants.maxEntryBytes, checked.protocol.limits.messageBytes);
    await takePlace(checked, data, replica.host.handler);
    started = true;
    for (const event of data.events) replica.tell(event);
    replica.host.begin(data);
    return replica;
  } catch (error) {
    // The caller gets the first error. A locked storage or a transport that did not start may serve another replica.
    const isInUse = error instanceof ConsensusError && error.code === 'ERR_STORAGE_LOCKED';
    await Promise.allSettled([started ? transport.stop() : undefined, isInUse ? undefined : storage.close()]);
    throw error;
  }
}

/**
 * Starts a replica. Resolves when its storage is open and its transport listens; it never waits for other members
 * (`Replica.ready` does).
 *
 * @throws ConsensusError ERR_INVALID_ARGUMENT at once, naming the option and what was expected
 * @returns rejects with a ConsensusError: ERR_STORAGE_LOCKED, ERR_STORAGE_CORRUPT, ERR_STORAGE_FAILED,
 * ERR_STORAGE_MISMATCH, ERR_TRANSPORT_FAILED, ERR_INVALID_ARGUMENT (against stored data, or the transport's limit)
 */
export function createReplica<M extends AnyMachine>(options: ReplicaOptions<M>): Promise<Replica<M>> {
  return startReplica(checkOptions(options));
}
