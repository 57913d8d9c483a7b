/**
 * Linearizability of a replicated log, where the order of the log is the order that explains what clients saw: there
 * is nothing to search, so it takes O(n log n) and suits every run.
 */

import { invalidArgument } from '../../replica/errors.js';
import { checkOperations, positionProblem, type History, type LogPosition, type Operation } from './history.js';
import { HistoryRefuted, tellOperation } from './linearizability.js';
import { describeState, encodeState, refused, unknown, type SequentialModel } from './models.js';

/**
 * - `history/real-time-order`: an operation came back before the other was called, yet the log has them the other way
 *   round; or a read was answered from a state older than what had come back before it was called.
 * - `history/explained-by-log`: an output that its place in the log does not explain.
 * - `history/one-index-per-operation`: two operations at one index, one operation at two, or one that failed and
 *   stands in the log all the same.
 * - `history/acknowledged-is-kept`: what came back as done does not stand in the log.
 */
export type LogRule =
  | 'history/real-time-order'
  | 'history/explained-by-log'
  | 'history/one-index-per-operation'
  | 'history/acknowledged-is-kept';

/** `undecided`: an operation's place is not known, so nothing is proved. That is no pass. */
export type LogOrder =
  | { readonly kind: 'linearizable' }
  | {
      readonly kind: 'violation';
      readonly rule: LogRule;
      /** What contradicts each other: two operations, or one and the log. The later one of the two comes last. */
      readonly operations: readonly Operation[];
      /** Begins with the name of the rule. */
      readonly explanation: `${LogRule}: ${string}`;
    }
  | { readonly kind: 'undecided'; readonly operation: Operation; readonly explanation: string };

/** That an operation took effect at an index: its command is the log's entry there, and not a repetition. */
export interface LogEffect {
  readonly index: number;
  /** One of the history's operations, the same object. */
  readonly operation: Operation;
}

export interface LogOrderOptions {
  /**
   * Everything of this history that took effect, as the state machines saw it. With it the log is known whole:
   * what came back is looked for in it, and an operation of unknown outcome that is not in it had no effect. Without it
   * the positions in the history are all there is, and one of unknown outcome without a position leaves the
   * outputs unproved, should any not fit.
   */
  readonly effects?: readonly LogEffect[];
}

/**
 * Decides whether the order of the log explains what clients saw. Every operation that came back must know its place
 * (`at`), or be among the effects.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` for a malformed operation or effect, and what the model throws
 */
export function checkLogOrder<State, Input, Output>(
  history: History<Input, Output>,
  model: SequentialModel<State, Input, Output>,
  options: LogOrderOptions = {},
): LogOrder {
  checkOperations(history);
  const log = new LogOrderCheck(model as SequentialModel<State>);
  const placed = options.effects === undefined ? history : log.place(history, options.effects);
  if (log.verdict !== null) return log.verdict;
  const homeless = placed.find(({ outcome, at }) => outcome === 'ok' && at === null);
  if (homeless !== undefined) return log.undecided(homeless, 'came back, and its place in the log is not known');
  return log.checkIndexes(placed) ?? log.checkOrder(placed) ?? log.replay(placed, options.effects !== undefined);
}

/**
 * Passes for a history that its log explains.
 * @throws HistoryRefuted with the result, for a violation and also when nothing is proved
 * @throws ConsensusError as `checkLogOrder`
 */
export function assertLogOrder<State, Input, Output>(
  history: History<Input, Output>,
  model: SequentialModel<State, Input, Output>,
  options: LogOrderOptions = {},
): void {
  const result = checkLogOrder(history, model, options);
  if (result.kind !== 'linearizable') throw new HistoryRefuted(result.explanation, result);
}

class LogOrderCheck<State> {
  private readonly model: SequentialModel<State>;
  verdict: LogOrder | null = null;

  constructor(model: SequentialModel<State>) {
    this.model = model;
  }

  /** The history with the positions that its log gives; what contradicts it becomes the verdict. */
  place(history: History, effects: readonly LogEffect[]): History {
    const known = new Set(history);
    const places = new Map<Operation, number>();
    for (const { index, operation } of effects) {
      if (!known.has(operation)) throw invalidArgument(`the effect at ${index} is of no operation of the history`);
      const problem = positionProblem({ kind: 'entry', index });
      if (problem !== null) throw invalidArgument(`an effect: ${problem}`);
      const other = places.get(operation);
      if (other !== undefined)
        this.refute('history/one-index-per-operation', operation, `took effect at ${other} and ${index}`);
      places.set(operation, index);
    }
    return history.map((operation) => {
      const index = places.get(operation);
      if (operation.outcome === 'fail') {
        if (index !== undefined)
          this.refute('history/one-index-per-operation', operation, `took effect at ${index} all the same`);
        return operation;
      }
      if (operation.at?.kind === 'read' && index === undefined) return operation;
      return this.placeEntry(operation, index);
    });
  }

