/** Checks of the objects of options that adapters are given. Nothing here depends on a platform. */

import { invalidArgument } from '../replica/errors.js';

/**
 * The value as an object whose keys are all known: a misspelt option is a mistake, not a default.
 * @param name what the object is of, for the message
 * @throws ConsensusError ERR_INVALID_ARGUMENT
 */
export function record(value: unknown, name: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(`${name}: expected an object`);
  }
  const stranger = Object.keys(value).find((key) => !known.includes(key));
  if (stranger !== undefined) throw invalidArgument(`${name}: unknown ${stranger}; expected ${known.join(', ')}`);
  return value as Record<string, unknown>;
}
