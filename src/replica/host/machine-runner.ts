/**
 * Runs the application's state machine: decodes commands, applies them, and encodes results for the session table.
 * No other code calls `apply` or `wake`.
 */

import { MAX_TIME } from '../../core/entries.js';
import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { Constants } from '../../core/members.js';
import { shown } from '../../core/shown.js';
import type { Fault } from '../driver/state.js';
import { CommandRejected, textOf } from '../errors.js';
import type { AnyMachine } from '../options.js';
import type { StoredResult } from '../driver/session-table.js';
import type { ValueCodec } from '../state-machine.js';
import { isThenable, silence } from './plug-ins.js';

export class MachineRunner {
  private readonly machine: AnyMachine;
  private readonly codec: ValueCodec;
  private readonly results: ValueCodec;
  private readonly onError: Constants['onApplyError'];
  /** When the machine is to be woken, in log time; `Infinity` for never, `null`: it is never woken. */
  wakeAt: Milliseconds | null = Infinity;
  private isCalling = false;
  /** Given to the machine, which may keep it: outside its calls it throws. */
  private readonly ask = (time: number): void => this.asked(time);

  constructor(machine: AnyMachine, codec: ValueCodec, results: ValueCodec, onError: Constants['onApplyError']) {
    this.machine = machine;
    this.codec = codec;
    this.results = results;
    this.onError = onError;
  }

  /**
   * Applies an entry, whose time is log time; wakes the machine before, if that is due. Returns its result, or the
   * fault for which the replica halts, since the machine's state is no longer known. Never throws, whatever the machine
   * or a codec throws.
   */
  apply(entry: Entry): StoredResult | Fault {
    if (this.wakeAt !== null && this.wakeAt <= entry.time) {
      const fault = this.wake(entry.index, entry.time);
      if (fault !== null) return fault;
    }
    let command: unknown;
    let result: unknown;
    try {
      command = this.decode(entry.data);
    } catch (error) {
      return this.failed('ERR_NOT_SERIALIZABLE', `the command at index ${entry.index} cannot be decoded`, error);
    }
    try {
      this.isCalling = true;
      result = this.machine.apply(command, { index: entry.index, time: entry.time, wakeAt: this.ask });
      this.isCalling = false;
      if (isThenable(result)) {
        silence(result); // the replica halts; without a handler, a rejection would also end the process
        return { code: 'ERR_APPLY_ASYNC', reason: `apply returned a promise at index ${entry.index}` };
      }
    } catch (error) {
      this.isCalling = false;
      if (error instanceof CommandRejected) return this.rejected(error, entry);
      return this.failed('ERR_APPLY_FAILED', `apply threw at index ${entry.index}`, error);
    }
    try {
      return { rejected: false, value: this.keep(result) };
    } catch (error) {
      return this.failed('ERR_RESULT_NOT_SERIALIZABLE', `the result at index ${entry.index} cannot be encoded`, error);
    }
  }

  /** Wakes the machine: what it asked for is over. Returns the fault for which the replica halts; `null` for none. */
  wake(index: Index, time: Milliseconds): Fault | null {
    this.wakeAt = Infinity;
    try {
      this.isCalling = true;
      const given: unknown = this.machine.wake?.({ index, time, wakeAt: this.ask });
      this.isCalling = false;
      if (!isThenable(given)) return null;
      silence(given);
      return { code: 'ERR_APPLY_ASYNC', reason: `wake returned a promise at index ${index}` };
    } catch (error) {
      this.isCalling = false;
      const what = this.failed('ERR_APPLY_FAILED', `wake threw at index ${index}`, error);
      return 'code' in what ? what : null;
    }
  }

  private asked(time: number): void {
    if (!this.isCalling) throw new Error('wakeAt: it is called within apply or wake only');
    if (typeof this.machine.wake !== 'function') throw new TypeError('wakeAt: the machine has no method wake');
    if (!Number.isSafeInteger(time) || time < 0) {
      throw new RangeError(`wakeAt: expected milliseconds since the epoch as a whole number, got ${shown(time)}`);
    }
    // Log time never comes to what is above, a usual way to say "never".
    if (this.wakeAt !== null && time < this.wakeAt && time <= MAX_TIME) this.wakeAt = time;
  }

  /** Applies entries in order. Returns one result for each, or the fault of the first that has one. */
  run(entries: readonly Entry[]): readonly StoredResult[] | Fault {
    const results: StoredResult[] = [];
    for (const entry of entries) {
      const result = this.apply(entry);
      if ('code' in result) return result;
      results.push(result);
    }
    return results;
  }

  /** By the constant `onApplyError`, an exception is a fault, or a rejection whose reason is its text. */
  private failed(code: Fault['code'], what: string, cause: unknown): StoredResult | Fault {
    const text = textOf(cause);
    if (this.onError === 'halt') return { code, reason: `${what}: ${text}`, cause };
    try {
      return { rejected: true, threw: true, value: this.keep(text) };
    } catch (error) {
      return { code: 'ERR_RESULT_NOT_SERIALIZABLE', reason: `${what}, nor its error encoded: ${text}`, cause: error };
    }
  }

  private rejected(rejection: CommandRejected, { index }: Entry): StoredResult | Fault {
    try {
      return { rejected: true, value: this.keep(rejection.reason) };
    } catch (error) {
      const what = `the reason of a rejection at index ${index} cannot be encoded`;
      return { code: 'ERR_RESULT_NOT_SERIALIZABLE', reason: `${what}: ${textOf(error)}`, cause: error };
    }
  }

  /** Keeps what is immutable and survives as it is; encodes all else. */
  private keep(value: unknown): StoredResult['value'] {
    if (value === undefined || value === null || typeof value === 'boolean' || typeof value === 'number') return value;
    return this.results.encode(value);
  }

  /** Decodes a command. Throws what the codec throws. */
  decode(data: Uint8Array): unknown {
    return this.codec.decode(data);
  }

  /** Decodes a kept result, so that every caller gets a value of its own. */
  give(result: StoredResult): unknown {
    return result.value instanceof Uint8Array ? this.results.decode(result.value) : result.value;
  }
}
