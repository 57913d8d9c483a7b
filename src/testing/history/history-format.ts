/**
 * Histories as text, one event a line, for people to write and to read:
 *
 *     # A read of what was overwritten before it was called.
 *     n1 invoke write 1
 *     n1 ok @7
 *     n2 invoke read
 *     n2 ok 0 read@6
 *
 * A line is `client invoke verb arguments…`, `client ok output`, `client fail` or `client unknown`. Words are JSON
 * values, or bare words, which are strings. An input is the list of its words if it starts with a bare word, else the
 * one value written. `@7` is the place in the log of an entry, `read@6` that of a read. Without times the order of
 * the lines is all that counts; with `[12.5]` before each line (but `unknown`) the times do. `#` starts a comment.
 */

import { invalidArgument } from '../../replica/errors.js';
import {
  checkOperations,
  HistoryAssembly,
  type History,
  type HistoryEvent,
  type LogPosition,
  type Operation,
} from './history.js';
import type { Json } from './models.js';

/** A history that cannot be read: where, and why. */
export class HistorySyntaxError extends Error {
  override readonly name = 'HistorySyntaxError';
  /** From 1 on; `null` if `path` says where. */
  readonly line: number | null;
  /** In JSON, such as `$[3].call`; `null` if `line` says where. */
  readonly path: string | null;
  readonly reason: string;

  constructor(place: number | string, reason: string) {
    super(typeof place === 'number' ? `line ${place}: ${reason}` : `${place}: ${reason}`);
    this.line = typeof place === 'number' ? place : null;
    this.path = typeof place === 'number' ? null : place;
    this.reason = reason;
  }
}

const VERBS = ['invoke', 'ok', 'fail', 'unknown'] as const;
/** What may stand without quotes: nothing that could be taken for another kind of word. */
const BARE = /^[\p{L}_/.][\p{L}\p{N}_/.:+-]*$/u;
/** A client may also be a number. */
const BARE_CLIENT = /^[\p{L}\p{N}_/.][\p{L}\p{N}_/.:+-]*$/u;
const CONSTANTS = new Set(['true', 'false', 'null']);
/** One word: a comment, a JSON string, or anything up to a space. What starts with a bracket is read apart. */
const WORD = /#.*|"(?:[^"\\]|\\.)*"|[^\s"[{][^\s]*/uy;
const POSITION = /^(read)?@(\d+)$/;
const TIME = /^\[(-?\d[^\]\s]*)\]/;

/**
 * Reads a history from its text form.
 * @throws HistorySyntaxError naming the line
 */
export function parseHistory(text: string): History<Json, Json | undefined> {
  const assembly = new HistoryAssembly<Json, Json | undefined>();
  text.split('\n').forEach((content, at) => {
    const line = content.trim();
    if (line === '' || line.startsWith('#')) return;
    const read = eventOf(line);
    const problem = typeof read === 'string' ? read : assembly.add(read);
    if (problem !== null) throw new HistorySyntaxError(at + 1, problem);
  });
  return assembly.history();
}

/** An event, or what is wrong with its line. */
function eventOf(line: string): HistoryEvent<Json, Json | undefined> | string {
  const timed = TIME.exec(line);
  const time = timed === null ? {} : { time: Number(timed[1]) };
  const words = wordsOf(timed === null ? line : line.slice(timed[0].length));
  if (typeof words === 'string') return words;
  const [first, verb, ...rest] = words;
  const client = first === undefined ? null : clientOf(first);
  if (client === null) return `a line starts with a client, got ${first ?? 'nothing'}`;
  switch (verb) {
    case 'invoke':
      return invocationOf(client, rest, time);
    case 'ok':
    case 'unknown':
      return endOf(client, verb, rest, time);
    case 'fail':
      return rest.length === 0 ? { kind: 'fail', client, ...time } : `nothing may follow fail, got ${rest.join(' ')}`;
    default:
      return `after the client comes ${VERBS.join(', ')}, got ${verb ?? 'nothing'}`;
  }
}

function invocationOf(
  client: string,
  words: readonly string[],
  time: { time?: number },
): HistoryEvent<Json, Json | undefined> | string {
  const values = words.map(valueOf);
  const bad = values.findIndex((value) => value === undefined);
  if (bad >= 0) return `${words[bad]} is neither a value of JSON nor a word`;
  const [first, ...more] = values as Json[];
  if (first === undefined) return 'after invoke comes what was asked';
  if (isBare(words[0] as string)) return { kind: 'invoke', client, input: values as Json[], ...time };
  if (more.length > 0) return `arguments follow a verb that is a bare word, got ${words[0]}`;
  return { kind: 'invoke', client, input: first, ...time };
}

function endOf(
  client: string,
  kind: 'ok' | 'unknown',
  words: readonly string[],
  time: { time?: number },
): HistoryEvent<Json, Json | undefined> | string {
  const place = POSITION.exec(words.at(-1) ?? '');
  const at: LogPosition | null =
    place === null ? null : { kind: place[1] === undefined ? 'entry' : 'read', index: Number(place[2]) };
  const outputs = place === null ? words : words.slice(0, -1);
  if (kind === 'unknown') {
    return outputs.length === 0 ? { kind, client, at } : `an unknown outcome has no output, got ${outputs.join(' ')}`;
  }
  if (outputs.length > 1) return `one output, got ${outputs.join(' ')}; a list is written [1,2]`;
  const [word] = outputs;
  const output = word === undefined ? undefined : valueOf(word);
  if (word !== undefined && output === undefined) return `${word} is neither a value of JSON nor a word`;
  return { kind, client, output, at, ...time };
}

