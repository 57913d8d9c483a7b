/**
 * The machine's side of snapshots: what it gives, as one value or as a stream of chunks, and what it can restore. A
 * stream ends once: by itself, or by its `return`, of which nothing is waited for.
 */

import type { AnyMachine } from '../options.js';
import type { StateMachine, StreamingStateMachine } from '../state-machine.js';
import { answered, isThenable, silence } from './plug-ins.js';
import type { SnapshotForm } from './snapshot-format.js';

/** What the machine gave. */
export type SnapshotSource =
  | { readonly form: 'value'; readonly bytes: Uint8Array }
  | { readonly form: 'stream'; readonly chunks: AsyncIterable<unknown>; readonly end: () => void };

type SnapshotIterator = AsyncIterator<unknown> | Iterator<unknown>;

export function isStreaming(machine: AnyMachine): machine is StreamingStateMachine<any, any> {
  return typeof (machine as Partial<StreamingStateMachine>).restoreFrom === 'function';
}

/**
 * The chunks of a machine, of which the first one is asked for at once: a generator runs no line before that, and would
 * see what is applied meanwhile.
 */
export function begun(given: Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined): SnapshotSource {
  const iterator = given?.[Symbol.asyncIterator]?.() ?? given?.[Symbol.iterator]?.();
  if (iterator === undefined) {
    throw new TypeError('snapshot() of a machine with restoreFrom gave something that cannot be iterated');
  }
  const first: unknown = iterator.next();
  if (isThenable(first)) silence(first);
  const chunks = following(iterator, first as IteratorResult<unknown> | Promise<IteratorResult<unknown>>);
  // One of which nothing was read has to end, too: the machine may copy what it changes until then.
  return { form: 'stream', chunks, end: () => endOf(iterator) };
}

/** The machine's stream is read no further. What comes of that is not waited for. */
function endOf(iterator: SnapshotIterator): void {
  silence(answered('ERR_STORAGE_FAILED', 'snapshot', async () => iterator.return?.()));
}

async function* following(
  iterator: SnapshotIterator,
  first: IteratorResult<unknown> | Promise<IteratorResult<unknown>>,
): AsyncGenerator<unknown> {
  let isOver = true; // an iterator that throws, or is done, has ended by itself
  try {
    for (let next = await first; next.done !== true; next = await iterator.next()) {
      isOver = false;
      yield next.value;
      isOver = true;
    }
  } finally {
    if (!isOver) endOf(iterator);
  }
}

/** Why the machine cannot restore a snapshot of this form; `null` if it can. One that has both methods takes both. */
export function misfit(machine: AnyMachine, form: SnapshotForm): string | null {
  const { restore, restoreFrom } = machine as Partial<StateMachine & StreamingStateMachine>;
  if (form === 'stream') {
    return typeof restoreFrom === 'function' ? null : 'it is a stream of chunks, and the machine has no restoreFrom';
  }
  return typeof restore === 'function' ? null : 'it is one value, and the machine has no restore';
}
