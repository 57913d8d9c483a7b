/** The replica that `createReplica` gives: checks requests, gives promises, and passes requests to the driver. */

import { refusalOf } from '../driver/calls.js';
import type { Failure, ReplicaEvent, ReplicaStatus } from '../driver/state.js';
import { notLeader } from '../driver/transfers.js';
import type { Change, ChangesOptions } from '../changes.js';
import { CommandRejected, ConsensusError, invalidArgument } from '../errors.js';
import type { Leadership, Signal } from '../leadership.js';
import type { ClientSession, SessionOptions } from '../session.js';
import type { AnyMachine, CheckedOptions, CommandOf, ResultOf } from '../options.js';
import type {
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
} from '../replica.js';
import {
  Caller,
  CompactionCaller,
  CommandCaller,
  ReadCaller,
  TransferCaller,
  abortError,
  errorOf,
  notReadyError,
  type GivenResult,
} from './callers.js';
import { ChangesFeed } from './changes-feed.js';
import { ClientHandles } from './client-handles.js';
import { Emitter, type Listener } from './emitter.js';
import { Host } from './host.js';
import { LeadershipView } from './leadership-view.js';
import type { MachineRunner } from './machine-runner.js';
import { silence } from './plug-ins.js';
import {
  LINEARIZABLE,
  NO_OPTIONS,
  checkRequest,
  closeTimeoutOf,
  encodeCommand,
  firstChange,
  keptOf,
  needOf,
  refusalBy,
  transferOf,
  type CheckedRequest,
  type ReadNeed,
} from './requests.js';
import { deadlineOf, TurnRequests } from './turn-requests.js';
import { Waiters } from './waiters.js';

const PROPOSE_OPTIONS = ['signal', 'meta'];

export class HostedReplica<M extends AnyMachine> implements Replica<M> {
  readonly host: Host;
  private readonly checked: CheckedOptions<M>;
  private readonly runner: MachineRunner;
  private readonly callers = new Waiters((call) => this.turn.cancel(call));
  private readonly emitter: Emitter;
  private readonly view = new LeadershipView();
  private readonly feed: ChangesFeed<M>;
  private readonly handles: ClientHandles<M>;
  private readonly turn: TurnRequests;
  /** Calls of `verifyLeader` that wait. */
  private readonly verifying = new Set<number>();
  private closing: Promise<void> | null = null;
  /** When the replica has left at the latest, once it closes. */
  private closeBy = Infinity;

  constructor(checked: CheckedOptions<M>, runner: MachineRunner) {
    this.checked = checked;
    this.runner = runner;
    this.emitter = new Emitter(checked.onEvent);
    this.host = new Host(checked, runner, {
      works: () => {
        if (this.callers.size > 0) this.turn.expect();
      },
      applied: (commands, results) => this.feed.applied(commands, results),
      restores: (index) => this.feed.skipTo(index),
      answer: (call, result, index) => this.callers.answer(call, result, index),
      serve: (calls) => this.callers.serve(calls),
      fail: (calls, failure) => this.callers.fail(calls, failure),
      transferred: (call, leader) => this.callers.transferred(call, leader),
      compacted: (call, index, first) => this.callers.compacted(call, index, first),
      failAll: (failure) => this.callers.failAll(failure),
      tell: (event) => this.tell(event),
    });
    this.feed = new ChangesFeed(checked.changesBytes, runner, this.host);
    this.turn = new TurnRequests(this.host, checked.requestTimeout);
    this.handles = new ClientHandles<M>({
      runner,
      clock: checked.clock,
      sessionTime: () => this.host.state.options.configuration.constants.clientSessionTime,
      assertOpen: () => this.assertOpen(),
      prepare: (command) => this.prepare(command),
      enqueue: (request, data, callerOf, renews) => this.enqueue(request, data, 'session', callerOf, renews),
    });
  }

  /** The caller of `createReplica` gets the replica in this turn; what it then listens for it gets from the next on. */
  handOver(): this {
    if (this.host.soon(() => this.emitter.open()) === null) this.emitter.open();
    return this;
  }

  tell(event: ReplicaEvent): void {
    if (event.kind === 'role') {
      this.view.followed(event);
      this.endVerifying();
    }
    if (event.kind === 'leadership') this.view.led(event, this.checked.id);
    const isLast = event.kind === 'fault' || event.kind === 'lostIdentity';
    if (isLast) this.feed.end(refusalOf(this.host.state.phase) as Failure);
    this.emitter.emit(event);
  }

