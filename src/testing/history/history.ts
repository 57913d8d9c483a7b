/**
 * Histories: the operations that clients called, with their times and outputs (Herlihy and Wing 1990). A history knows
 * nothing of replicas, so the checkers take histories of any system.
 */

import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';

/**
 * The operations of one run, in any order. Times are numbers of the maker's choosing, on one clock for all clients:
 * an operation comes before another only if its `return` is smaller than the other's `call`. Equal times, and
 * all else that overlaps, are concurrent.
 */
export type History<Input = unknown, Output = unknown> = readonly Operation<Input, Output>[];

/** One operation of one client; `outcome` says how it ended. */
export type Operation<Input = unknown, Output = unknown> =
  | CompletedOperation<Input, Output>
  | FailedOperation<Input>
  | UnknownOperation<Input>;

interface Invoked<Input> {
  /** Who called it: a process, a session, a thread. It calls one operation after the other. */
  readonly client: string;
  /** What was asked. The ready-made models take `[verb, ...arguments]`. */
  readonly input: Input;
  readonly call: number;
  /** Where in the replicated log it took effect, or was read; `null` if not known. For `checkLogOrder` alone. */
  readonly at: LogPosition | null;
}

/** It took effect once, between `call` and `return`. */
export interface CompletedOperation<Input = unknown, Output = unknown> extends Invoked<Input> {
  readonly outcome: 'ok';
  /** What came back; `undefined` if nothing did. */
  readonly output: Output;
  readonly return: number;
}

/** It provably had no effect and never will. Checkers leave it out. */
export interface FailedOperation<Input = unknown> extends Invoked<Input> {
  readonly outcome: 'fail';
  readonly return: number;
}

/** It may take effect once, at any time from its call on, or never. So it never returns. */
export interface UnknownOperation<Input = unknown> extends Invoked<Input> {
  readonly outcome: 'unknown';
  readonly return: typeof Infinity;
}

/**
 * `entry`: it is the log's entry at `index`. `read`: it was answered from a state that held every entry up to
 * `index` and none above.
 */
export interface LogPosition {
  readonly kind: 'entry' | 'read';
  readonly index: number;
}

/** One event of a history. `time` is left out when only the order of the events is known. */
export type HistoryEvent<Input = unknown, Output = unknown> =
  | { readonly kind: 'invoke'; readonly client: string; readonly input: Input; readonly time?: number }
  | {
      readonly kind: 'ok';
      readonly client: string;
      readonly output: Output;
      readonly at?: LogPosition | null;
      readonly time?: number;
    }
  | { readonly kind: 'fail'; readonly client: string; readonly time?: number }
  | { readonly kind: 'unknown'; readonly client: string; readonly at?: LogPosition | null };

/**
 * Records a history while it happens.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` from each method for what cannot have happened: a client that calls
 *   with an operation still open, an end without a call, time that runs backwards, a position that is none
 */
export interface HistoryRecorder<Input = unknown, Output = unknown> {
  invoke(client: string, input: Input): void;
  ok(client: string, output: Output, at?: LogPosition | null): void;
  /** Only what provably had no effect: a timeout is `unknown`. */
  fail(client: string): void;
  /** The client gives up waiting and may call again. */
  unknown(client: string, at?: LogPosition | null): void;
  /** Everything so far, by call; what is still open is `unknown`. */
  history(): History<Input, Output>;
}

/**
 * A recorder without events.
 * @param options.now the time of an event, never running backwards; without it the events are numbered from 0,
 *   those that end with `unknown` not counted
 */
export function recordHistory<Input = unknown, Output = unknown>(
  options: { readonly now?: () => number } = {},
): HistoryRecorder<Input, Output> {
  const assembly = new HistoryAssembly<Input, Output>();
  const record = (event: HistoryEvent<Input, Output>): void => {
    const stamped = options.now === undefined ? event : { ...event, time: options.now() };
    const problem = assembly.add(stamped);
    if (problem !== null) throw invalidArgument(problem);
  };
  return {
    invoke: (client, input) => record({ kind: 'invoke', client, input }),
    ok: (client, output, at = null) => record({ kind: 'ok', client, output, at }),
    fail: (client) => record({ kind: 'fail', client }),
    unknown: (client, at = null) => record({ kind: 'unknown', client, at }),
    history: () => assembly.history(),
  };
}

/**
 * The history that these events tell, in the order given.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the first event that cannot have happened
 */
export function historyFromEvents<Input, Output>(
  events: readonly HistoryEvent<Input, Output>[],
): History<Input, Output> {
  const assembly = new HistoryAssembly<Input, Output>();
  events.forEach((event, at) => {
    const problem = assembly.add(event);
    if (problem !== null) throw invalidArgument(`event ${at}: ${problem}`);
  });
  return assembly.history();
}

const EVENT_KINDS: readonly HistoryEvent['kind'][] = ['invoke', 'ok', 'fail', 'unknown'];

