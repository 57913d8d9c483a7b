/**
 * The linearizability checker: whether some sequential order of a history's operations, in which each takes effect
 * between its call and its return, explains all outputs (Herlihy and Wing 1990). It takes any history; `checkLogOrder`
 * is far cheaper for a history whose operations know their place in a log.
 */

import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';
import { checkOperations, type CompletedOperation, type History, type Operation } from './history.js';
import { LinearizabilitySearch, type Budget, type Effective, type Limit } from './linearizability-search.js';
import { describeOperation, describeState, unknown, type SequentialModel } from './models.js';

/** Bounds of the search, for all parts together. Deciding is NP-complete; reaching a bound gives `undecided`. */
export interface LinearizabilityOptions {
  /** Milliseconds; 60,000 unless given. */
  readonly timeout?: number;
  /** How often the model may be applied; without bound unless given. */
  readonly steps?: number;
  /** How much the search of one part may remember; 2^30 bytes unless given. */
  readonly bytes?: number;
  /** Monotonic milliseconds, for `timeout`; `performance.now` unless given. */
  readonly now?: () => number;
}

/** The result. `steps`: how often the model was applied. `undecided`: a bound was reached, which proves nothing. */
export type Linearizability<State = unknown> =
  | {
      readonly kind: 'linearizable';
      /** Of each part an order that explains it, without what need not have happened. */
      readonly parts: readonly LinearizedPart[];
      readonly steps: number;
    }
  | (NotLinearizable<State> & { readonly kind: 'violation'; readonly steps: number })
  | {
      readonly kind: 'undecided';
      readonly limit: Limit;
      /** The part that was too hard. */
      readonly key: string;
      readonly steps: number;
    };

export interface LinearizedPart {
  readonly key: string;
  readonly order: readonly Operation[];
}

/** A violation: there is an order of the operations up to the return of `operation`, but none that includes it. */
export interface NotLinearizable<State = unknown> {
  /** The part it is in; `''` if the model has none. */
  readonly key: string;
  /** The earliest operation to return that fits nowhere, whatever order is taken for the others. */
  readonly operation: CompletedOperation;
  /** An order that gets as far as that: of what returned before, and of what was open and helps. */
  readonly prefix: readonly Operation[];
  /** The state after `prefix`. */
  readonly state: State;
  /** What could come next by its times; none of it leads past `operation`. */
  readonly next: readonly Operation[];
  /** The violation and its place in words, a few lines. */
  readonly explanation: string;
}

/**
 * Decides whether a history is linearizable. Operations that failed are left out, those of unknown outcome may take
 * effect at any time from their call on or never.
 *
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` for a malformed operation or option, and what the model throws
 */
export function checkLinearizable<State, Input, Output>(
  history: History<Input, Output>,
  model: SequentialModel<State, Input, Output>,
  options: LinearizabilityOptions = {},
): Linearizability<State> {
  checkOperations(history);
  const budget = budgetOf(options);
  const parts: LinearizedPart[] = [];
  // Small parts first: a violation is found before a hard part uses up the time.
  for (const [key, part] of [...partsOf(history, model)].sort(([, a], [, b]) => a.length - b.length)) {
    const found = new LinearizabilitySearch(model as SequentialModel<State>, part, budget).run();
    if (found.kind === 'limit') return { kind: 'undecided', limit: found.limit, key, steps: budget.spent };
    if (found.kind === 'none') {
      const { operation, order: prefix, state, next } = found.blocked;
      const violation = { key, operation, prefix, state, next };
      const explanation = explain(violation, model as SequentialModel<State>);
      return { kind: 'violation', ...violation, explanation, steps: budget.spent };
    }
    parts.push({ key, order: found.order });
  }
  return { kind: 'linearizable', parts, steps: budget.spent };
}

/** The error of `assertLinearizable` and `assertLogOrder`; `result` holds the violation or the limit. */
export class HistoryRefuted<Result = unknown> extends Error {
  override readonly name = 'HistoryRefuted';
  readonly result: Result;

  constructor(message: string, result: Result) {
    super(message);
    this.result = result;
  }
}

/**
 * Passes for a history that is proved linearizable.
 * @throws HistoryRefuted with the result, for a violation and also when a limit was reached
 * @throws ConsensusError as `checkLinearizable`
 */
export function assertLinearizable<State, Input, Output>(
  history: History<Input, Output>,
  model: SequentialModel<State, Input, Output>,
  options: LinearizabilityOptions = {},
): void {
  const result = checkLinearizable(history, model, options);
  if (result.kind === 'linearizable') return;
  if (result.kind === 'violation') throw new HistoryRefuted(result.explanation, result);
  const part = result.key === '' ? '' : ` (key ${result.key})`;
  const reason = `its limit of ${result.limit} was reached after ${result.steps} steps${part}`;
  throw new HistoryRefuted(`nothing is known of the history: ${reason}`, result);
}

function partsOf<Input, Output>(
  history: History<Input, Output>,
  model: SequentialModel<any, Input, Output>,
): Map<string, Effective[]> {
  const parts = new Map<string, Effective[]>();
  for (const operation of history) {
    if (operation.outcome === 'fail') continue;
    const key = model.partition === undefined ? '' : model.partition(operation.input);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [operation]);
    else part.push(operation);
  }
  return parts;
}

interface PerformancePlatform {
  performance: { now(): number };
}

function budgetOf(options: LinearizabilityOptions): Budget {
  const { timeout = 60_000, steps = Infinity, bytes = 2 ** 30 } = options;
  for (const [name, value] of Object.entries({ timeout, steps, bytes })) {
    if (typeof value === 'number' && value >= 0) continue;
    throw invalidArgument(`${name} is a number from 0 on, got ${shown(value)}`);
  }
  const now = options.now ?? (() => (globalThis as unknown as PerformancePlatform).performance.now());
  return { deadline: now() + timeout, now, steps, bytes, spent: 0 };
}

/** How much of the order is told. */
const LINES_TOLD = 8;

function explain<State>(
  { key, operation, prefix, state, next }: Omit<NotLinearizable<State>, 'explanation'>,
  model: SequentialModel<State>,
): string {
  const tell = (told: Operation): string => `    ${tellOperation(told, model)}`;
  const omitted = Math.max(0, prefix.length - LINES_TOLD);
  return [
    `not linearizable as a ${model.name}${key === '' ? '' : ` (key ${key})`}: this fits nowhere`,
    tell(operation),
    prefix.length === 0 ? '  nothing can come first;' : '  the order that explains most before it ends',
    ...(omitted === 0 ? [] : [`    … ${omitted} more`]),
    ...prefix.slice(omitted).map(tell),
    `  the state is then ${describeState(state)}, and next could only come`,
    ...next.map(tell),
  ].join('\n');
}

/** An operation with its client and times, on one line. */
export function tellOperation<Input, Output>(
  operation: Operation<Input, Output>,
  model: SequentialModel<any, Input, Output>,
): string {
  const { client, input, outcome, call, at } = operation;
  const words = describeOperation(model, input, outcome === 'ok' ? operation.output : unknown);
  const place = at === null ? '' : at.kind === 'entry' ? ` @${at.index}` : ` read@${at.index}`;
  const failed = outcome === 'fail' ? ', failed' : '';
  return `${client}: ${words}${failed}${place} (${call}…${outcome === 'unknown' ? '' : operation.return})`;
}
