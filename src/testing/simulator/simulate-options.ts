/** The options of a simulation and their validation. */

import type { Constants, ReplicaId } from '../../core/members.js';
import type { Model } from '../../core/model.js';
import { shown } from '../../core/shown.js';
import type { Tuning } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import { checkObject } from '../check-input.js';
import type { SequentialModel } from '../history/models.js';
import type { Dice } from '../random.js';
import type { Observer } from '../world/facts.js';
import type { MachineSpec } from '../world/machine.js';
import { checkWorldOptions, type WorldOptions } from '../world/options.js';
import { checkPace, type Pace } from './pace.js';
import { FAULT_KINDS, type FaultKind, type Prefix } from './plan.js';

/** The source of randomness of a workload. */
export type Random = Pick<Dice, 'unit' | 'between' | 'pick' | 'chance'>;

export interface SimulateOptions<Command = any> {
  /** `raftModel` of `quorate/raft`, or `multipaxosModel` of `quorate/multipaxos`. */
  readonly model: Model<any, any, any>;
  /** The state machine under test; one that counts its commands unless given. */
  readonly machine?: MachineSpec<Command>;
  /**
   * Makes a command for a caller. `call` is the number of the call, 0 for the commands that test a healed cluster.
   * Needed with `machine`. All randomness must come from `random`, or the run is not deterministic.
   */
  commands?(random: Random, call: number): Command;
  /** The first seed, a safe integer; 1 unless given. */
  readonly seed?: number;
  /** How many schedules; 1 unless given. */
  readonly schedules?: number;
  /** The mean number of actions in the storm; 400 unless given. */
  readonly length?: number;
  /** Names of the replicas, or how many; drawn from the seed unless given, as are all settings below. */
  readonly replicas?: number | readonly ReplicaId[];
  readonly tuning?: Tuning;
  readonly constants?: Partial<Constants>;
  /** `driver` (the default): the shipped driver. `core`: a bare core with the simplest host that keeps the contract. */
  readonly program?: 'driver' | 'core';
  /**
   * Time and weight: how long messages, disks and machines take, callers in bursts, large commands. `drawn`: from the
   * seed, within the timing assumption and up to its bound. The phases in which all is healed run at the same pace, and
   * timing and limits are as shipped unless `tuning` says otherwise. Unless given, all is fast and small.
   */
  readonly pace?: 'drawn' | Pace;
  /** Faults that never happen; with `calm` none does. */
  readonly without?: readonly FaultKind[];
  readonly calm?: boolean;
  /**
   * The sequential specification of the machine. With it the log must explain every result
   * (history/explained-by-log), and every tenth history, unless it has too many unknown outcomes, is checked without
   * the log (history/linearizable). Commands must be the model's inputs.
   */
  readonly sequential?: SequentialModel<any, any, any>;
  /** Scripted beginnings; a tenth of the schedules continues from one of them. */
  readonly prefixes?: readonly Prefix[];
  /** Gets the facts of every schedule. */
  readonly observer?: Observer;
  /** Collects hashes of the cluster's abstract states; its growth shows whether runs still find new ones. */
  readonly abstractStates?: Set<number>;
  /** The most actions that shrinking a failure may replay; 0: no shrinking. 2,000,000 unless given. */
  readonly shrinkBudget?: number;
}

/** The options of every schedule's world. */
export function worldOptionsOf(options: SimulateOptions): WorldOptions {
  const { model, machine, replicas, tuning, constants, program } = options;
  return {
    model,
    ...(machine === undefined ? {} : { machine }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(tuning === undefined ? {} : { tuning }),
    ...(constants === undefined ? {} : { constants }),
    ...(program === undefined ? {} : { program }),
  };
}

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw invalidArgument(`${name}: expected a whole number from ${min} to ${max}, got ${shown(value)}`);
}

/** @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the option and what was expected */
export function checkSimulateOptions(options: SimulateOptions): void {
  checkObject('options', options);
  const { seed = 1, schedules = 1, length = 400, shrinkBudget = 0 } = options;
  checkNumber('seed', seed, -(2 ** 52), 2 ** 52);
  checkNumber('schedules', schedules, 1, 1e9);
  checkNumber('length', length, 1, 1e6);
  checkNumber('shrinkBudget', shrinkBudget, 0, 2 ** 40);
  checkWorldOptions(worldOptionsOf(options));
  checkPace(options.pace, options.tuning);
  for (const kind of options.without ?? []) {
    if (!FAULT_KINDS.includes(kind)) throw invalidArgument(`without: no fault is called ${shown(kind)}`);
  }
  if (options.machine !== undefined && options.commands === undefined) {
    throw invalidArgument('commands: expected a function, since a machine is given');
  }
}
