/** Helpers that expect invalid input to be refused with a typed error that names the place and the reason. */

import { expect } from 'vitest';
import { ConsensusError } from 'quorate';

/** Everything that is given here is what the types forbid. */
export type Wrong = never;

export function errorOf(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** What `body` does is refused as an invalid argument, for this reason. */
export function refused(body: () => unknown, reason: RegExp): void {
  const error = errorOf(body);
  expect(error).toBeInstanceOf(ConsensusError);
  expect((error as ConsensusError).code).toBe('ERR_INVALID_ARGUMENT');
  expect(error.message).toMatch(reason);
}