  private assertOpen(): void {
    if (this.closing !== null) throw new ConsensusError('the replica is closed', { code: 'ERR_CLOSED' });
  }

  propose(command: CommandOf<M>, options: WithMeta): Promise<WithIndex<ResultOf<M>>>;
  propose(command: CommandOf<M>, options?: WithoutMeta): Promise<ResultOf<M>>;
  propose(command: CommandOf<M>, options: WithMeta | WithoutMeta = NO_OPTIONS): Promise<GivenResult<M>> {
    this.assertOpen();
    const request = checkRequest(options, PROPOSE_OPTIONS);
    return this.submit(this.prepare(command), request, options.meta === true);
  }

  proposeAll(commands: readonly CommandOf<M>[], options: WithMeta): Promise<WithIndex<ResultOf<M>>>[];
  proposeAll(commands: readonly CommandOf<M>[], options?: WithoutMeta): Promise<ResultOf<M>>[];
  proposeAll(
    commands: readonly CommandOf<M>[],
    options: WithMeta | WithoutMeta = NO_OPTIONS,
  ): Promise<GivenResult<M>>[] {
    this.assertOpen();
    if (!Array.isArray(commands)) throw invalidArgument('proposeAll: expected an array of commands');
    const request = checkRequest(options, PROPOSE_OPTIONS);
    // All are prepared before the first is submitted, so a mistake in one proposes none.
    const prepared = Array.from(commands as readonly CommandOf<M>[], (command) => this.prepare(command));
    const promises = prepared.map((each) => this.submit(each, request, options.meta === true));
    // A caller that waits for one after the other has not yet seen the later ones when they fail.
    promises.forEach(silence);
    return promises;
  }

  /** The bytes of a command, or what the machine has against it. */
  private prepare(command: CommandOf<M>): Uint8Array | CommandRejected {
    const { machine, codec } = this.checked;
    const limit = this.host.state.options.configuration.constants.maxEntryBytes;
    return refusalBy(machine, command) ?? encodeCommand(codec, command, limit);
  }

  private submit(
    prepared: Uint8Array | CommandRejected,
    request: CheckedRequest,
    meta: boolean,
  ): Promise<GivenResult<M>> {
    if (prepared instanceof CommandRejected) return Promise.reject(prepared);
    return this.enqueue<GivenResult<M>>(request, prepared, 'command', (resolve, reject) => {
      return new CommandCaller<M>(request.signal, resolve, reject, this.runner, meta);
    });
  }

