/** Histories as text and as JSON: what is written is read again, and what cannot be read is refused with its place. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHistory, HistorySyntaxError, parseHistory } from '../../../src/testing/history/history-format.js';
import { formatHistoryJson, parseHistoryJson } from '../../../src/testing/history/history-json.js';
import {
  historyFromEvents,
  type History,
  type HistoryEvent,
  type Operation,
} from '../../../src/testing/history/history.js';

const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
const words = fc.oneof(
  fc.constantFrom('x', 'true', 'null', '1', '-', '', 'a b', '@3', 'read@3', '#', '"', '[', 'né', 'ok', 'a-1', '/k/é.x'),
  fc.string(),
);
const values = fc.oneof(words, fc.jsonValue()).map(plain);
const inputs = fc.oneof(values, fc.array(values), fc.tuple(fc.constantFrom('read', 'cas', 'ok'), values, values));
const clients = fc.constantFrom('a', 'n1', '3', '', 'ok', 'two words', '#', '[1]', 'null', 'C"');
const positions = fc.option(fc.record({ kind: fc.constantFrom('entry', 'read'), index: fc.integer({ min: 1 }) }));

/** Any run of events that can have happened, with times or without. */
const runs = fc
  .record({
    moves: fc.array(
      fc.record({
        client: clients,
        input: inputs,
        output: fc.option(values, { nil: undefined }),
        end: fc.constantFrom('ok', 'ok', 'fail', 'unknown'),
        at: positions,
        pause: fc.constantFrom(0, 0, 1, 0.25, 1e21),
      }),
    ),
    start: fc.option(fc.constantFrom(0, -3.5, 1e-7)),
  })
  .map(({ moves, start }) => {
    let time = start;
    const open = new Set<string>();
    const events: HistoryEvent[] = [];
    for (const { client, input, output, end, at, pause } of moves) {
      if (time !== null) time += pause;
      const stamp = time === null ? {} : { time };
      if (!open.has(client)) events.push({ kind: 'invoke', client, input, ...stamp });
      else if (end === 'ok') events.push({ kind: 'ok', client, output, at: at as Operation['at'], ...stamp });
      else if (end === 'fail') events.push({ kind: 'fail', client, ...stamp });
      else events.push({ kind: 'unknown', client, at: at as Operation['at'] });
      if (!open.delete(client)) open.add(client);
    }
    return historyFromEvents(events);
  });

/** Of operations called at one time the order says nothing. */
const sorted = (history: History): string[] =>
  history.map((operation) => JSON.stringify({ ...operation, until: String(operation.return) })).sort();

