/**
 * The simulator: real drivers and cores over a simulated network, disks and clocks, from a seed. Each seed is one
 * schedule: a plan (`plan.ts`) and everything that is drawn on its way. A failure comes with the seed, the rule, and
 * the actions that break it, shrunk.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Model } from '../../core/model.js';
import type { Constants, ReplicaId } from '../../core/members.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { Tuning } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import type { Action } from '../world/actions.js';
import type { Dice } from '../random.js';
import type { Observer } from '../world/facts.js';
import { checkObject, checkWorldOptions } from '../world/check-input.js';
import { runSchedule, endOf, type ScheduleRun } from './schedule.js';
import { sameDeep } from '../world/laws.js';
import type { MachineSpec } from '../world/machine.js';
import type { SequentialModel } from '../history/models.js';
import { FAULT_KINDS, planOf, type FaultKind, type Plan, type Prefix } from './plan.js';
import type { Run } from './run.js';
import { formatActions } from '../scenario/scenario-format.js';
import { headerOf } from '../scenario/scenario-header.js';
import { replay, ruleOf, shrink, type Replayed } from './shrink.js';
import type { WorldOptions } from '../world/world.js';

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
  /** How often each of the model's probes was hit. */
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

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw invalidArgument(`${name}: expected a whole number from ${min} to ${max}, got ${String(value)}`);
}

function worldOptionsOf(options: SimulateOptions): WorldOptions {
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
function shrinkStorm(options: SimulateOptions, plan: Plan, run: Run, budget: number): SimulationFailure | null {
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

function add(report: SimulationReport, run: Run): void {
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
  checkObject('options', options);
  const { seed = 1, schedules = 1, length = 400, observer, abstractStates } = options;
  checkNumber('seed', seed, -(2 ** 52), 2 ** 52);
  checkNumber('schedules', schedules, 1, 1e9);
  checkNumber('length', length, 1, 1e6);
  checkNumber('shrinkBudget', options.shrinkBudget ?? 0, 0, 2 ** 40);
  checkWorldOptions(worldOptionsOf(options));
  for (const kind of options.without ?? []) {
    if (!FAULT_KINDS.includes(kind)) throw invalidArgument(`without: no fault is called ${String(kind)}`);
  }
  if (options.machine !== undefined && options.commands === undefined) {
    throw invalidArgument('commands: expected a function, since a machine is given');
  }
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
