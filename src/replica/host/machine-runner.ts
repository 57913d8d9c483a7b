/**
 * Runs the application's state machine: decodes commands, applies them, and encodes results for the session table.
 * No other code calls `apply`.
 */

import type { Entry } from '../../core/protocol.js';
import type { Constants } from '../../core/members.js';
import { CommandRejected, type ErrorCode } from '../errors.js';
import type { AnyMachine } from '../options.js';
import type { StoredResult } from '../driver/session-table.js';
import type { ValueCodec } from '../state-machine.js';

/** The machine failed at an entry, so its state is no longer known and the replica halts. */
export interface ApplyFailure {
  readonly code: ErrorCode;
  readonly reason: string;
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

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

  /** Applies entries. Returns one result for each, or the failure for which the replica halts. */
  run(entries: readonly Entry[]): readonly StoredResult[] | ApplyFailure {
    const results: StoredResult[] = [];
    for (const entry of entries) {
      const result = this.apply(entry);
      if ('code' in result) return result;
      results.push(result);
    }
    return results;
  }

  private apply(entry: Entry): StoredResult | ApplyFailure {
    try {
      const result: unknown = this.machine.apply(this.codec.decode(entry.data));
      if (isPromise(result)) {
        // The replica halts; without a handler, a rejection of this promise would also end the process.
        if (result instanceof Promise) result.catch(() => undefined);
        return { code: 'ERR_APPLY_ASYNC', reason: `apply returned a promise at index ${entry.index}` };
      }
      return { rejected: false, value: this.keep(result) };
    } catch (error) {
      if (error instanceof CommandRejected) return this.rejected(error.reason, entry);
      const text = error instanceof Error ? error.message : String(error);
      if (this.onError === 'reject') return this.rejected(text, entry);
      return { code: 'ERR_APPLY_FAILED', reason: `apply threw at index ${entry.index}: ${text}` };
    }
  }

  private rejected(reason: unknown, entry: Entry): StoredResult | ApplyFailure {
    try {
      return { rejected: true, value: this.keep(reason) };
    } catch (error) {
      const text = (error as Error).message;
      const reason = `a rejection's reason cannot be kept at index ${entry.index}: ${text}`;
      return { code: 'ERR_APPLY_FAILED', reason };
    }
  }

  private keep(value: unknown): StoredResult['value'] {
    if (value === undefined || value === null || typeof value === 'boolean' || typeof value === 'number') return value;
    return this.results.encode(value);
  }

  /** Decodes a kept result, so that every caller gets a value of its own. */
  give(result: StoredResult): unknown {
    return result.value instanceof Uint8Array ? this.results.decode(result.value) : result.value;
  }
}
