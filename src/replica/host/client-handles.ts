/**
 * The handles of clients' sessions: they turn what a client asks into commands of this replica's own session, and renew
 * the sessions that have an open handle, at a third of their time.
 */

import { shown } from '../../core/shown.js';
import { encodeClientCommand, MAX_NAME, type ClientCommand } from '../driver/client-commands.js';
import { RENEWALS } from '../driver/client-sessions.js';
import type { StoredResult } from '../driver/session-table.js';
import { CommandRejected, ConsensusError, invalidArgument } from '../errors.js';
import type { Cancellable, Clock } from '../clock.js';
import type { AnyMachine, CommandOf, ResultOf } from '../options.js';
import type { RequestOptions, WithIndex } from '../replica.js';
import type { ClientSession, SequenceOptions, SessionOptions } from '../session.js';
import type { Signal } from '../leadership.js';
import { Caller, CommandCaller, refusalError, type GivenResult } from './callers.js';
import type { MachineRunner } from './machine-runner.js';
import { checkRequest, type CheckedRequest } from './requests.js';

/** What a handle needs of its replica. */
export interface HandleDoor<M extends AnyMachine> {
  readonly runner: MachineRunner;
  readonly clock: Clock;
  /** The cluster's constant. */
  sessionTime(): number;
  assertOpen(): void;
  /** The bytes of a command, or what the machine has against it. */
  prepare(command: CommandOf<M>): Uint8Array | CommandRejected;
  /** Proposes a command of a client's session. */
  enqueue<T>(
    request: CheckedRequest,
    data: Uint8Array,
    callerOf: (resolve: (given: T) => void, reject: (error: unknown) => void) => Caller,
    renews?: boolean,
  ): Promise<T>;
}

/** A caller of an open, a renewal or a close. */
class SessionCaller extends Caller {
  private readonly resolve: (given: WithIndex<StoredResult['value']>) => void;

  constructor(
    signal: Signal | undefined,
    resolve: (given: WithIndex<StoredResult['value']>) => void,
    reject: (error: unknown) => void,
  ) {
    super(signal, reject);
    this.resolve = resolve;
  }

  override complete({ refusal, value }: StoredResult, index: number): void {
    if (refusal === undefined) this.resolve({ result: value, index });
    else this.reject(refusalError(refusal, 'none'));
  }
}

/** What follows it is a whole number that is stored, too. */
const MAX_SEQUENCE = 2 ** 52;

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MAX_SEQUENCE;
}

/** @throws ConsensusError ERR_INVALID_ARGUMENT */
function checkSequence(sequence: unknown): number {
  if (isSequence(sequence)) return sequence;
  throw invalidArgument(`sequence: expected a whole number from 1 to 2^52, got ${shown(sequence)}`);
}

const NAME = new RegExp(`^[\\x21-\\x7e]{1,${MAX_NAME}}$`);
/** After a failure the next renewal comes so many times sooner. */
const SOONER = 8;
const UNSIGNALLED: CheckedRequest = { signal: undefined, aborted: false };

export class ClientHandles<M extends AnyMachine> {
  readonly door: HandleDoor<M>;
  /** By session, the newest attach of each: the others are fenced. */
  private readonly open = new Map<number, Handle<M>>();
  private timer: Cancellable | null = null;
  /** Whether the timer makes a renewal good that has failed. */
  private isSoon = false;
  private ended = false;

  constructor(door: HandleDoor<M>) {
    this.door = door;
  }

