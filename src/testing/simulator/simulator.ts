/**
 * The simulator: real drivers and cores over a simulated network, disks and clocks, from a seed. Each seed is one
 * schedule: a plan (`plan.ts`) and everything that is drawn on its way. A failure comes with the seed, the rule, and
 * the actions that break it, shrunk.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { Action } from '../world/actions.js';
import { runSchedule, endOf, type ScheduleRun } from './schedule.js';
import { sameDeep } from '../world/laws.js';
import { FAULT_KINDS, planOf, type FaultKind, type Plan } from './plan.js';
import type { SimulatedRun } from './run.js';
import { formatActions } from '../scenario/scenario-format.js';
import { headerOf } from '../scenario/scenario-header.js';
import { checkSimulateOptions, worldOptionsOf, type SimulateOptions } from './simulate-options.js';
import { replay, ruleOf, shrink, type Replayed } from './shrink.js';
import type { WorldOptions } from '../world/options.js';

/** What was run and found. Counts are sums over all schedules. */
export interface SimulationReport {
  readonly protocol: string;
  readonly firstSeed: number;
  schedules: number;
  /** Things that happened, messages that arrived among them, and the virtual time they took. */
  actions: number;
  delivered: number;
  virtualTime: Milliseconds;
  /** Commands that took effect, and calls that were acknowledged or served. */
  commands: number;
  answered: number;
  readonly faults: Record<FaultKind, number>;
  /** How often each of the model's coverage points was met. */
  readonly coverage: Record<string, number>;
  /** Schedules that were run twice, to the same end. */
  repeated: number;
}

/** A schedule broke a rule. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  /** What was broken, as its violation names it: the rule first; or what the code under test threw. */
  readonly rule: string;
  /** What proves it, as plain data; `undefined` when nothing but the message does. */
  readonly evidence: unknown;
  /** What the failing run's world was made with. */
  readonly world: WorldOptions;
  /**
   * Actions that break the rule when they are applied to such a world, shrunk. What only the end of a schedule can
   * tell (liveness and histories) no action breaks: the actions lead there, and a replay of them throws nothing.
   */
  readonly actions: readonly Action[];

  constructor(plan: Plan, error: Error, actions: readonly Action[]) {
    super(`seed ${plan.seed}: ${error.message} (${actions.length} actions)`);
    this.cause = error;
    this.seed = plan.seed;
    this.rule = error.message;
    this.evidence = error instanceof InvariantViolation ? error.evidence : undefined;
    this.world = plan.world;
    this.actions = actions;
  }

  /** The failing run as a scenario, to be kept: `runScenario` breaks the same rule, if `actions` do. */
  get scenario(): string {
    return formatActions(headerOf(this.world), this.actions);
  }
}

/** Each so manieth schedule is run twice. */
const REPEAT_EVERY = 20;

function planFor(options: SimulateOptions, seed: number): Plan {
  const { length = 400, without = [], calm = false, prefixes = [] } = options;
  return planOf({ world: worldOptionsOf(options), seed, length, without, calm, prefixes });
}

/** The failing storm in fewer actions, played to the end in the same way each time. */
function tail(options: SimulateOptions, plan: Plan, actions: readonly Action[]): ScheduleRun {
  return runSchedule(options, { ...plan, prefix: actions, length: 0, loose: true }, { keep: true });
}

/**
 * What only the end of a schedule can tell is shrunk by playing the phases after ever shorter storms. That takes far
 * longer than a replay, so it is tried less often.
 */
function shrinkStorm(
  options: SimulateOptions,
  plan: Plan,
  run: SimulatedRun,
  budget: number,
): SimulationFailure | null {
  const trial = (shorter: readonly Action[]): Replayed | null => {
    const { run: again, error } = tail(options, plan, shorter);
    return error === null ? null : { error, actions: again.storm, committed: [] };
  };
  const first = trial(run.storm);
  if (first === null) return null;
  const { run: last, error } = tail(options, plan, shrink(first.actions, first.error, trial, budget / 40));
  return error === null ? null : new SimulationFailure(plan, error, last.actions as readonly Action[]);
}

/** Runs the failing schedule again, keeps what happens, and shortens it. */
function failureOf(options: SimulateOptions, plan: Plan, error: Error): SimulationFailure {
  const again = runSchedule(options, plan, { keep: true });
  if (again.error?.message !== error.message) {
    const second = again.error?.message ?? 'nothing';
    return new SimulationFailure(plan, new Error(`not deterministic: ${error.message}, then ${second}`), []);
  }
  const actions = again.run.actions as readonly Action[];
  const budget = options.shrinkBudget ?? 2_000_000;
  if (budget === 0) return new SimulationFailure(plan, error, actions);
  const trial = (shorter: readonly Action[]): Replayed | null => replay(plan.world, shorter, true);
  const replayed = trial(actions);
  if (replayed === null || ruleOf(replayed.error) !== ruleOf(error)) {
    return shrinkStorm(options, plan, again.run, budget) ?? new SimulationFailure(plan, error, actions);
  }
  const shortest = shrink(replayed.actions, replayed.error, trial, budget);
  return new SimulationFailure(plan, trial(shortest)?.error ?? error, shortest);
}

function emptyReport(options: SimulateOptions, firstSeed: number): SimulationReport {
  const zeros = (names: readonly string[]): Record<string, number> => {
    return Object.fromEntries(names.map((name) => [name, 0]));
  };
  return {
    protocol: options.model.protocol.name,
    firstSeed,
    schedules: 0,
    actions: 0,
    delivered: 0,
    virtualTime: 0,
    commands: 0,
    answered: 0,
    faults: zeros(FAULT_KINDS) as Record<FaultKind, number>,
    coverage: zeros(options.model.coveragePoints),
    repeated: 0,
  };
}

function add(report: SimulationReport, run: SimulatedRun): void {
  const { tally, turn } = run;
  report.schedules += 1;
  report.actions += tally.actions;
  report.delivered += tally.delivered;
  report.virtualTime += turn.now;
  const { effects, calls } = turn.finish().record;
  report.commands += effects.length;
  for (const { end } of calls) if (end?.kind === 'acknowledged' || end?.kind === 'served') report.answered += 1;
  for (const [kind, count] of tally.faults) report.faults[kind] += count;
  for (const [point, count] of tally.coverage) report.coverage[point] = (report.coverage[point] ?? 0) + count;
}

/**
 * Runs schedules, one for each seed from `seed` on.
 * @throws SimulationFailure at the first schedule that breaks a rule; ConsensusError `ERR_INVALID_ARGUMENT` and
 *   RangeError for options out of range
 */
export function simulate<Command>(options: SimulateOptions<Command>): SimulationReport {
  checkSimulateOptions(options);
  const { seed = 1, schedules = 1, observer, abstractStates } = options;
  const report = emptyReport(options, seed);
  for (let at = seed; at < seed + schedules; at++) {
    const plan = planFor(options, at);
    const { run, error } = runSchedule(options, plan, { keep: false, observer, abstractStates });
    if (error !== null) throw failureOf(options, plan, error);
    add(report, run);
    if (at % REPEAT_EVERY !== 0) continue;
    const again = runSchedule(options, plan, { keep: false });
    report.repeated += 1;
    if (again.error === null && sameDeep(endOf(again.run), endOf(run))) continue;
    throw new SimulationFailure(plan, new Error('not deterministic: the same seed ran in two ways'), []);
  }
  return report;
}
