/**
 * Ballots, the proposal numbers of "Paxos Made Simple" (§2.2): round `n` and the number of the member that owns it, as
 * one safe integer `n * 65536 + number`, so that ballots are totally ordered and no two members share one. To the
 * contract a ballot is a `Term`.
 */

import { assert } from '../core/assert.js';
import type { Term } from '../core/protocol.js';

/** A ballot; 0 means "none yet". */
export type Ballot = Term;

const NUMBERS = 65_536;
/** Rounds stay below it, so that every ballot is a safe integer. */
export const MAX_ROUND = 2 ** 37 - 1;
/** The highest ballot there is: the highest safe integer. */
export const MAX_BALLOT: Ballot = MAX_ROUND * NUMBERS + NUMBERS - 1;

/** The ballot of round `n` (1-based) that belongs to the member of that number (1 to 65,535). */
export function ballotOf(n: number, number: number): Ballot {
  assert(
    Number.isSafeInteger(n) && n >= 1 && n <= MAX_ROUND,
    'paxos/ballots-are-ordered: a round is a whole number from 1 to 2^37 - 1',
  );
  assert(
    Number.isInteger(number) && number >= 1 && number < NUMBERS,
    'paxos/ballots-are-ordered: a member has a number from 1 to 65535',
  );
  return n * NUMBERS + number;
}

/** The round of a ballot; 0 for no ballot. */
export function roundOf(ballot: Ballot): number {
  return Math.floor(ballot / NUMBERS);
}

/** Whether a ballot is of the very next round. */
export function succeeds(ballot: Ballot, before: Ballot): boolean {
  return roundOf(ballot) === roundOf(before) + 1;
}

/** The number of the member that owns a ballot; 0 for no ballot. */
export function numberOf(ballot: Ballot): number {
  return ballot % NUMBERS;
}
