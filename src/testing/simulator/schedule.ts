/** Runs one schedule: all phases of a plan, and the checks of its history. */

import { ConsensusError, errorFrom, invalidArgument, textOf } from '../../replica/errors.js';
import { Dice } from '../random.js';
import type { SequentialModel } from '../history/models.js';
import { allAtRest, coreAtWork, durabilityScan, storm } from './phases.js';
import type { Plan } from './plan.js';
import type { RunOptions } from './options.js';
import { SimulatedRun } from './run.js';
import { demandLinearizable } from './world-history.js';

/** The options of a simulation that a schedule needs beside its plan. */
export interface Workload {
  commands?(random: Dice, call: number): unknown;
  readonly sequential?: SequentialModel<any, any, any>;
}

/** Runs all phases of one schedule. */
function play(run: SimulatedRun, commands: (call: number) => unknown): void {
  storm(run, commands);
  coreAtWork(run, commands(0));
  allAtRest(run, commands(0));
  durabilityScan(run);
}

/** One of this many histories goes to the general linearizability checker. */
const SEARCH_EVERY = 10;

function commandsOf(options: Workload, seed: number): (call: number) => unknown {
  const { commands } = options;
  if (commands === undefined) return (call) => call;
  const dice = new Dice(seed).fork('commands');
  return (call) => {
    try {
      return commands(dice, call);
    } catch (error) {
      throw invalidArgument(`commands: threw for call ${call}: ${textOf(error)}`);
    }
  };
}

export interface ScheduleRun {
  readonly run: SimulatedRun;
  readonly error: Error | null;
}

/**
 * Runs a schedule to its end.
 * @throws ConsensusError for a mistake of the caller: a command that cannot be made or encoded, a bad prefix
 */
export function runSchedule(options: Workload, plan: Plan, how: Omit<RunOptions, 'coverage'>): ScheduleRun {
  const run = new SimulatedRun(plan, { ...how, coverage: !how.keep });
  try {
    play(run, commandsOf(options, plan.seed));
    const { sequential } = options;
    if (sequential !== undefined) {
      demandLinearizable(run.turn.finish().record, sequential, plan.seed % SEARCH_EVERY === 0);
    }
    return { run, error: null };
  } catch (error) {
    if (error instanceof ConsensusError) throw error;
    return { run, error: errorFrom(error) };
  }
}

/** The outcome of a run, by which two runs of a schedule are compared. Machines are left out, their results count. */
export function endOf({ hash, turn }: SimulatedRun): unknown {
  const { record, links, slots, ghost } = turn.finish();
  return [hash, record, links, ghost, slots.map(({ process }) => process)];
}