describe('text', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(runs, (history) => {
        expect(sorted(parseHistory(formatHistory(history)))).toEqual(sorted(history));
      }),
      { numRuns: 2000 },
    );
  });

  it('gives back the same text too, comments, blank lines and spaces aside', () => {
    const text = [
      'n1 invoke write 1',
      'n2 invoke cas x "a b" {"deep":[1,{"a":"]"}]}',
      'n1 ok @7',
      '"my client" invoke [1,"x"]',
      'n2 unknown read@6',
      'n2 invoke "quoted verb"',
      '"my client" ok "true"',
      'n2 fail',
      '3 invoke read',
      '3 ok -1.5e+300 read@0',
    ];
    const spaced = text
      .map((line) => `  ${line.replace(/ (?=invoke|ok|fail|unknown)/, '\t ')}  # as seen\r\n\n# no more`)
      .join('\n');
    expect(formatHistory(parseHistory(spaced))).toBe(text.map((line) => `${line}\n`).join(''));
  });

  it('reads words as what they look like', () => {
    const [first, second, third] = parseHistory(
      'a invoke cas key "1" 1 true "true" null [] word\na ok\nb invoke {"set": "a # b"}\nb ok null\nc invoke 5',
    );
    expect(first).toMatchObject({ input: ['cas', 'key', '1', 1, true, 'true', null, [], 'word'], output: undefined });
    expect(second).toMatchObject({ input: { set: 'a # b' }, output: null });
    expect(third).toMatchObject({ input: 5, outcome: 'unknown' });
  });

  it('keeps times, equal ones too, and leaves out mere numbers', () => {
    const timed = '[0.5] a invoke read\n[0.5] a ok 1\n[0.5] b invoke read\nb unknown\n';
    expect(parseHistory(timed)).toMatchObject([
      { call: 0.5, return: 0.5 },
      { call: 0.5, return: Infinity },
    ]);
    expect(formatHistory(parseHistory(timed))).toBe(timed);
    expect(formatHistory(parseHistory('[0] a invoke read\n[1] a ok'))).toBe('a invoke read\na ok\n');
  });

  it.each([
    ['a invoke read\na invoke read', 2, 'client a calls with an operation still open'],
    ['a ok 1', 1, 'client a has no operation open'],
    ['# one\n\na', 3, 'after the client comes invoke, ok, fail, unknown, got nothing'],
    ['a does x', 1, 'after the client comes invoke, ok, fail, unknown, got does'],
    ['{"a":1} invoke read', 1, 'a line starts with a client, got {"a":1}'],
    ['[5]', 1, 'a line starts with a client, got nothing'],
    ['@a invoke read', 1, 'a line starts with a client, got @a'],
    ['a invoke', 1, 'after invoke comes what was asked'],
    ['a invoke write 1x', 1, '1x is neither a value of JSON nor a word'],
    ['a invoke 1 2', 1, 'arguments follow a verb that is a bare word, got 1'],
    ['a invoke write [1, 2', 1, '[1, 2 does not end'],
    ['a invoke write "x', 1, '"x does not end'],
    ['a invoke write [1,]', 1, '[1,] is neither a value of JSON nor a word'],
    ['a invoke write "x"y', 1, 'a space is missing after "x"'],
    ['a invoke write {}[]', 1, 'a space is missing after {}'],
    ['a invoke read\na ok 1 2', 2, 'one output, got 1 2; a list is written [1,2]'],
    ['a invoke read\na ok 1 @2 3', 2, 'one output, got 1 @2 3; a list is written [1,2]'],
    ['a invoke read\na ok 1x', 2, '1x is neither a value of JSON nor a word'],
    ['a invoke read\na ok @0', 2, 'the index of an entry is a whole number from 1 on, got 0'],
    ['a invoke read\na ok 1 @x', 2, 'one output, got 1 @x; a list is written [1,2]'],
    ['a invoke read\na fail 1', 2, 'nothing may follow fail, got 1'],
    ['a invoke read\na unknown 1', 2, 'an unknown outcome has no output, got 1'],
    ['[2] a invoke read\n[1] a ok', 2, 'time runs backwards, from 2 to 1'],
    ['[2] a invoke read\na ok', 2, 'either all events carry a time or none does'],
    ['[2x] a invoke read', 1, 'a time is a finite number, got NaN'],
  ])('%j is refused at line %i', (text, line, reason) => {
    expect(() => parseHistory(text)).toThrow(
      expect.objectContaining({
        name: 'HistorySyntaxError',
        line,
        path: null,
        reason,
        message: `line ${line}: ${reason}`,
      }),
    );
  });

  it('of any kind is read or refused, never anything else', () => {
    const lines = fc
      .array(fc.oneof(words, fc.constantFrom('a', 'invoke', 'ok', '[1]', '@1', '{"a":', '\n')))
      .map((line) => line.join(' '));
    let read = 0;
    fc.assert(
      fc.property(lines, (text) => {
        try {
          parseHistory(`a invoke ${text}`);
          read++;
        } catch (error) {
          expect(error).toBeInstanceOf(HistorySyntaxError);
        }
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(20);
  });

  it('cannot say what a client did twice at once, nor what is no data', () => {
    const operation: Operation = { client: 'a', input: 1, call: 0, return: 5, outcome: 'fail', at: null };
    expect(() => formatHistory([operation, { ...operation, call: 3 }])).toThrow(
      'client a has two operations open at 3',
    );
    expect(() => formatHistory([{ ...operation, input: () => 1 }])).toThrow('JSON does not carry a function');
    expect(() => formatHistoryJson([{ ...operation, input: 5n }])).toThrow('JSON does not carry this value');
    expect(() => formatHistory([{ ...operation, call: Number.NaN }])).toThrow('operation 0 of the history');
    expect(parseHistoryJson(formatHistoryJson([operation, { ...operation, call: 3 }]))).toHaveLength(2);
  });
});

describe('JSON', () => {
  it('gives back what was written, in its order', () => {
    fc.assert(
      fc.property(runs, (history) => {
        expect(parseHistoryJson(formatHistoryJson(history))).toEqual(history);
      }),
    );
  });

  it('has one operation a line', () => {
    const history = parseHistory('a invoke cas x 1\nb invoke read\na ok true @3\nb unknown');
    expect(formatHistoryJson(history)).toBe(
      [
        '[',
        '{"client":"a","input":["cas","x",1],"outcome":"ok","output":true,"call":0,"return":2,"at":{"kind":"entry","index":3}},',
        '{"client":"b","input":["read"],"outcome":"unknown","call":1}',
        ']\n',
      ].join('\n'),
    );
    expect(formatHistoryJson([])).toBe('[]\n');
  });

  it('may tell events too', () => {
    const events = [
      { kind: 'invoke', client: 'a', input: ['read'] },
      { kind: 'invoke', client: 'b', input: ['write', 1] },
      { kind: 'ok', client: 'a', output: 1, at: { kind: 'read', index: 1 } },
      { kind: 'unknown', client: 'b', at: { kind: 'entry', index: 1 } },
      { kind: 'invoke', client: 'b', input: ['read'] },
      { kind: 'fail', client: 'b' },
    ];
    expect(parseHistoryJson(JSON.stringify(events))).toEqual(historyFromEvents(events as HistoryEvent[]));
    const timed = [
      { kind: 'invoke', client: 'a', input: 0, time: 2.5 },
      { kind: 'fail', client: 'a', time: 3 },
    ];
    expect(parseHistoryJson(JSON.stringify(timed))).toMatchObject([{ call: 2.5, return: 3 }]);
  });

  const good = '{"client":"a","input":1,"outcome":"ok","call":0,"return":1}';
  const change = (name: string, value: unknown): string => JSON.stringify([{ ...JSON.parse(good), [name]: value }]);
  const events = (...list: object[]): string => JSON.stringify([{ kind: 'invoke', client: 'a', input: 1 }, ...list]);

  it.each([
    ['{"a":1}', '$', 'a history is a list, got object'],
    [`[${good},5]`, '$[1]', 'an object, got 5'],
    [change('client', 1), '$[0].client', 'a string'],
    [change('outcome', 'maybe'), '$[0]', 'an outcome is ok, fail or unknown, got "maybe"'],
    [change('call', '0'), '$[0]', 'call is a finite number, got "0"'],
    [change('call', 2), '$[0]', 'return is a finite number not below call, got 2 and 1'],
    [change('outcome', 'unknown'), '$[0]', 'an unknown operation returns at Infinity, got 1'],
    [change('index', 3), '$[0].index', 'none of client, input, output, outcome, call, return, at'],
    [change('at', 3), '$[0].at', 'an object, got 3'],
    [change('at', { kind: 'entry', index: 0 }), '$[0].at', 'the index of an entry is a whole number from 1 on, got 0'],
    ['[{"client":"a","outcome":"ok","call":0,"return":1}]', '$[0].input', 'is missing'],
    [
      '[{"client":"a","input":1,"outcome":"fail","output":3,"call":0,"return":1}]',
      '$[0].output',
      'only what ended ok has an output',
    ],
    [events({ kind: 'done', client: 'a' }), '$[1].kind', 'one of invoke, ok, fail, unknown, got "done"'],
    [events({ kind: 'toString', client: 'a' }), '$[1].kind', 'one of invoke, ok, fail, unknown, got "toString"'],
    [events({ kind: 'ok' }), '$[1].client', 'a string'],
    [events({ kind: 'ok', client: 'b' }), '$[1]', 'client b has no operation open'],
    [events({ kind: 'fail', client: 'a', output: 1 }), '$[1].output', 'no field of the event fail'],
    [events({ kind: 'ok', client: 'a', call: 1 }), '$[1].call', 'none of kind, client, input, output, at, time'],
    [events({ kind: 'ok', client: 'a', time: 1 }), '$[1]', 'either all events carry a time or none does'],
    [events({ kind: 'ok', client: 'a', time: '1' }), '$[1].time', 'a number'],
    ['[{"kind":"invoke","client":"a"}]', '$[0].input', 'is missing'],
  ])('%s is refused at %s', (text, path, reason) => {
    expect(() => parseHistoryJson(text)).toThrow(
      expect.objectContaining({ name: 'HistorySyntaxError', path, line: null, reason, message: `${path}: ${reason}` }),
    );
  });

  it('that is none is refused', () => {
    expect(() => parseHistoryJson('[{"client"')).toThrow(HistorySyntaxError);
    expect(() => parseHistoryJson('')).toThrow(expect.objectContaining({ path: '$' }));
  });
});
