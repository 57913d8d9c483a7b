/**
 * Every time of the transport, derived from one number: the longest election timeout E, which the replica tells; where
 * nobody does it is 2000 ms. By the timing assumption (law/timing-assumption) a round trip, with what a busy process
 * adds, takes less than half of the shortest election timeout, and so less than E / 2: with the default, round trips of
 * 1 to 400 ms.
 *
 * - A connection is looked at `CHECKS` = 8 times in E. One that showed no sign of life between two looks is asked for
 *   one, and dropped after `MOST_SILENT` = 7 such looks: at most E after the last sign, with 3/4 E for the answer.
 * - A peer that dials us can answer: our connection to it has `PROBE_CHECKS` = 4 looks, E / 2, to show life.
 * - Who dials asks all the time, unless its process stalls: what it dialled is dropped after `MOST_UNHEARD` = 16 looks,
 *   2 E, so that a stall of 1.3 E, which deposes nobody, costs no connection here.
 * - Each step of opening a connection is one round trip, and has E / 2. A step that has taken E / 4 when the peer dials
 *   us is begun anew.
 * - The longest wait between two dials is E / 2 for a peer that refuses, and half of that for one that is not there:
 *   after a cut, however long, a peer is dialled within 3/4 E, the step of a dial that was lost and the wait for the
 *   next one.
 * - A lookup of a name is waited for E / 4 where an earlier one gave addresses to go on with.
 *
 * Looks are counted, not time: whatever waits in a socket is read between two of them, so a stalled process finds
 * nobody dead for its own stall.
 */

/** The longest election timeout where the replica does not tell it. */
export const USUAL_ELECTION_MAX = 2000;
/** Shorter ones count as this: an operating system does not tell time much finer than a hundredth of it. */
export const SHORTEST_SILENCE = 200;
export const CHECKS = 8;
export const MOST_SILENT = CHECKS - 1;
export const PROBE_CHECKS = CHECKS / 2;
export const MOST_UNHEARD = 2 * CHECKS;
/** Of the longest wait between two dials, for a peer that is not there. */
export const DOWN_SHARE = 1 / 2;

/** Times that follow from how long a connection may be silent, in milliseconds. */
export interface DerivedTimes {
  /** For each step of opening a connection. */
  readonly step: number;
  readonly longestDelay: number;
}

export function derivedTimes(silence: number): DerivedTimes {
  return { step: Math.ceil(silence / 2), longestDelay: Math.ceil(silence / 2) };
}

/** From when on a step of opening a connection counts as one that hangs. */
export function hangingAfter(silence: number): number {
  return silence / 4;
}

/** How long a lookup is waited for where addresses are known already; it goes on beyond that. */
export function lookupPatience(silence: number): number {
  return silence / 4;
}
