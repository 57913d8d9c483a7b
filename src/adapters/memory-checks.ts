/** The checks and errors of the memory transport. */

import { shown } from '../core/shown.js';
import { ConsensusError, invalidArgument } from '../replica/errors.js';
import type { TransportPeer } from '../replica/transport.js';
import { record } from './option-checks.js';

export function failed(message: string): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_TRANSPORT_FAILED' });
}

/**
 * Whether it is a promise, whose rejection then harms nobody.
 * @throws what a getter of its own throws
 */
export function isLater(given: unknown): boolean {
  if (typeof (given as { then?: unknown } | null | undefined)?.then !== 'function') return false;
  Promise.resolve(given).catch(() => undefined);
  return true;
}

/** What `deliver` has decided. @throws ConsensusError ERR_TRANSPORT_FAILED for a promise */
export function decided<T>(fate: T): T {
  if (isLater(fate)) throw failed('memoryNetwork: deliver: expected a fate, got a promise');
  return fate;
}

const OPTIONS = ['deliver', 'soon', 'maxMessageBytes', 'queueBytes'];

/** @throws ConsensusError ERR_INVALID_ARGUMENT. Numbers are checked by `positive`. */
export function checkNetworkOptions(options: unknown): void {
  const given = record(options, 'memoryNetwork: options', OPTIONS);
  for (const name of ['deliver', 'soon']) {
    const value = given[name];
    if (value === undefined || typeof value === 'function') continue;
    throw invalidArgument(`memoryNetwork: ${name}: expected a function, got ${shown(value)}`);
  }
}

export function positive(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument(`memoryNetwork: ${name}: expected a positive integer, got ${shown(value)}`);
}

/** Peers by id, with the incarnation that each must have; `null` for any. */
export function peersOf(peers: readonly TransportPeer[]): ReadonlyMap<string, number | null> {
  const named = new Map(peers.map(({ id, incarnation }) => [id, incarnation ?? null]));
  if (named.size < peers.length) throw invalidArgument('peers: an id is there twice');
  return named;
}
