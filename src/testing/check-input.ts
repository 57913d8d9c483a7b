/**
 * What checks of input are put together from: options, scopes and actions are refused where they are handed in. Types
 * say the same to those who compile; this is for what comes from a file, and for what types cannot say.
 */

import type { ReplicaId } from '../core/members.js';
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

/** Every field that is to be checked, by name. */
export type Shape = Readonly<Record<string, Check>>;

export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/**
 * Every field of a shape is there and as it should be.
 * @param ids the replicas of the world that it is for
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

/** Whoever misspells an option should not believe that it is in force. */
export function checkNames(place: string, value: object, known: readonly string[]): void {
  const stranger = Object.keys(value).find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw invalidArgument(`${place}${stranger}: no such option; there are ${known.join(', ')}`);
}
