/** The checks and errors of the memory transport. */

import { ConsensusError, invalidArgument } from '../replica/errors.js';
import type { TransportPeer } from '../replica/transport.js';

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

export function positive(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument(`memoryNetwork: ${name}: expected a positive integer, got ${String(value)}`);
}

/** Peers by id, with the incarnation that each must have; `null` for any. */
export function peersOf(peers: readonly TransportPeer[]): ReadonlyMap<string, number | null> {
  const named = new Map(peers.map(({ id, incarnation }) => [id, incarnation ?? null]));
  if (named.size < peers.length) throw invalidArgument('peers: an id is there twice');
  return named;
}