  session(name: string, options: SessionOptions): Promise<ClientSession<M>> {
    const request = checkRequest(options, ['signal', 'id']);
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw invalidArgument(`name: expected 1 to ${MAX_NAME} printable ASCII characters, got ${shown(name)}`);
    }
    const { id = 0 } = options;
    if (options.id !== undefined && !isSequence(id)) {
      throw invalidArgument(`id: expected the id of a session, a whole number from 1, got ${shown(id)}`);
    }
    return this.attach(request, name, id);
  }

  private async attach(request: CheckedRequest, name: string, id: number): Promise<ClientSession<M>> {
    const { result, index } = await this.ask(request, { kind: 'open', name, id });
    const handle = new Handle<M>(this, name, result as number, index);
    if ((this.open.get(handle.id)?.epoch ?? 0) < index) this.open.set(handle.id, handle);
    this.renewLater();
    return handle;
  }

  /** What keeps it from being asked rejects, too: it is called by a timer. */
  async ask(request: CheckedRequest, command: ClientCommand): Promise<WithIndex<StoredResult['value']>> {
    const callerOf = (resolve: (given: WithIndex<StoredResult['value']>) => void, reject: (error: unknown) => void) =>
      new SessionCaller(request.signal, resolve, reject);
    return this.door.enqueue(request, encodeClientCommand(command), callerOf, command.kind === 'renew');
  }

  /** The handle is of no more use. */
  drop(handle: Handle<M>): void {
    if (this.open.get(handle.id) === handle) this.open.delete(handle.id);
    if (this.open.size === 0) this.stop();
  }

  /** The replica closes. */
  end(): void {
    this.ended = true;
    this.stop();
  }

  private stop(): void {
    const { timer } = this;
    this.timer = null;
    try {
      timer?.cancel();
    } catch {
      // A clock that cannot cancel calls back for nothing.
    }
  }

  /** A renewal has failed: the next one comes soon, and is not put off by others that fail. */
  renewSoon(): void {
    if (this.timer !== null && this.isSoon) return;
    this.stop();
    this.renewLater(SOONER);
  }

  private renewLater(sooner = 1): void {
    if (this.timer !== null || this.ended || this.open.size === 0) return;
    this.isSoon = sooner > 1;
    try {
      this.timer = this.door.clock.after(this.door.sessionTime() / (RENEWALS * sooner), () => this.renew());
    } catch {
      // The host reads the clock at its next turn, and halts.
    }
  }

  private renew(): void {
    this.timer = null;
    if (this.ended) return;
    for (const handle of this.open.values()) handle.renew();
    this.renewLater();
  }
}

/** One attach of a session. */
class Handle<M extends AnyMachine> implements ClientSession<M> {
  readonly name: string;
  readonly id: number;
  private readonly handles: ClientHandles<M>;
  readonly epoch: number;
  private firstIncomplete = 1;
  private isClosed = false;
  private renewing = false;

  constructor(handles: ClientHandles<M>, name: string, id: number, epoch: number) {
    this.handles = handles;
    this.name = name;
    this.id = id;
    this.epoch = epoch;
  }

  private assertOpen(): void {
    this.handles.door.assertOpen();
    if (this.isClosed) throw new ConsensusError('the session is closed', { code: 'ERR_CLOSED' });
  }

  propose(command: CommandOf<M>, options: SequenceOptions & { readonly meta: true }): Promise<WithIndex<ResultOf<M>>>;
  propose(
    command: CommandOf<M>,
    options: SequenceOptions & { readonly meta?: false | undefined },
  ): Promise<ResultOf<M>>;
  propose(command: CommandOf<M>, options: SequenceOptions): Promise<GivenResult<M>> {
    this.assertOpen();
    const { door } = this.handles;
    const request = checkRequest(options, ['signal', 'meta', 'sequence']);
    const sequence = checkSequence(options.sequence);
    if (sequence < this.firstIncomplete) return Promise.reject(refusalError('completed'));
    const data = door.prepare(command);
    if (data instanceof CommandRejected) return Promise.reject(data);
    const { id: session, epoch, firstIncomplete } = this;
    const proposed = encodeClientCommand({ kind: 'propose', session, epoch, sequence, firstIncomplete, data });
    return this.watched(
      door.enqueue<GivenResult<M>>(request, proposed, (resolve, reject) => {
        return new CommandCaller<M>(request.signal, resolve, reject, door.runner, options.meta === true);
      }),
    );
  }

  completed(sequence: number): void {
    this.firstIncomplete = Math.max(this.firstIncomplete, checkSequence(sequence) + 1);
  }

  close(options: RequestOptions = {}): Promise<void> {
    this.assertOpen();
    const request = checkRequest(options, ['signal']);
    this.end();
    return this.closed(request);
  }

  private async closed(request: CheckedRequest): Promise<void> {
    try {
      await this.handles.ask(request, { kind: 'close', session: this.id, epoch: this.epoch });
    } catch (error) {
      if ((error as ConsensusError).code !== 'ERR_SESSION_EXPIRED') throw error;
    }
  }

  private end(): void {
    this.isClosed = true;
    this.handles.drop(this);
  }

  /** A session that is gone, or another's, is renewed no longer. */
  private watched<T>(promise: Promise<T>): Promise<T> {
    promise.catch((error: unknown) => {
      const { code } = error as ConsensusError;
      if (code === 'ERR_SESSION_EXPIRED' || code === 'ERR_SESSION_FENCED') this.handles.drop(this);
    });
    return promise;
  }

  /** One at a time. If it fails, the next one makes it good. */
  renew(): void {
    if (this.renewing) return;
    this.renewing = true;
    const { id: session, epoch, firstIncomplete } = this;
    this.watched(this.handles.ask(UNSIGNALLED, { kind: 'renew', session, epoch, firstIncomplete })).then(
      () => void (this.renewing = false),
      () => {
        this.renewing = false;
        this.handles.renewSoon();
      },
    );
  }
}