  private placeEntry(operation: Exclude<Operation, { outcome: 'fail' }>, index: number | undefined): Operation {
    if (index === undefined) {
      const lost = operation.outcome === 'ok' || operation.at !== null;
      if (lost) this.refute('history/acknowledged-is-kept', operation, 'is not in the log');
      return operation;
    }
    if (operation.at?.kind === 'entry' && operation.at.index === index) return operation;
    if (operation.at !== null)
      this.refute('history/one-index-per-operation', operation, `took effect at ${index}, not where it says`);
    return { ...operation, at: { kind: 'entry', index } };
  }

  /** The first contradiction found stays. */
  private refute(rule: LogRule, operation: Operation, why: string): void {
    this.verdict ??= this.violation(rule, [operation], why);
  }

  undecided(operation: Operation, why: string): LogOrder {
    return { kind: 'undecided', operation, explanation: `not proved: ${this.tell(operation)} ${why}` };
  }

  private violation(rule: LogRule, operations: readonly Operation[], why: string): LogOrder {
    const told = operations.map((operation) => this.tell(operation)).join(' and ');
    return { kind: 'violation', rule, operations, explanation: `${rule}: ${told} ${why}` };
  }

  private tell(operation: Operation): string {
    return tellOperation(operation, this.model);
  }

  /** An index belongs to one operation. */
  checkIndexes(history: History): LogOrder | null {
    const owners = new Map<number, Operation>();
    for (const operation of history) {
      if (operation.at?.kind !== 'entry') continue;
      const other = owners.get(operation.at.index);
      if (other !== undefined)
        return this.violation('history/one-index-per-operation', [other, operation], 'are at one index');
      owners.set(operation.at.index, operation);
    }
    return null;
  }

  /**
   * At each call, the highest index that had come back is known by walking both orders at once. An entry
   * stands above it. A read may stand at it, since it sees that entry.
   */
  checkOrder(history: History): LogOrder | null {
    const placed = history.filter(({ at }) => at !== null);
    const byCall = placed.slice().sort((a, b) => a.call - b.call);
    const byReturn = placed.filter(({ outcome }) => outcome === 'ok').sort((a, b) => a.return - b.return);
    let returned = 0;
    let highest: Operation | null = null;
    for (const operation of byCall) {
      for (let earlier = byReturn[returned]; earlier !== undefined && earlier.return < operation.call; ) {
        if (highest === null || indexOf(earlier) > indexOf(highest)) highest = earlier;
        earlier = byReturn[++returned];
      }
      if (highest === null || mayFollow(operation, indexOf(highest))) continue;
      const why = `are in the wrong order: the first came back before the second was called`;
      return this.violation('history/real-time-order', [highest, operation], why);
    }
    return null;
  }

  /** In the order of the log, reads after the entry they saw last, the operations give what came back. */
  replay(history: History, whole: boolean): LogOrder {
    const states = new Map<string, { state: State; last: Operation | null }>();
    for (const operation of history.filter(({ at }) => at !== null).sort(byPosition)) {
      const key = this.model.partition === undefined ? '' : this.model.partition(operation.input);
      const part = states.get(key) ?? { state: this.model.initial, last: null };
      const output = operation.outcome === 'ok' ? operation.output : unknown;
      const after = this.model.step(part.state, operation.input, output);
      if (after === refused) return this.unexplained(operation, part, history, whole);
      if (operation.at?.kind === 'read' && !this.same(after, part.state)) {
        return this.violation('history/explained-by-log', [operation], 'is said to be a read, and changes the state');
      }
      states.set(key, { state: after, last: operation.at?.kind === 'entry' ? operation : part.last });
    }
    return { kind: 'linearizable' };
  }

  private same(a: State, b: State): boolean {
    return Object.is(a, b) || encodeState(this.model, a) === encodeState(this.model, b);
  }

  private unexplained(
    operation: Operation,
    { state, last }: { state: State; last: Operation | null },
    history: History,
    whole: boolean,
  ): LogOrder {
    const homeless = history.find(({ outcome, at }) => outcome === 'unknown' && at === null);
    const found = `cannot have ended so: the log leads to the state ${describeState(state)}`;
    if (!whole && homeless !== undefined) {
      return this.undecided(homeless, `may stand in the log, and without it ${this.tell(operation)} ${found}`);
    }
    return this.violation(
      'history/explained-by-log',
      last === null ? [operation] : [last, operation],
      `: the latter ${found}`,
    );
  }
}

function indexOf({ at }: Operation): number {
  return (at as LogPosition).index;
}

function mayFollow(operation: Operation, highest: number): boolean {
  return operation.at?.kind === 'entry' ? indexOf(operation) > highest : indexOf(operation) >= highest;
}

function byPosition(a: Operation, b: Operation): number {
  return indexOf(a) - indexOf(b) || Number(a.at?.kind === 'read') - Number(b.at?.kind === 'read');
}
