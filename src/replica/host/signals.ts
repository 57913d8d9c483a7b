/**
 * Signals belong to callers and may be of any make: their code may throw, abort at any moment, or make another request
 * of this replica. What it throws concerns nobody else.
 */

import type { Signal } from '../leadership.js';
import { ConsensusError } from '../errors.js';
import { ignored } from './plug-ins.js';

/** Whether it says that it has aborted. Never throws. */
export function hasAborted(signal: Signal): boolean {
  try {
    return signal.aborted === true;
  } catch {
    return false;
  }
}

/** Why it aborted; `undefined` if it does not say. Never throws. */
export function reasonOf(signal: Signal): unknown {
  try {
    return signal.reason;
  } catch {
    return undefined;
  }
}

/**
 * Listens to a signal. Returns a function that stops listening, or `null` if the signal has aborted by now: `onAbort`
 * is not called then, and never before this returns.
 * @throws ConsensusError ERR_INVALID_ARGUMENT if the signal throws
 */
export function listen(signal: Signal, onAbort: () => void): (() => void) | null {
  let added = false;
  let aborted = false;
  const listener = (): void => {
    aborted = true;
    if (added) onAbort();
  };
  try {
    ignored(signal.addEventListener('abort', listener, { once: true }));
  } catch (error) {
    throw new ConsensusError('signal: expected an AbortSignal', { code: 'ERR_INVALID_ARGUMENT', cause: error });
  }
  // It may have aborted before it was listened to, while the request was made.
  if (hasAborted(signal)) aborted = true;
  if (aborted) {
    unlisten(signal, listener);
    return null;
  }
  added = true;
  return () => unlisten(signal, listener);
}

function unlisten(signal: Signal, listener: () => void): void {
  try {
    ignored(signal.removeEventListener('abort', listener));
  } catch {
    // Its listener finds no call any more.
  }
}
