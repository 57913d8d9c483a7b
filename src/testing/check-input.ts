/**
 * Checks of the values that callers pass in: options, scopes and actions. They serve values that come from a file or
 * from untyped code, and conditions that types cannot express.
 */

import type { ReplicaId } from '../core/members.js';
import { shown } from '../core/shown.js';
import { invalidArgument } from '../replica/errors.js';

/** `null` when a value is as expected, else what was expected. */
export type Check = (value: unknown, ids: readonly ReplicaId[]) => string | null;

export function expecting(what: string, holds: (value: unknown) => boolean): Check {
  return (value) => (holds(value) ? null : what);
}

export function oneOf(...values: readonly unknown[]): Check {
  const named = values.filter((value) => value !== undefined).map((value) => JSON.stringify(value));
  return expecting(named.join(' or '), (value) => values.includes(value));
}

export function whole(least: number): Check {
  return expecting(`a whole number from ${least}`, (value) => Number.isSafeInteger(value) && Number(value) >= least);
}

export const anything: Check = () => null;

/** The checks of an object's fields, by name. */
export type Shape = Readonly<Record<string, Check>>;

/**
 * Checks every field of a shape.
 * @param ids the replicas of the world
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the place, the field and what was expected
 */
export function checkShape(place: string, value: object, shape: Shape, ids: readonly ReplicaId[] = []): void {
  for (const [name, check] of Object.entries(shape)) {
    const given = (value as Readonly<Record<string, unknown>>)[name];
    const expected = check(given, ids);
    if (expected !== null) throw invalidArgument(`${place}${name}: expected ${expected}, got ${shown(given)}`);
  }
}

/** @param place what to call it, such as `options` */
export function checkObject(place: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) return;
  throw invalidArgument(`${place}: expected an object, got ${shown(value)}`);
}

/** Refuses fields with unknown names, since a misspelt option would have no effect. */
export function checkNames(place: string, value: object, known: readonly string[]): void {
  const stranger = Object.keys(value).find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw invalidArgument(`${place}${stranger}: no such option; there are ${known.join(', ')}`);
}
