/** The options of a world and their validation. */

import { defaultConstants, type Constants, type ReplicaId } from '../../core/members.js';
import type { Model } from '../../core/model.js';
import type { Timing } from '../../core/protocol.js';
import { shown } from '../../core/shown.js';
import type { Tuning } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import { anything, checkNames, checkObject, checkShape, expecting, oneOf, whole, type Check } from '../check-input.js';
import type { MachineSpec } from './machine.js';
import type { Eager } from './state.js';

/** The options of `createWorld`; all but the model have a default. */
export interface WorldOptions {
  /** `raftModel` or `multipaxosModel`. */
  readonly model: Model<any, any, any>;
  /** Names of the replicas, or how many (they are then called n1, n2, …). 3 unless given. */
  readonly replicas?: number | readonly ReplicaId[];
  /** Timing is small unless given (`testTiming`): heartbeats every 50 ms, elections after 150 to 300 ms. */
  readonly tuning?: Tuning;
  /** The cluster constants, as of `createReplica`. */
  readonly constants?: Partial<Constants>;
  /** The state machine; one that counts its commands unless given. */
  readonly machine?: MachineSpec;
  /** `driver` (the default): the shipped driver. `core`: a bare core with the simplest host that keeps the contract. */
  readonly program?: 'driver' | 'core';
  /** Any 32-bit integer, 1 unless given. Each start of a replica draws from a seed made of it. */
  readonly seed?: number;
  /** `true` (the default): the replicas have recorded each other. `false`: each must first introduce itself. */
  readonly established?: boolean;
  /** Which of writes, applying and loads happen at once instead of by an action; none unless given. */
  readonly eager?: Partial<Eager>;
  /** How many calls may wait at one replica; 1000 unless given. */
  readonly maxWaiting?: number;
  /** After how many entries a driver takes a snapshot; 0, never, unless given. */
  readonly snapshots?: number;
  /** Lets messages travel by reference rather than as bytes, which is faster. */
  readonly byReference?: boolean;
  /** Also checks that every step repeated gives the same and that no step changes a value, which is slower. */
  readonly strict?: boolean;
}

/** Small timeouts, for readable numbers; milliseconds. */
export const testTiming: Timing = { heartbeat: 50, electionMin: 150, electionMax: 300 };

export const isModel = expecting('raftModel or multipaxosModel', (model) => {
  return typeof model === 'object' && model !== null && 'protocol' in model;
});

const WORLD: Readonly<Record<keyof WorldOptions, Check>> = {
  model: isModel,
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
  snapshots: expecting('a whole number from 0', (value) => value === undefined || whole(0)(value, []) === null),
  byReference: oneOf(undefined, true, false),
  strict: oneOf(undefined, true, false),
};

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the option and what was expected */
export function checkWorldOptions(options: WorldOptions): void {
  checkObject('options', options);
  checkNames('', options, Object.keys(WORLD));
  checkShape('', options, WORLD);
  const { replicas, constants = {}, eager = {} } = options;
  checkNames('constants.', constants, Object.keys(defaultConstants));
  checkNames('eager.', eager, ['written', 'applied', 'loaded']);
  if (Array.isArray(replicas) && new Set(replicas).size < replicas.length) {
    throw invalidArgument(`replicas: a name stands there twice, got ${replicas.map(shown).join(', ')}`);
  }
}