/** The words of a line, or what is wrong with it. A value of JSON is one word, spaces included. */
function wordsOf(line: string): string[] | string {
  const words: string[] = [];
  for (let at = 0; at < line.length; ) {
    if (/\s/.test(line[at] as string)) {
      at++;
      continue;
    }
    const end = '[{'.includes(line[at] as string) ? endOfBrackets(line, at) : endOfWord(line, at);
    if (end < 0) return `${line.slice(at)} does not end`;
    const next = line[end];
    if (next !== undefined && !/\s/.test(next)) return `a space is missing after ${line.slice(at, end)}`;
    if (line[at] === '#') break;
    words.push(line.slice(at, end));
    at = end;
  }
  return words;
}

function endOfWord(line: string, at: number): number {
  WORD.lastIndex = at;
  return WORD.test(line) ? WORD.lastIndex : -1;
}

function endOfBrackets(line: string, start: number): number {
  let depth = 0;
  for (let at = start; at < line.length; at++) {
    const char = line[at] as string;
    if (char === '"') {
      const end = endOfWord(line, at);
      if (end < 0) return -1;
      at = end - 1;
    } else if (char === '[' || char === '{') depth++;
    else if ((char === ']' || char === '}') && --depth === 0) return at + 1;
  }
  return -1;
}

function clientOf(word: string): string | null {
  if (BARE_CLIENT.test(word)) return word;
  const value = word.startsWith('"') ? valueOf(word) : undefined;
  return typeof value === 'string' ? value : null;
}

function isBare(word: string): boolean {
  return BARE.test(word) && !CONSTANTS.has(word);
}

/** `undefined` for what is no value. */
function valueOf(word: string): Json | undefined {
  if (isBare(word)) return word;
  try {
    return JSON.parse(word) as Json;
  } catch {
    return undefined;
  }
}

/**
 * The text form of a history whose inputs and outputs are plain data as JSON carries it. `parseHistory` gives the
 * same operations back, sorted by call. Times are left out if they are just the numbers of the events.
 *
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` for a malformed operation, a value that JSON does not carry, and a
 *   client that had two operations open at once
 */
export function formatHistory(history: History): string {
  checkOperations(history);
  const lines = linesOf(history);
  const timed = lines.filter(({ time }) => time !== null);
  const ordinal = timed.every(({ time }, at) => time === at);
  return lines.map(({ time, text }) => (ordinal || time === null ? `${text}\n` : `[${time}] ${text}\n`)).join('');
}

interface HistoryLine {
  /** `null` for one that has none: an unknown outcome is no event in time. */
  readonly time: number | null;
  /** Where it stands among the others. */
  readonly order: number;
  readonly text: string;
}

function linesOf(history: History): HistoryLine[] {
  const lines: HistoryLine[] = [];
  for (const [client, operations] of byClient(history)) {
    const name = BARE_CLIENT.test(client) ? client : JSON.stringify(client);
    operations.forEach((operation, at) => {
      const { call, outcome, input } = operation;
      const following = operations[at + 1]?.call ?? Infinity;
      if (outcome !== 'unknown' && operation.return > following) {
        throw invalidArgument(`client ${client} has two operations open at ${following}: text cannot say that`);
      }
      lines.push({ time: call, order: call, text: `${name} invoke ${inputText(input)}` });
      if (outcome === 'unknown') lines.push({ time: null, order: following, text: name + endText(operation) });
      else lines.push({ time: operation.return, order: operation.return, text: name + endText(operation) });
    });
  }
  // The sort is stable, and each client's lines are in order: an end stays before the next call of that client.
  return lines.sort((a, b) => ascending(a.order, b.order));
}

/** Infinities included. */
function ascending(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

/** What each client did, in the order it did it. */
function byClient(history: History): Map<string, Operation[]> {
  const clients = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = clients.get(operation.client);
    if (operations === undefined) clients.set(operation.client, [operation]);
    else operations.push(operation);
  }
  // Of those called at one time the ones that never return come first: the client gave them up to call the next.
  const end = ({ outcome, return: time }: Operation): number => (outcome === 'unknown' ? -Infinity : time);
  for (const operations of clients.values()) {
    operations.sort((a, b) => ascending(a.call, b.call) || ascending(end(a), end(b)));
  }
  return clients;
}

function endText(operation: Operation): string {
  const { outcome, at } = operation;
  const output = outcome === 'ok' && operation.output !== undefined ? ` ${wordText(operation.output)}` : '';
  const place = at === null ? '' : ` ${at.kind === 'read' ? 'read' : ''}@${at.index}`;
  return ` ${outcome}${output}${place}`;
}

function inputText(input: unknown): string {
  if (Array.isArray(input) && typeof input[0] === 'string' && isBare(input[0])) return input.map(wordText).join(' ');
  return jsonText(input);
}

function wordText(value: unknown): string {
  return typeof value === 'string' && isBare(value) ? value : jsonText(value);
}

/** @throws ConsensusError for what JSON does not carry */
export function jsonText(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch (error) {
    throw invalidArgument(`JSON does not carry this value: ${String(error)}`);
  }
  if (text === undefined) throw invalidArgument(`JSON does not carry a ${typeof value}`);
  return text;
}
