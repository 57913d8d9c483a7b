/**
 * The one assumption about time on which liveness rests, and from which every constant that is a time is derived:
 * an exchange with a peer, with what the disk does for it, takes less than half of the shortest election timeout.
 * Safety rests on no time at all.
 */

import type { Milliseconds, Timing } from '../../core/protocol.js';
import { exchangeBound } from '../../core/tuning.js';

export { exchangeBound };

/** The largest frame that the shipped transport writes: a `control` message waits for at most one of `bulk`. */
export const FRAME_BYTES = 64 * 1024;

/** Milliseconds for which a machine works before its process lets input in. */
export const SLICE = 15;

/** What an exchange with a peer is made of, each at its slowest; times in milliseconds. */
export interface ExchangeParts {
  /** Of a small message and its answer, on an idle link. */
  readonly roundTrip: Milliseconds;
  /** Of a link in each direction, in bytes a millisecond; `Infinity` if that needs no time. */
  readonly bandwidth: number;
  /** One sync of the storage, and one answered `load`. */
  readonly write: Milliseconds;
  readonly load: Milliseconds;
  /** How long the state machine may hold up the loop before it lets input in. */
  readonly slice: Milliseconds;
}

/** A round trip with one bulk frame ahead of it each way, one write and one load, each with one slice of applying. */
export function exchangeTime({ roundTrip, bandwidth, write, load, slice }: ExchangeParts): Milliseconds {
  return roundTrip + (2 * FRAME_BYTES) / bandwidth + write + load + 2 * slice;
}

/** Whether the timing assumption holds: liveness is promised there, and safety everywhere. */
export function meetsTimingAssumption(parts: ExchangeParts, timing: Pick<Timing, 'electionMin'>): boolean {
  return exchangeTime(parts) < exchangeBound(timing);
}
