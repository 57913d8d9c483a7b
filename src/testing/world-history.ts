/** What the callers of a world saw, as a history that any checker takes. */

import { jsonCodec } from '../replica/state-machine.js';
import type { History, Operation } from './history.js';
import type { Call, Record } from './record.js';

const results = jsonCodec();

function operationOf({ call, replica, command, invokedAt, endedAt, end }: Call): Operation {
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
 * The commands that were proposed, each by a client of its own, with its result; of one that was rejected
 * `{ rejected: reason }`.
 * Reads are not among them: what a caller reads from a machine is not the world's.
 */
export function historyOf({ calls }: Record): History {
  return calls.filter(({ kind }) => kind === 'write').map(operationOf);
}
