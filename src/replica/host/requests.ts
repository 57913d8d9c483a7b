/** Checks what callers ask, and turns commands into bytes. */

import { shown } from '../../core/shown.js';
import { transferPatience } from '../../core/tuning.js';
import type { ReadWay } from '../driver/state.js';
import { CommandRejected, ConsensusError, invalidArgument, textOf } from '../errors.js';
import type { Signal } from '../leadership.js';
import type { AnyMachine } from '../options.js';
import type { DriverOptions } from '../driver/state.js';
import type { ChangesOptions } from '../changes.js';
import type { CloseOptions, CompactOptions, ReadOptions, TransferOptions } from '../replica.js';
import type { ValueCodec } from '../state-machine.js';
import type { Storage } from '../storage.js';
import { isThenable, silence } from './plug-ins.js';

/** The options of a request, checked. */
export interface CheckedRequest {
  readonly signal: Signal | undefined;
  /** The signal had aborted before the request was made. */
  readonly aborted: boolean;
}

/** The options of a request that is given none. */
export const NO_OPTIONS: Readonly<Record<string, never>> = Object.freeze({});
const UNSIGNALLED: CheckedRequest = { signal: undefined, aborted: false };

/** @throws ConsensusError ERR_INVALID_ARGUMENT */
export function checkRequest(options: object, known: readonly string[]): CheckedRequest {
  if (options === NO_OPTIONS) return UNSIGNALLED;
  if (typeof options !== 'object' || options === null) throw invalidArgument('options: expected an object');
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalidArgument(`${unknown}: no such option; there are ${known.join(', ')}`);
  const { signal } = options as { signal?: Signal };
  if (signal === undefined) return UNSIGNALLED;
  try {
    const isSignal = ['addEventListener', 'removeEventListener'].every(
      (name) => typeof signal[name as keyof Signal] === 'function',
    );
    if (isSignal && typeof signal.aborted === 'boolean') return { signal, aborted: signal.aborted };
  } catch {
    // A signal whose fields throw is none.
  }
  throw invalidArgument('signal: expected an AbortSignal');
}

/** What a read waits for: an index that is linearizable, by this way, or the one given and a state so fresh. */
export interface ReadNeed {
  readonly minIndex: number | null;
  readonly by: ReadWay;
  readonly maxAge: number;
}

export const LINEARIZABLE: ReadNeed = { minIndex: null, by: 'leader', maxAge: Infinity };

const WAYS: Readonly<Record<string, ReadNeed>> = {
  linearizable: LINEARIZABLE,
  lease: { ...LINEARIZABLE, by: 'lease' },
  quorum: { ...LINEARIZABLE, by: 'quorum' },
};

/** @throws ConsensusError ERR_INVALID_ARGUMENT */
export function needOf({ consistency = 'linearizable', minIndex, maxAge }: ReadOptions): ReadNeed {
  if (typeof consistency !== 'string' || (consistency !== 'stale' && !Object.hasOwn(WAYS, consistency))) {
    const known = `'linearizable', 'lease', 'quorum' or 'stale'`;
    throw invalidArgument(`consistency: expected ${known}, got ${shown(consistency)}`);
  }
  if (minIndex !== undefined && (consistency !== 'stale' || !Number.isSafeInteger(minIndex) || minIndex < 0)) {
    throw invalidArgument(`minIndex: expected an index, with consistency 'stale'`);
  }
  if (maxAge !== undefined && (consistency !== 'stale' || typeof maxAge !== 'number' || !(maxAge >= 0))) {
    throw invalidArgument(`maxAge: expected milliseconds from 0, with consistency 'stale'`);
  }
  if (consistency !== 'stale') return WAYS[consistency] as ReadNeed;
  return { minIndex: minIndex ?? 0, by: 'leader', maxAge: maxAge ?? Infinity };
}

/**
 * The index that changes begin with; `null` for that of the next command.
 * @throws ConsensusError ERR_INVALID_ARGUMENT
 */
