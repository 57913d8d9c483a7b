/**
 * Refuses what cannot be meant, where it is handed in: options, scopes and actions. Types say the same to those who
 * compile; this is for actions and options that come from a file, and for what types cannot say.
 */

import { defaultConstants, type ReplicaId } from '../../core/members.js';
import { invalidArgument } from '../../replica/errors.js';
import type { Action } from './actions.js';
import type { Scope } from '../checker/model-checker-scope.js';
import type { WorldOptions } from './world.js';

/** `null` when a value is as expected, else what was expected. */
type Check = (value: unknown, ids: readonly ReplicaId[]) => string | null;

function expecting(what: string, holds: (value: unknown) => boolean): Check {
  return (value) => (holds(value) ? null : what);
}

function oneOf(...values: readonly unknown[]): Check {
  const named = values.filter((value) => value !== undefined).map((value) => JSON.stringify(value));
  return expecting(named.join(' or '), (value) => values.includes(value));
}

function whole(least: number): Check {
  return expecting(`a whole number from ${least}`, (value) => Number.isSafeInteger(value) && Number(value) >= least);
}

const flag = oneOf(true, false);
const replica: Check = (id, ids) => (ids.includes(id as ReplicaId) ? null : `one of ${ids.join(', ')}`);
const anything: Check = () => null;
const time = expecting('a number of milliseconds from 0', (value) => Number.isFinite(value) && Number(value) >= 0);
const above = expecting('a number above 0', (value) => typeof value === 'number' && value > 0);
const pick = expecting('an ordinal from 1 or the beginning of a description', (value) => {
  return typeof value === 'string' || whole(1)(value, []) === null;
});
const calls = expecting('a list of numbers of calls', (value) => {
  return Array.isArray(value) && value.every((call) => whole(1)(call, []) === null);
});
const minIndex = expecting('null or an index from 0', (value) => value === null || whole(0)(value, []) === null);

type Shape = Readonly<Record<string, Check>>;

const link: Shape = { from: replica, to: replica };
const flight: Shape = { ...link, pick };
const alone: Shape = { replica };
const fated: Shape = { replica, keep: flag };

const SHAPES: Readonly<Record<Action['kind'], Shape>> = {
  deliver: flight,
  duplicate: flight,
  drop: flight,
  tick: alone,
  timeout: alone,
  sync: alone,
  written: alone,
  applied: alone,
  loaded: alone,
  crash: fated,
  restart: alone,
  wipe: alone,
  failStorage: fated,
  cut: link,
  heal: link,
  pause: alone,
  resume: alone,
  leap: { replica, by: time },
  rate: { replica, rate: expecting('a finite number above 0', (value) => Number.isFinite(value) && Number(value) > 0) },
  propose: { replica, command: anything, timeout: above },
  read: { replica, minIndex, timeout: above },
  cancel: { calls },
  campaign: alone,
  stop: alone,
  unreachable: { replica, peer: replica },
  wait: {},
};

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Every field of a shape is there and as it should be. */
function checkShape(place: string, value: object, shape: Shape, ids: readonly ReplicaId[]): void {
  for (const [name, check] of Object.entries(shape)) {
    const given = (value as Readonly<Record<string, unknown>>)[name];
    const expected = check(given, ids);
    if (expected !== null) throw invalidArgument(`${place}${name}: expected ${expected}, got ${shown(given)}`);
  }
}

export function checkObject(place: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) return;
  throw invalidArgument(`${place}: expected an object, got ${shown(value)}`);
}

/** Whoever misspells an option should not believe that it is in force. */
function checkNames(place: string, value: object, known: readonly string[]): void {
  const stranger = Object.keys(value).find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw invalidArgument(`${place}${stranger}: no such option; there are ${known.join(', ')}`);
}

/**
 * @param place what to call it, such as `action 3`
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the place, the field and what was expected
 */
export function checkAction(place: string, action: Action, ids: readonly ReplicaId[]): void {
  checkObject(place, action);
  const { kind } = action;
  if (!Object.hasOwn(SHAPES, kind)) throw invalidArgument(`${place}: no action is of the kind ${shown(kind)}`);
  checkShape(`${place} (${kind}): `, action, { at: time, ...SHAPES[kind] }, ids);
}

const WORLD: Readonly<Record<keyof WorldOptions, Check>> = {
  model: expecting('raftModel or multipaxosModel', (model) => {
    return typeof model === 'object' && model !== null && 'protocol' in model;
  }),
  replicas: anything,
  tuning: anything,
  constants: anything,
  machine: expecting('an object with a method create', (machine) => {
    return machine === undefined || typeof (machine as { create?: unknown } | null)?.create === 'function';
  }),
  program: oneOf(undefined, 'driver', 'core'),
  seed: anything,
  established: oneOf(undefined, true, false),
  eager: anything,
  maxWaiting: expecting('a whole number from 1', (value) => value === undefined || whole(1)(value, []) === null),
  byReference: oneOf(undefined, true, false),
  strict: oneOf(undefined, true, false),
};

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the option and what was expected */
export function checkWorldOptions(options: WorldOptions): void {
  checkObject('options', options);
  checkNames('', options, Object.keys(WORLD));
  checkShape('', options, WORLD, []);
  const { replicas, constants = {}, eager = {} } = options;
  checkNames('constants.', constants, Object.keys(defaultConstants));
  checkNames('eager.', eager, ['written', 'applied', 'loaded']);
  if (Array.isArray(replicas) && new Set(replicas).size < replicas.length) {
    throw invalidArgument(`replicas: a name stands there twice, got ${replicas.join(', ')}`);
  }
}

const count = expecting('a whole number from 0', (value) => value === undefined || whole(0)(value, []) === null);
const option = oneOf(undefined, true, false);

const SCOPE: Readonly<Record<keyof Scope, Check>> = {
  model: WORLD.model,
  replicas: whole(1),
  network: oneOf('set', 'consume'),
  elections: count,
  electionsEach: count,
  maxTerm: count,
  candidates: count,
  electionsBy: oneOf(undefined, 'timeout', 'campaign'),
  beats: count,
  proposals: count,
  reads: count,
  callAnywhere: option,
  crashes: count,
  splitWrites: option,
  splitApplies: option,
  tuning: anything,
};

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the option and what was expected */
export function checkScope(scope: Scope): void {
  checkObject('scope', scope);
  checkNames('scope.', scope, Object.keys(SCOPE));
  checkShape('scope.', scope, SCOPE, []);
}

/** Limits of a search, each from 0 or not given. @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the one */
export function checkLimits(limits: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(limits)) checkShape('', limits, { [name]: count }, []);
}
