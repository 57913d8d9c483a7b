/** Checks that a value is an action of a world. */

import type { ReplicaId } from '../../core/members.js';
import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';
import { anything, checkObject, checkShape, expecting, oneOf, whole, type Check, type Shape } from '../check-input.js';
import type { Action } from './actions.js';
import { MAX_PADDING } from './machine.js';

const flag = oneOf(true, false);
const replica: Check = (id, ids) => (ids.includes(id as ReplicaId) ? null : `one of ${ids.join(', ')}`);
const target: Check = (id, ids) => (id === null ? null : replica(id, ids));
const time = expecting('a number of milliseconds from 0', (value) => Number.isFinite(value) && Number(value) >= 0);
const above = expecting('a number above 0', (value) => typeof value === 'number' && value > 0);
const pick = expecting('an ordinal from 1 or the beginning of a description', (value) => {
  return typeof value === 'string' || whole(1)(value, []) === null;
});
const calls = expecting('a list of numbers of calls', (value) => {
  return Array.isArray(value) && value.every((call) => whole(1)(call, []) === null);
});
const minIndex = expecting('null or an index from 0', (value) => value === null || whole(0)(value, []) === null);

const padding = expecting(`a whole number of bytes from 1 to ${MAX_PADDING}`, (value) => {
  return value === undefined || (whole(1)(value, []) === null && Number(value) <= MAX_PADDING);
});

const readWay = expecting('lease or quorum', (value) => [undefined, 'lease', 'quorum'].includes(value as undefined));

const lane = oneOf('control', 'bulk');
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
  snapshotted: { replica, fails: flag },
  compact: alone,
  install: { replica, peer: replica },
  restored: alone,
  crash: fated,
  restart: alone,
  wipe: alone,
  failStorage: fated,
  fill: { replica, room: whole(0) },
  free: alone,
  cut: link,
  heal: link,
  refuse: { ...link, lane },
  accept: { ...link, lane },
  pause: alone,
  resume: alone,
  leap: { replica, by: time },
  wall: { replica, ahead: expecting('a whole number of milliseconds', Number.isSafeInteger) },
  rate: { replica, rate: expecting('a finite number above 0', (value) => Number.isFinite(value) && Number(value) > 0) },
  propose: { replica, command: anything, timeout: above, padding },
  read: { replica, minIndex, timeout: above, by: readWay },
  cancel: { calls },
  campaign: alone,
  stop: alone,
  transfer: { replica, to: target, timeout: above },
  leave: { replica, timeout: above },
  disconnect: { replica, peer: replica, lane },
  unreachable: { replica, peer: replica },
  wait: {},
};

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
