/**
 * Runs the application's state machine: decodes commands, applies them, and encodes results for the session table.
 * No other code calls `apply`.
 */

import type { Entry } from '../../core/protocol.js';
import type { Constants } from '../../core/members.js';
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

  constructor(machine: AnyMachine, codec: ValueCodec, results: ValueCodec, onError: Constants['onApplyError']) {
    this.machine = machine;
    this.codec = codec;
    this.results = results;
    this.onError = onError;
  }

  /**
   * Applies an entry. Returns its result, or the fault for which the replica halts, since the machine's state is no
   * longer known. Never throws, whatever the machine or a codec throws.
   */
  apply(entry: Entry): StoredResult | Fault {
    let command: unknown;
    let result: unknown;
    try {
      command = this.decode(entry.data);
    } catch (error) {
      return this.failed('ERR_NOT_SERIALIZABLE', `the command at index ${entry.index} cannot be decoded`, error);
    }
    try {
      result = this.machine.apply(command);
      if (isThenable(result)) {
        silence(result); // the replica halts; without a handler, a rejection would also end the process
        return { code: 'ERR_APPLY_ASYNC', reason: `apply returned a promise at index ${entry.index}` };
      }
    } catch (error) {
      if (error instanceof CommandRejected) return this.rejected(error, entry);
      return this.failed('ERR_APPLY_FAILED', `apply threw at index ${entry.index}`, error);
    }
    try {
      return { rejected: false, value: this.keep(result) };
    } catch (error) {
      return this.failed('ERR_RESULT_NOT_SERIALIZABLE', `the result at index ${entry.index} cannot be encoded`, error);
    }
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
