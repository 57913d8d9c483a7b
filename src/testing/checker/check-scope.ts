/** Validation of a search's scope and limits. */

import { anything, checkNames, checkObject, checkShape, expecting, oneOf, whole, type Check } from '../check-input.js';
import { isModel } from '../world/options.js';
import type { Scope } from './model-checker-scope.js';

const count = expecting('a whole number from 0', (value) => value === undefined || whole(0)(value, []) === null);
const option = oneOf(undefined, true, false);

const SCOPE: Readonly<Record<keyof Scope, Check>> = {
  model: isModel,
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
  snapshots: count,
  installs: count,
  splitWrites: option,
  splitApplies: option,
  tuning: anything,
};

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the option and what was expected */
export function checkScope(scope: Scope): void {
  checkObject('scope', scope);
  checkNames('scope.', scope, Object.keys(SCOPE));
  checkShape('scope.', scope, SCOPE);
}

/** Checks limits of a search, numbers from 0. @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the wrong one */
export function checkLimits(limits: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(limits)) checkShape('', limits, { [name]: count });
}
