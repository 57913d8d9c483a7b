/** What a simulation is run with, and that it can be meant. */

import type { Constants, ReplicaId } from '../../core/members.js';
import type { Model } from '../../core/model.js';
import type { Tuning } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import { checkObject } from '../check-input.js';
import type { SequentialModel } from '../history/models.js';
import type { Dice } from '../random.js';
import type { Observer } from '../world/facts.js';
import type { MachineSpec } from '../world/machine.js';
import { checkWorldOptions, type WorldOptions } from '../world/options.js';
import { FAULT_KINDS, type FaultKind, type Prefix } from './plan.js';

/** What a workload draws with. */
export type Random = Pick<Dice, 'unit' | 'between' | 'pick' | 'chance'>;

export interface SimulateOptions<Command = any> {
  /** `raftModel` of `quorate/raft`, or `multipaxosModel` of `quorate/multipaxos`. */
  readonly model: Model<any, any, any>;
  /** The state machine under test; one that counts its commands unless given. */
  readonly machine?: MachineSpec<Command>;
  /**
   * A command for a caller; `call` is its number, and 0 for the ones that test whether a healed cluster works. Needed
   * with `machine`. All chance must come from `random`, or the run is not deterministic.
   */
  commands?(random: Random, call: number): Command;
  /** The first seed, a safe integer; 1 unless given. */
  readonly seed?: number;
  /** How many schedules; 1 unless given. */
  readonly schedules?: number;
  /** How many things happen in the stormy phase, on average; 400 unless given. */
  readonly length?: number;
  /** Drawn by the seed unless given, as are the settings and constants of which nothing is said. */
  readonly replicas?: number | readonly ReplicaId[];
  readonly tuning?: Tuning;
  readonly constants?: Partial<Constants>;
  /** The shipped driver unless given; `core`: a bare core with the simplest host. */
  readonly program?: 'driver' | 'core';
  /** Faults that never happen; `calm`: none does. */
  readonly without?: readonly FaultKind[];
  readonly calm?: boolean;
  /**
   * What the machine is: then the log must explain every result (history/explained-by-log), and every tenth history,
   * unless it has too many unknown outcomes, is searched for an order by what callers saw alone
   * (history/linearizable). Commands must be the model's inputs.
   */
  readonly sequential?: SequentialModel<any, any, any>;
  /** Beginnings that chance would hardly find: a tenth of the schedules goes on from one of them. */
  readonly prefixes?: readonly Prefix[];
  /** Told about everything, of every schedule. */
  readonly observer?: Observer;
  /** Takes in what the cluster looks like from afar, now and then: how much that is new does a run still show? */
  readonly abstractStates?: Set<number>;
  /** A failure is shrunk by replaying at most so many actions; 0: not at all. 2,000,000 unless given. */
  readonly shrinkBudget?: number;
}

/** What of it every schedule's world is made with. */
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
  throw invalidArgument(`${name}: expected a whole number from ${min} to ${max}, got ${String(value)}`);
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
  for (const kind of options.without ?? []) {
    if (!FAULT_KINDS.includes(kind)) throw invalidArgument(`without: no fault is called ${String(kind)}`);
  }
  if (options.machine !== undefined && options.commands === undefined) {
    throw invalidArgument('commands: expected a function, since a machine is given');
  }
}