export function firstChange({ from }: ChangesOptions): number | null {
  if (from === undefined || (Number.isSafeInteger(from) && from >= 1)) return from ?? null;
  throw invalidArgument(`from: expected an index, a whole number from 1, got ${shown(from)}`);
}

/**
 * The target and the timeout of a transfer.
 * @throws ConsensusError ERR_INVALID_ARGUMENT
 */
export function transferOf(
  { to, timeout }: TransferOptions,
  { configuration, timing }: DriverOptions,
): { readonly to: string | null; readonly timeout: number } {
  if (to !== undefined && configuration.members.every(({ id }) => id !== to)) {
    throw invalidArgument(`to: expected the id of a member, got ${shown(to)}`);
  }
  return { to: to ?? null, timeout: timeoutIn(timeout, transferPatience(timing), 1) };
}

/**
 * How many entries a compaction leaves in the log at least.
 * @throws ConsensusError ERR_INVALID_ARGUMENT
 */
export function keptOf({ keep = 0 }: CompactOptions, { snapshots }: Pick<Storage, 'snapshots'>): number {
  if (!Number.isSafeInteger(keep) || keep < 0) {
    throw invalidArgument(`keep: expected a number of entries, a whole number from 0, got ${shown(keep)}`);
  }
  if (snapshots === undefined) throw invalidArgument('compact: the storage of this replica keeps no snapshots');
  return keep;
}

/** How long closing may wait, unless the caller says so. */
const CLOSE_TIMEOUT = 5000;

/** @throws ConsensusError ERR_INVALID_ARGUMENT */
export function closeTimeoutOf(options: CloseOptions): number {
  checkRequest(options, ['timeout']);
  return timeoutIn(options.timeout, CLOSE_TIMEOUT, 0);
}

function timeoutIn(timeout: number | undefined, byDefault: number, least: number): number {
  if (timeout === undefined) return byDefault;
  if (typeof timeout === 'number' && timeout >= least && timeout < 2 ** 31) return timeout;
  throw invalidArgument(`timeout: expected milliseconds from ${least} to 2^31 - 1, got ${shown(timeout)}`);
}

/**
 * What the machine's `validate` has against a command; `null` if nothing.
 * @throws ConsensusError ERR_INVALID_ARGUMENT if `validate` returned a promise
 */
export function refusalBy(machine: AnyMachine, command: unknown): CommandRejected | null {
  if (machine.validate === undefined) return null;
  try {
    const given: unknown = machine.validate(command);
    if (!isThenable(given)) return null;
    silence(given);
  } catch (error) {
    return error instanceof CommandRejected ? error : new CommandRejected(textOf(error), { cause: error });
  }
  throw invalidArgument('machine.validate: expected a synchronous function, got a promise');
}

/** @throws ConsensusError ERR_NOT_SERIALIZABLE, ERR_TOO_LARGE */
export function encodeCommand(codec: ValueCodec, command: unknown, limit: number): Uint8Array {
  let data: Uint8Array;
  try {
    data = codec.encode(command);
  } catch (error) {
    const message = `the command cannot be encoded: ${textOf(error)}`;
    throw new ConsensusError(message, { code: 'ERR_NOT_SERIALIZABLE', cause: error });
  }
  if (data.length <= limit) return data;
  const message = `the command takes ${data.length} bytes, and the cluster's limit is ${limit}`;
  throw new ConsensusError(message, { code: 'ERR_TOO_LARGE' });
}

/** The error of a caller whose command was applied here, and whose result is lost. */
export function undecodable(cause: unknown, index: number): ConsensusError {
  const message = `the command has taken effect at index ${index}, but its result cannot be decoded: ${textOf(cause)}`;
  return new ConsensusError(message, { code: 'ERR_RESULT_NOT_SERIALIZABLE', outcome: 'unknown', cause });
}
