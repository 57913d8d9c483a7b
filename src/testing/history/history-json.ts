/**
 * Histories as JSON, for programs: a list of operations as `history.ts` has them, or a list of events, each in one
 * object. Fields without content may be left out: the output of nothing, the position that is not known, the return
 * of what never did.
 */

import { checkOperations, HistoryAssembly, operationProblem, positionProblem } from './history.js';
import type { History, HistoryEvent, LogPosition, Operation } from './history.js';
import { HistorySyntaxError, jsonText } from './history-format.js';
import type { Json } from './models.js';

type JsonFields = { readonly [name: string]: Json };
type JsonOperation = Operation<Json, Json | undefined>;

const OPERATION = ['client', 'input', 'output', 'outcome', 'call', 'return', 'at'];
const EVENT = ['kind', 'client', 'input', 'output', 'at', 'time'];
/** What an event of each kind may and must say beside its client; a time stands with all but `unknown`. */
const OF_KIND: { readonly [kind: string]: { readonly may: readonly string[]; readonly must: readonly string[] } } = {
  invoke: { may: ['input', 'time'], must: ['input'] },
  ok: { may: ['output', 'at', 'time'], must: [] },
  fail: { may: ['time'], must: [] },
  unknown: { may: ['at'], must: [] },
};

/**
 * Reads a history from JSON: a list of operations, or of events (which have a `kind`), in which case their order
 * is the order in time unless each has a `time`.
 * @throws HistorySyntaxError naming the path, such as `$[3].call`
 */
export function parseHistoryJson(text: string): History<Json, Json | undefined> {
  let data: Json;
  try {
    data = JSON.parse(text) as Json;
  } catch (error) {
    throw new HistorySyntaxError('$', error instanceof Error ? error.message : String(error));
  }
  if (!Array.isArray(data)) throw new HistorySyntaxError('$', `a history is a list, got ${typeof data}`);
  const items = data as readonly Json[];
  const first = items[0];
  const told = typeof first === 'object' && first !== null && 'kind' in first;
  return told ? fromEvents(items) : items.map((item, at) => operationOf(item, `$[${at}]`));
}

/**
 * A history as JSON, one operation a line.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` for a malformed operation and for a value that JSON does not carry
 */
export function formatHistoryJson(history: History): string {
  checkOperations(history);
  const lines = history.map((operation) => {
    const { client, input, outcome, call, at } = operation;
    const fields: [name: string, value: unknown][] = [
      ['client', client],
      ['input', input],
      ['outcome', outcome],
    ];
    if (outcome === 'ok' && operation.output !== undefined) fields.push(['output', operation.output]);
    fields.push(['call', call]);
    if (outcome !== 'unknown') fields.push(['return', operation.return]);
    if (at !== null) fields.push(['at', { kind: at.kind, index: at.index }]);
    return `{${fields.map(([name, value]) => `"${name}":${jsonText(value)}`).join(',')}}`;
  });
  return lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`;
}

function fromEvents(items: readonly Json[]): History<Json, Json | undefined> {
  const assembly = new HistoryAssembly<Json, Json | undefined>();
  items.forEach((item, at) => {
    const problem = assembly.add(eventOf(item, `$[${at}]`));
    if (problem !== null) throw new HistorySyntaxError(`$[${at}]`, problem);
  });
  return assembly.history();
}

function eventOf(item: Json, path: string): HistoryEvent<Json, Json | undefined> {
  const fields = fieldsOf(item, path, EVENT);
  const { kind, client, time, input, output } = fields;
  const rule = typeof kind === 'string' && Object.hasOwn(OF_KIND, kind) ? OF_KIND[kind] : undefined;
  if (rule === undefined) {
    const kinds = Object.keys(OF_KIND).join(', ');
    throw new HistorySyntaxError(`${path}.kind`, `one of ${kinds}, got ${jsonText(kind ?? null)}`);
  }
  for (const name of Object.keys(fields)) {
    if (name === 'kind' || name === 'client' || rule.may.includes(name)) continue;
    throw new HistorySyntaxError(`${path}.${name}`, `no field of the event ${String(kind)}`);
  }
  for (const name of rule.must) {
    if (!Object.hasOwn(fields, name)) throw new HistorySyntaxError(`${path}.${name}`, 'is missing');
  }
  if (time !== undefined && typeof time !== 'number') throw new HistorySyntaxError(`${path}.time`, 'a number');
  const shared = { client: clientOf(client, path), ...(time === undefined ? {} : { time }) };
  if (kind === 'invoke') return { kind, input: input as Json, ...shared };
  if (kind === 'fail') return { kind, ...shared };
  const at = positionOf(fields['at'] ?? null, `${path}.at`);
  return kind === 'ok' ? { kind, output, at, ...shared } : { kind: 'unknown', client: shared.client, at };
}

function operationOf(item: Json, path: string): JsonOperation {
  const fields = fieldsOf(item, path, OPERATION);
  for (const name of ['input', 'outcome', 'call']) {
    if (!Object.hasOwn(fields, name)) throw new HistorySyntaxError(`${path}.${name}`, 'is missing');
  }
  const { outcome, call, output } = fields;
  if (outcome !== 'ok' && Object.hasOwn(fields, 'output')) {
    throw new HistorySyntaxError(`${path}.output`, 'only what ended ok has an output');
  }
  const end = outcome === 'unknown' ? (fields['return'] ?? Infinity) : fields['return'];
  const shared = { client: clientOf(fields['client'], path), input: fields['input'] as Json };
  const at = positionOf(fields['at'] ?? null, `${path}.at`);
  const ended = { outcome, call, return: end, at, ...(outcome === 'ok' ? { output } : {}) };
  const operation = { ...shared, ...ended } as JsonOperation;
  const problem = operationProblem(operation);
  if (problem !== null) throw new HistorySyntaxError(path, problem);
  return operation;
}

function fieldsOf(item: Json, path: string, names: readonly string[]): JsonFields {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    throw new HistorySyntaxError(path, `an object, got ${jsonText(item)}`);
  }
  const stranger = Object.keys(item).find((name) => !names.includes(name));
  if (stranger !== undefined) throw new HistorySyntaxError(`${path}.${stranger}`, `none of ${names.join(', ')}`);
  return item as JsonFields;
}

function clientOf(client: Json | undefined, path: string): string {
  if (typeof client !== 'string') throw new HistorySyntaxError(`${path}.client`, 'a string');
  return client;
}

function positionOf(value: Json, path: string): LogPosition | null {
  if (value === null) return null;
  const { kind, index } = fieldsOf(value, path, ['kind', 'index']);
  const at = { kind, index } as LogPosition;
  const problem = positionProblem(at);
  if (problem !== null) throw new HistorySyntaxError(path, problem);
  return at;
}