  private enqueue<T>(
    { signal, aborted }: CheckedRequest,
    data: Uint8Array,
    kind: 'command' | 'session',
    callerOf: (resolve: (given: T) => void, reject: (error: unknown) => void) => Caller,
    renews = false,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = aborted ? null : this.callers.add(callerOf(resolve, reject));
      if (call === null) return reject(abortError(signal as Signal));
      const command = { call, deadline: deadlineOf(signal), data, kind };
      this.turn.propose(renews ? { ...command, renews } : command);
    });
  }

  session(name: string, options: SessionOptions = NO_OPTIONS): Promise<ClientSession<M>> {
    this.assertOpen();
    return this.handles.session(name, options);
  }

  read<T>(reader: (machine: M) => T, options: ReadOptions = NO_OPTIONS): Promise<T> {
    this.assertOpen();
    if (typeof reader !== 'function') throw invalidArgument('read: expected a function of the machine');
    const request = checkRequest(options, ['signal', 'consistency', 'minIndex', 'maxAge']);
    return this.waitToRead(request, needOf(options), deadlineOf(request.signal), () => reader(this.checked.machine));
  }

  barrier(options: RequestOptions = {}): Promise<void> {
    this.assertOpen();
    const request = checkRequest(options, ['signal']);
    return this.waitToRead(request, LINEARIZABLE, deadlineOf(request.signal), () => undefined);
  }

  /** A read that ends with the leadership. */
  verifyLeader(options: RequestOptions = {}): Promise<void> {
    this.assertOpen();
    const request = checkRequest(options, ['signal']);
    const { role, leader } = this.host.state.leadership;
    if (role !== 'leader') return Promise.reject(errorOf(notLeader(leader), undefined));
    return this.waitToRead(request, LINEARIZABLE, deadlineOf(request.signal), () => undefined, this.verifying);
  }

  /** The role has changed: whoever asked before whether this replica leads hears that it does not. */
  private endVerifying(): void {
    const calls = [...this.verifying];
    this.verifying.clear();
    this.callers.fail(calls, notLeader(this.host.state.leadership.leader));
    for (const call of calls) this.turn.cancel(call);
  }

  ready(options: RequestOptions = {}): Promise<void> {
    this.assertOpen();
    return this.readied(checkRequest(options, ['signal']));
  }

  private async readied(request: CheckedRequest): Promise<void> {
    try {
      await this.waitToRead(request, LINEARIZABLE, Infinity, () => undefined);
    } catch (error) {
      if (!request.aborted && (error as ConsensusError).code !== 'ERR_TIMEOUT') throw error;
      throw notReadyError(request.signal as Signal, this.host.status());
    }
  }

  /**
   * Calls `serve` once everything up to an index is applied here: the one given, or one that is linearizable now.
   * @param among has the call's number until it ends
   */
  private waitToRead<T>(
    { signal, aborted }: CheckedRequest,
    { minIndex, by, maxAge }: ReadNeed,
    deadline: number,
    serve: () => T,
    among?: Set<number>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (aborted) return reject(abortError(signal as Signal));
      const { now } = this.host;
      const ended = (): void => void among?.delete(call ?? 0);
      const served = (): void => (ended(), resolve(serve()));
      const failed = (error: unknown): void => (ended(), reject(error as Error));
      const call = this.callers.add(new ReadCaller(signal, served, failed));
      if (call === null) return reject(abortError(signal as Signal));
      among?.add(call);
      const booked = { call, deadline };
      if (minIndex !== null)
        return this.host.dispatch({ kind: 'read', calls: this.turn.timed([booked], now), minIndex, maxAge }, now);
      this.turn.read(booked, by);
    });
  }

  transfer(options: TransferOptions = {}): Promise<string> {
    this.assertOpen();
    const { signal, aborted } = checkRequest(options, ['signal', 'to', 'timeout']);
    const { to, timeout } = transferOf(options, this.host.state.options);
    return new Promise((resolve, reject) => {
      if (aborted) return reject(abortError(signal as Signal));
      const call = this.callers.add(new TransferCaller(signal, resolve, reject));
      if (call === null) return reject(abortError(signal as Signal));
      this.host.dispatch({ kind: 'transfer', call: { call, deadline: this.host.now + timeout }, to });
    });
  }

  stepDown(options: Omit<TransferOptions, 'to'> = {}): Promise<void> {
    this.assertOpen();
    checkRequest(options, ['signal', 'timeout']);
    return this.transfer(options).then(() => undefined);
  }

  compact(options: CompactOptions = NO_OPTIONS): Promise<Compaction> {
    this.assertOpen();
    const { signal, aborted } = checkRequest(options, ['signal', 'keep']);
    const keep = keptOf(options, this.checked.storage);
    return new Promise((resolve, reject) => {
      const call = aborted ? null : this.callers.add(new CompactionCaller(signal, resolve, reject));
      if (call === null) return reject(abortError(signal as Signal));
      this.host.dispatch({ kind: 'compact', call: { call, deadline: Infinity }, keep });
    });
  }

  leadership(): AsyncGenerator<Leadership, void, undefined> {
    return this.view.follow();
  }

  changes(options: ChangesOptions = NO_OPTIONS): AsyncGenerator<Change<M>, void, undefined> {
    this.assertOpen();
    const request = checkRequest(options, ['from', 'signal']);
    return this.feed.follow(firstChange(options), request);
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

  close(options: CloseOptions = {}): Promise<void> {
    this.closeBy = Math.min(this.closeBy, this.host.now + closeTimeoutOf(options));
    if (this.closing !== null) {
      this.host.hasten(this.closeBy);
      return this.closing;
    }
    let begin: () => void = () => undefined;
    this.closing = new Promise((resolve) => (begin = () => resolve(this.end())));
    begin(); // from the first event that it tells on, whoever closes the replica again gets the same promise
    return this.closing;
  }

  private async end(): Promise<void> {
    this.handles.end();
    this.turn.flush();
    if (this.closeBy > this.host.now) await this.host.leave(this.closeBy);
    const stopped = this.host.stop();
    this.emitter.open();
    this.view.end();
    this.feed.end('closed');
    await stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a log or `JSON.stringify` shows of a replica: its state in short, not its insides. */
  toJSON(): Pick<ReplicaStatus, 'id' | 'cluster' | 'protocol' | 'phase' | 'role' | 'term' | 'leader' | 'applied'> {
    const { id, cluster, protocol, phase, role, term, leader, applied } = this.status();
    return { id, cluster, protocol, phase, role, term, leader, applied };
  }

  /** For `console.log` of Node, Deno and Bun. */
  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return { replica: this.toJSON() };
  }
}
