/**
 * Scenarios: scripts in a small text language whose output is a golden trace. A file has prose (`# …`), a header
 * (`protocol: raft`), commands, and after each command, indented, the trace of its effects. So a file is a test and an
 * explanation at once, and a run that a search has found can be printed as one (`formatActions`).
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Model } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import { errorFrom, invalidArgument, textOf } from '../../replica/errors.js';
import type { Action } from '../world/actions.js';
import type { MachineSpec } from '../world/machine.js';
import { parseCommand, type ScenarioCommand } from './scenario-commands.js';
import { HeaderReader, isHeaderLine, worldOptionsOf, type ScenarioHeader } from './scenario-header.js';
import { ScenarioRunner, Unmet } from './scenario-run.js';
import { ScenarioSyntaxError, Words } from './scenario-text.js';
import { TraceWriter } from '../world/trace.js';
import { Turn } from '../world/turn.js';
import { createWorld } from '../world/world.js';
import type { World } from '../world/state.js';

/** A line with a command. `at`: its true time in milliseconds, `null` for the current time. */
export interface ScenarioStep {
  /** The number of the line, 1-based. */
  readonly line: number;
  readonly at: Milliseconds | null;
  readonly command: ScenarioCommand;
}

/** A parsed scenario. */
export interface Scenario {
  readonly header: ScenarioHeader;
  /** The line at which the header begins, 1-based. */
  readonly headerLine: number;
  /** Every line but those of a trace, unchanged; with `step` if it is a command. */
  readonly lines: readonly { readonly text: string; readonly step: ScenarioStep | null }[];
}

/** The reason for which a scenario ended before its last line. */
export interface ScenarioFailure {
  /**
   * `violation`: a rule was broken. `expectation`: an expectation does not hold. `error`: the code under test threw
   * another error.
   */
  readonly kind: 'violation' | 'expectation' | 'error';
  /** The number of the failing line, 1-based. */
  readonly line: number;
  /** The broken rule, the expectation with what is the case instead, or the error's message. */
  readonly reason: string;
  readonly error: unknown;
}

/** The outcome of a scenario. */
export interface ScenarioRun {
  /** The text of the file with its trace: every line, and under each command its section. */
  readonly trace: string;
  /** The world at the end; after a violation, the one before the line that broke it. */
  readonly world: World;
  /** All actions, from the new world on. */
  readonly actions: readonly Action[];
  /** `null` when it ran through to its end. */
  readonly failure: ScenarioFailure | null;
}

/** Options of `runScenario`. */
export interface ScenarioOptions {
  /** The state machine; one that counts its commands unless given. */
  readonly machine?: MachineSpec;
}

/**
 * Parses a scenario. Lines that begin with a blank are of an earlier trace and are skipped.
 * @throws ScenarioSyntaxError with line and reason
 */
export function parseScenario(text: string): Scenario {
  const reader = new HeaderReader();
  let header: ScenarioHeader | null = null;
  const source = text.split(/\r?\n/);
  const lines: { text: string; step: ScenarioStep | null }[] = [];
  source.forEach((each, at) => {
    const line = at + 1;
    if (/^\s+\S/.test(each)) return;
    const bare = each.trim();
    if (bare === '' || bare.startsWith('#')) lines.push({ text: bare, step: null });
    else if (header === null && isHeaderLine(bare)) {
      reader.read(line, bare);
      lines.push({ text: bare, step: null });
    } else {
      header ??= reader.finish(line);
      const words = new Words(line, bare, header.replicas);
      lines.push({ text: bare, step: { line, ...parseCommand(words) } });
    }
  });
  return { header: header ?? reader.finish(source.length), headerLine: Math.max(1, reader.line), lines };
}

/**
 * The actions of a scenario with their times.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` when it has commands that depend on the world (quiesce, run …)
 */
export function actionsOf({ lines }: Scenario): readonly Action[] {
  let now = 0;
  return lines.flatMap(({ text, step }) => {
    if (step === null) return [];
    if (step.command.kind !== 'act') throw invalidArgument(`line ${step.line}: "${text}" is not a plain action`);
    const at = step.at ?? now;
    now = Math.max(now, at);
    return step.command.happenings.map((happening): Action => ({ ...happening, at }));
  });
}

function beginWorld(scenario: Scenario, models: readonly Model<any, any, any>[], options: ScenarioOptions) {
  const { header, headerLine } = scenario;
  const model = models.find(({ protocol }) => protocol.name === header.protocol);
  if (model === undefined) {
    const known = models.map(({ protocol }) => protocol.name).join(', ');
    throw new ScenarioSyntaxError(headerLine, `unknown protocol "${header.protocol}"; there are ${known}`);
  }
  const writer = new TraceWriter(model);
  try {
    return { writer, world: createWorld(worldOptionsOf(header, model, options.machine), writer.observe) };
  } catch (error) {
    if (error instanceof InvariantViolation) throw error;
    throw new ScenarioSyntaxError(headerLine, textOf(error));
  }
}

function failureOf(line: number, error: unknown): ScenarioFailure {
  const known = errorFrom(error);
  const reason = known.message;
  if (known instanceof Unmet) return { kind: 'expectation', line, reason, error };
  return { kind: known instanceof InvariantViolation ? 'violation' : 'error', line, reason, error };
}

/**
 * Runs a scenario to its end, or to the line where it fails; a failure is returned and not thrown.
 * @param models the models of the protocols that the header may name
 * @throws ScenarioSyntaxError when it cannot be read, or its header describes an invalid world; InvariantViolation when
 *   a rule is broken by the start of the replicas
 */
export function runScenario(
  scenario: string | Scenario,
  models: Model<any, any, any> | readonly Model<any, any, any>[],
  options: ScenarioOptions = {},
): ScenarioRun {
  const read = typeof scenario === 'string' ? parseScenario(scenario) : scenario;
  const { writer, world: first } = beginWorld(read, [models].flat(), options);
  const actions: Action[] = [];
  const turn = new Turn(first, (fact) => {
    if (fact.kind === 'action') actions.push(fact.action);
    writer.observe(fact);
  });
  const runner = new ScenarioRunner(turn, writer, read.header);
  writer.take(); // the trace leaves out the starts of all replicas
  const output: string[] = [];
  let world = first;
  let failure: ScenarioFailure | null = null;
  for (const { text, step } of read.lines) {
    output.push(text);
    if (step === null || failure !== null) continue;
    try {
      runner.run(step.at, step.command);
      world = turn.finish();
    } catch (error) {
      failure = failureOf(step.line, error);
      writer.add(`${failure.kind}: ${failure.reason}`);
    }
    for (const line of writer.take()) output.push(`    ${line}`);
  }
  return { trace: output.join('\n'), world, actions, failure };
}
