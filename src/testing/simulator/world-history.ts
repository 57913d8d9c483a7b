/** The history of a world's callers, and its checks. */

import { InvariantViolation } from '../../core/assert.js';
import { jsonCodec } from '../../replica/state-machine.js';
import type { History, Operation } from '../history/history.js';
import { checkLogOrder, type LogEffect } from '../history/linearizability-log-order.js';
import { checkLinearizable } from '../history/linearizability.js';
import { callOf } from '../world/machine.js';
import type { SequentialModel } from '../history/models.js';
import type { WorldCall, WorldRecord } from '../world/record.js';

const results = jsonCodec();

function operationOf({ call, replica, command, invokedAt, endedAt, end }: WorldCall): Operation {
  const begun = { client: `${replica}/${call}`, input: command, call: invokedAt };
  if (end?.kind === 'failed' && end.failure.outcome === 'none') {
    return { ...begun, outcome: 'fail', return: endedAt, at: null };
  }
  if (end?.kind !== 'acknowledged') return { ...begun, outcome: 'unknown', return: Infinity, at: null };
  const { value, rejected } = end.result;
  const plain = value instanceof Uint8Array ? results.decode(value) : value;
  const output = rejected ? { rejected: plain } : plain;
  return { ...begun, outcome: 'ok', output, return: endedAt, at: { kind: 'entry', index: end.index } };
}

/**
 * The history of `world.record`: the proposed commands, each by a client of its own, with its result; the output of a
 * rejected command is `{ rejected: reason }`. Reads are left out, since a world does not record what they return.
 */
export function historyOf({ calls }: WorldRecord): History {
  return calls.filter(({ kind }) => kind === 'write').map(operationOf);
}

/** Histories with more unknown outcomes than this are checked by the log only: a search would rarely end. */
const MOST_UNKNOWN = 10;
/** How often the model may be applied in one search: beyond it there is no second opinion on this history. */
const MOST_STEPS = 50_000;

/**
 * The log explains every output, by the model: its order is an order in which the operations may have taken effect.
 * With `search` a second opinion is asked for, of a search that knows what callers saw and nothing of the log; it has
 * none where the search would take too long.
 * @throws InvariantViolation when either finds no order
 */
export function demandLinearizable(record: WorldRecord, model: SequentialModel<any, any, any>, search: boolean): void {
  const writes = record.calls.filter(({ kind }) => kind === 'write');
  const operations = new Map(writes.map((call) => [call.call, operationOf(call)]));
  const history = [...operations.values()];
  const effects = record.effects.items.slice(0, record.effects.length).map(({ entry }): LogEffect => {
    return { index: entry.index, operation: operations.get(callOf(entry.data)) as Operation };
  });
  const ordered = checkLogOrder(history, model, { effects });
  if (ordered.kind === 'violation') throw new InvariantViolation(ordered.explanation);
  if (!search || history.filter(({ outcome }) => outcome === 'unknown').length > MOST_UNKNOWN) return;
  const found = checkLinearizable(history, model, { steps: MOST_STEPS });
  if (found.kind !== 'violation') return;
  throw new InvariantViolation(`history/linearizable: the history is linearizable: ${found.explanation}`);
}