/** Builds operations out of events. Gives reasons instead of throwing: its users know the place, in their own terms. */
export class HistoryAssembly<Input = unknown, Output = unknown> {
  private readonly operations: Operation<Input, Output>[] = [];
  /** Of each client with an open operation, where that stands. */
  private readonly open = new Map<string, number>();
  private ordinal = 0;
  private latest = -Infinity;
  /** Whether events carry times; `null` before the first that may. */
  private timed: boolean | null = null;

  /** @returns why the event cannot have happened, `null` when it was taken */
  add(event: HistoryEvent<Input, Output>): string | null {
    if (!EVENT_KINDS.includes(event.kind)) return `an event is ${EVENT_KINDS.join(', ')}, got ${shown(event.kind)}`;
    const place = this.open.get(event.client);
    const { client } = event;
    if (typeof client !== 'string') return `a client is named by a string, got ${typeof (client as unknown)}`;
    if (event.kind === 'invoke' && place !== undefined) return `client ${client} calls with an operation still open`;
    if (event.kind !== 'invoke' && place === undefined) return `client ${client} has no operation open`;
    const at = 'at' in event ? (event.at ?? null) : null;
    const problem = positionProblem(at) ?? (event.kind === 'unknown' ? null : this.clockProblem(event.time));
    if (problem !== null) return problem;
    if (event.kind === 'invoke') {
      this.open.set(client, this.operations.length);
      const call = this.tick(event.time);
      this.operations.push({ client, input: event.input, call, at: null, outcome: 'unknown', return: Infinity });
    } else {
      this.open.delete(client);
      this.operations[place as number] = this.ended(this.operations[place as number] as UnknownOperation<Input>, event);
    }
    return null;
  }

  history(): History<Input, Output> {
    return this.operations.slice();
  }

  private ended(
    operation: UnknownOperation<Input>,
    event: Exclude<HistoryEvent<Input, Output>, { kind: 'invoke' }>,
  ): Operation<Input, Output> {
    const { client, input, call } = operation;
    if (event.kind === 'unknown') return { ...operation, at: event.at ?? null };
    const time = this.tick(event.time);
    if (event.kind === 'fail') return { client, input, call, at: null, outcome: 'fail', return: time };
    return { client, input, call, at: event.at ?? null, outcome: 'ok', output: event.output, return: time };
  }

  private clockProblem(time: number | undefined): string | null {
    const timed = time !== undefined;
    if (this.timed !== null && this.timed !== timed) return 'either all events carry a time or none does';
    if (time === undefined) return null;
    if (!Number.isFinite(time)) return `a time is a finite number, got ${shown(time)}`;
    return time < this.latest ? `time runs backwards, from ${this.latest} to ${time}` : null;
  }

  private tick(time: number | undefined): number {
    this.timed = time !== undefined;
    this.latest = time ?? this.ordinal++;
    return this.latest;
  }
}

/** @returns what is wrong with a position, `null` if nothing is */
export function positionProblem(at: LogPosition | null): string | null {
  if (at === null) return null;
  if (at.kind !== 'entry' && at.kind !== 'read') return `a position is an entry or a read, got ${shown(at.kind)}`;
  const least = at.kind === 'entry' ? 1 : 0;
  if (Number.isSafeInteger(at.index) && at.index >= least) return null;
  const whose = at.kind === 'entry' ? 'an entry' : 'a read';
  return `the index of ${whose} is a whole number from ${least} on, got ${shown(at.index)}`;
}

/** @returns what is wrong with an operation that somebody else made, `null` if nothing is */
export function operationProblem(operation: Operation): string | null {
  if (typeof operation !== 'object' || operation === null) return `an object, got ${shown(operation)}`;
  const { client, outcome, call, at } = operation;
  if (typeof client !== 'string') return `a client is named by a string, got ${typeof (client as unknown)}`;
  if (outcome !== 'ok' && outcome !== 'fail' && outcome !== 'unknown') {
    return `an outcome is ok, fail or unknown, got ${shown(outcome)}`;
  }
  if (!Number.isFinite(call)) return `call is a finite number, got ${shown(call)}`;
  if (outcome === 'unknown') {
    if (operation.return !== Infinity)
      return `an unknown operation returns at Infinity, got ${shown(operation.return)}`;
  } else if (!Number.isFinite(operation.return) || operation.return < call) {
    return `return is a finite number not below call, got ${call} and ${shown(operation.return)}`;
  }
  if (outcome === 'fail' && at !== null) return 'what failed has no position in the log';
  return positionProblem(at);
}

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the first operation that is none */
export function checkOperations(history: History): void {
  if (!Array.isArray(history)) throw invalidArgument(`a history is a list of operations, got ${typeof history}`);
  history.forEach((operation, at) => {
    const problem = operationProblem(operation);
    if (problem !== null) throw invalidArgument(`operation ${at} of the history: ${problem}`);
  });
}
