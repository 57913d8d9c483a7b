/**
 * The simulator: the shipped driver and cores over a simulated network, disks and clocks. Each seed gives one schedule:
 * a plan (`plan.ts`) and all random decisions on its way. A failure names the seed, the rule, and a shrunk list of
 * actions that break it.
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

/** What was met in paced schedules; all 0 without a pace. */
export interface PaceReport {
  /** How often several callers came at once, and the most bytes that padded a command. */
  bursts: number;
  largest: number;
  /** How often a `control` message went before a waiting one of `bulk`, and how often a machine held something up. */
  passed: number;
  held: number;
  /** How often a message found no room in its lane, whose sender then refused more. */
  full: number;
}

/** The report of a simulation in which no rule was broken. Counts are sums over all schedules. */
export interface SimulationReport {
  readonly protocol: string;
  readonly firstSeed: number;
  schedules: number;
  /** Actions, messages delivered among them, and virtual time in milliseconds. */
  actions: number;
  delivered: number;
  virtualTime: Milliseconds;
  /** Commands that took effect, and calls that were acknowledged or served. */
  commands: number;
  answered: number;
  readonly faults: Record<FaultKind, number>;
  /** How often each of the model's coverage points was met. */
  readonly coverage: Record<string, number>;
  /** Of paced schedules: how much of what time and weight do was met. */
  readonly pace: PaceReport;
  /** Schedules that were run twice, to the same end. */
  repeated: number;
}

/** The error of a schedule that broke a rule. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  /** The message of the violation, which begins with the rule's name, or of an error of the code under test. */
  readonly rule: string;
  /** The evidence of the violation, as plain data; `undefined` if there is none. */
  readonly evidence: unknown;
  /** The options of the failing run's world. */
  readonly world: WorldOptions;
  /**
   * The shrunk list of actions that break the rule when they are applied to a new such world. Rules about the end of a
   * schedule (`liveness/`, `history/`) are broken by no action: then the list leads to that end and breaks nothing.
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

  /** The failing run as the text of a scenario; `runScenario` breaks the same rule if `actions` do. */
  get scenario(): string {
    return formatActions(headerOf(this.world), this.actions);
  }
}

/** One of this many schedules is run twice. */
const REPEAT_EVERY = 20;

function planFor(options: SimulateOptions, seed: number): Plan {
  const { length = 400, without = [], calm = false, prefixes = [], pace } = options;
  return planOf({ world: worldOptionsOf(options), seed, length, without, calm, prefixes, pace });
}

/** Runs a shortened storm and the phases after it, in the same way each time. */
function tail(options: SimulateOptions, plan: Plan, actions: readonly Action[]): ScheduleRun {
  return runSchedule(options, { ...plan, prefix: actions, length: 0, loose: true }, { keep: true });
}

/**
 * Shrinks a failure that only the end of a schedule shows, by running the phases after ever shorter storms. That takes
 * far longer than a replay, so it has a smaller budget. What a shorter storm only puts off is not shorter.
 */
function shrinkStorm(
  options: SimulateOptions,
  plan: Plan,
  run: SimulatedRun,
  budget: number,
): SimulationFailure | null {
  let longest = Infinity;
  const trial = (shorter: readonly Action[]): Replayed | null => {
    const { run: again, error } = tail(options, plan, shorter);
    const length = again.actions?.length ?? 0;
    if (error === null || length > longest) return null;
    longest = length;
    return { error, actions: again.storm, committed: [] };
  };
  const first = trial(run.storm);
  if (first === null) return null;
  const { run: last, error } = tail(options, plan, shrink(first.actions, first.error, trial, budget / 40));
  return error === null ? null : new SimulationFailure(plan, error, last.actions as readonly Action[]);
}

/** Runs the failing schedule again, keeps its actions, and shrinks them. */
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
    pace: { bursts: 0, largest: 0, passed: 0, held: 0, full: 0 },
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
  const { pace } = report;
  pace.bursts += tally.bursts;
  pace.largest = Math.max(pace.largest, tally.largest);
  pace.full += tally.full;
  pace.passed += run.traffic.passed;
  pace.held += run.traffic.held;
  for (const [kind, count] of tally.faults) report.faults[kind] += count;
  for (const [point, count] of tally.coverage) report.coverage[point] = (report.coverage[point] ?? 0) + count;
}

/**
 * Runs schedules, one for each seed from `seed` on.
 * @throws SimulationFailure for the first schedule that breaks a rule; ConsensusError `ERR_INVALID_ARGUMENT` or
 *   RangeError for invalid options
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
