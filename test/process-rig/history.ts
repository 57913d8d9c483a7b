/**
 * The history of a run's clients and its checks. The replicas' ledger gives the order of all commands and every answer
 * its place, so the check by log order decides the whole history exactly, commands without an answer included. The
 * general checker, which uses no ledger, checks the same history key by key.
 */

import type { Operation as Checked } from '../../src/testing/history/history.js';
import { checkLinearizable } from '../../src/testing/history/linearizability.js';
import { checkLogOrder, type LogEffect } from '../../src/testing/history/linearizability-log-order.js';
import { refused, unknown, type SequentialModel } from '../../src/testing/history/models.js';
import { execute, type Command, type Contents, type Output } from './machine.js';

/** `stale`: whatever is applied at the member asked, once the client's own last write is. */
export type Input = Command | { readonly kind: 'read' | 'stale'; readonly key: string };

/** One request of a client. Times are milliseconds of the rig's clock. */
export interface Operation {
  /** Has one request at a time; who gave up waiting goes on under another number. */
  readonly client: number;
  readonly member: string;
  readonly input: Input;
  /** `null` unless the outcome is `ok`. */
  output: Output;
  readonly call: number;
  /** `null` while there was no answer, and where it was said to be unknown. */
  return: number | null;
  /** `fail`: the replica promised that it has no effect. */
  outcome: 'ok' | 'fail' | 'unknown';
  /** How many commands had been applied where it was served; `null` unless `ok`. */
  index: number | null;
  /** Index in the log; of a write that is `ok`. */
  logIndex: number | null;
  /** Of a stale read: what it must at least see. */
  readonly least: number;
}

/** One key; the machine does to many what it does to one. */
const model: SequentialModel<string | null, Input, Output> = {
  name: 'keys',
  initial: null,
  partition: ({ key }) => key,
  isRead: (input) => !('op' in input),
  step(state, input, output) {
    if (!('op' in input)) return output === unknown || output === state ? state : refused;
    const values = new Map(state === null ? [] : [[input.key, state]]);
    const given = execute(values, input);
    return output === unknown || output === given ? (values.get(input.key) ?? null) : refused;
  },
};

/** The general checker is done within a second or two; when it is not, nothing is proved. */
const CHECK_LIMIT = 60_000;

/** What speaks against this run; nothing when it was linearizable and no acknowledged write is lost. */
export function problemsOf(operations: readonly Operation[], finals: ReadonlyMap<string, Contents>): string[] {
  const [first, ...others] = finals;
  if (first === undefined) return ['no member was read at the end'];
  const [member, { ledger }] = first;
  const expected = JSON.stringify(first[1]);
  const problems = others
    .filter(([, contents]) => JSON.stringify(contents) !== expected)
    .map(([other]) => `${member} and ${other} differ at the end`);
  return [...problems, ...againstLedger(operations, ledger), ...besides(operations), ...inGeneral(operations, ledger)];
}

/** Exactly: the ledger is the order. */
function againstLedger(operations: readonly Operation[], ledger: readonly string[]): string[] {
  const ends = operations.map(({ call, return: end }) => end ?? call);
  const end = ends.reduce((a, b) => Math.max(a, b), 0) + 1;
  const byOp = new Map<string, Checked<Input, Output>>();
  const history = operations.map((operation) => {
    const checked = checkedOf(operation, end);
    if ('op' in operation.input) byOp.set(operation.input.op, checked);
    return checked;
  });
  const problems: string[] = [];
  const effects = ledger.flatMap((op, at): LogEffect[] => {
    const operation = byOp.get(op);
    if (operation !== undefined) return [{ index: at + 1, operation }];
    problems.push(`nobody asked for command ${op}, which took effect at ${at + 1}`);
    return [];
  });
  const found = checkLogOrder(history, model, { effects });
  if (found.kind !== 'linearizable') problems.push(found.explanation);
  return problems;
}

/** A stale read may be called and return whenever it likes: only its output binds it to its place. */
function checkedOf(operation: Operation, last: number): Checked<Input, Output> {
  const { client, input, output, call, return: end, outcome, index } = operation;
  const isStale = input.kind === 'stale';
  const invoked = { client: `c${client}`, input, call: isStale ? 0 : call };
  if (outcome === 'unknown') return { ...invoked, outcome, return: Infinity, at: null };
  const returned = isStale ? last : (end ?? call);
  if (outcome === 'fail') return { ...invoked, outcome, return: returned, at: null };
  const at = index === null ? null : ({ kind: 'op' in input ? 'entry' : 'read', index } as const);
  return { ...invoked, outcome, return: returned, output, at };
}

/** What clients are promised besides: a stale read sees what it waited for, and the log's indexes rise. */
function besides(operations: readonly Operation[]): string[] {
  const shown = (operation: Operation): string => JSON.stringify(operation);
  const problems = operations
    .filter(({ input, index, least }) => input.kind === 'stale' && index !== null && index < least)
    .map((operation) => `a stale read waited for ${operation.least} and saw less: ${shown(operation)}`);
  const written = operations
    .filter(({ logIndex, index }) => logIndex !== null && index !== null)
    .sort((a, b) => (a.index as number) - (b.index as number));
  written.forEach((operation, at) => {
    const before = written[at - 1];
    if (before === undefined || (before.logIndex as number) < (operation.logIndex as number)) return;
    problems.push(`the log's indexes do not rise from ${shown(before)} to ${shown(operation)}`);
  });
  return problems;
}

/** Key by key, without a ledger, but for this: what is not in it never took effect, which spares much search. */
function inGeneral(operations: readonly Operation[], ledger: readonly string[]): string[] {
  const applied = new Set(ledger);
  const history = operations
    .filter(({ input, outcome }) => {
      if (input.kind === 'stale') return false;
      return outcome !== 'unknown' || ('op' in input && applied.has(input.op));
    })
    .map((operation) => ({ ...checkedOf(operation, 0), at: null }));
  const found = checkLinearizable(history, model, { timeout: CHECK_LIMIT });
  if (found.kind === 'linearizable') return [];
  if (found.kind === 'violation') return [found.explanation];
  return [`not proved to be linearizable within the limit of ${found.limit}`];
}
