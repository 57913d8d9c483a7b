/** One schedule from its storm to its end. */

import { ConsensusError, invalidArgument } from '../../replica/errors.js';
import { Dice } from '../random.js';
import type { SequentialModel } from '../history/models.js';
import { allAtRest, coreAtWork, durabilityScan, storm } from './phases.js';
import type { Plan } from './plan.js';
import type { RunOptions } from './options.js';
import { SimulatedRun } from './run.js';
import { demandLinearizable } from './world-history.js';

/** Of the options of a simulation what a schedule needs beside its plan. */
export interface Workload {
  commands?(random: Dice, call: number): unknown;
  readonly sequential?: SequentialModel<any, any, any>;
}

/** All phases of one schedule. */
function play(run: SimulatedRun, commands: (call: number) => unknown): void {
  storm(run, commands);
  coreAtWork(run, commands(0));
  allAtRest(run, commands(0));
  durabilityScan(run);
}

/** Each so manieth history is searched for an order. */
const SEARCH_EVERY = 10;

function commandsOf(options: Workload, seed: number): (call: number) => unknown {
  const { commands } = options;
  if (commands === undefined) return (call) => call;
  const dice = new Dice(seed).fork('commands');
  return (call) => {
    try {
      return commands(dice, call);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw invalidArgument(`commands: threw for call ${call}: ${text}`);
    }
  };
}

export interface ScheduleRun {
  readonly run: SimulatedRun;
  readonly error: Error | null;
}

/**
 * Plays a schedule to its end.
 * @throws ConsensusError for what is the caller's own fault: a command that cannot be made or encoded, a bad prefix
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
    return { run, error: error as Error };
  }
}

/** What a run came to: equal whenever the schedule is run again. Machines may hide what they are, results do not. */
export function endOf({ hash, turn }: SimulatedRun): unknown {
  const { record, links, slots, ghost } = turn.finish();
  return [hash, record, links, ghost, slots.map(({ process }) => process)];
}
