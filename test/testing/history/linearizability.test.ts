/** Verdicts on histories that people know, what is said of a violation, and the limits. */

import { describe, expect, it } from 'vitest';
import { shown } from '../../../src/core/shown.js';
import { parseHistory } from '../../../src/testing/history/history-format.js';
import type { History, Operation } from '../../../src/testing/history/history.js';
import {
  assertLinearizable,
  checkLinearizable,
  HistoryRefuted,
  type LinearizabilityOptions,
} from '../../../src/testing/history/linearizability.js';
import {
  counterModel,
  keyValueModel,
  refused,
  registerModel,
  type SequentialModel,
} from '../../../src/testing/history/models.js';
import { histories as known } from './known-histories.js';
import { longHistory, randomFrom, things, type AnyModel, type Thing } from './histories.js';

const read = (text: string): History<any, any> => parseHistory(text);

function verdict(text: string, model: AnyModel, options: LinearizabilityOptions = {}): string {
  return checkLinearizable(read(text), model, options).kind;
}

describe('histories that people know', () => {
  it.each(known)('$name is a $verdict', ({ text, model, verdict: expected }) => {
    expect(verdict(text, model)).toBe(expected);
  });

  it('need every one of their operations that ended: without the last the violations are gone', () => {
    const violations = known.filter((history) => history.verdict === 'violation');
    expect(violations.length).toBeGreaterThan(8);
    for (const { text, model } of violations) {
      const history = read(text);
      const found = checkLinearizable(history, model);
      const blamed = found.kind === 'violation' ? found.operation : null;
      const weaker = history.map(
        (operation): Operation =>
          operation === blamed ? { ...operation, outcome: 'unknown', return: Infinity } : operation,
      );
      expect(checkLinearizable(weaker, model).kind).toBe('linearizable');
    }
  });
});

describe('a violation', () => {
  const text = `
    a invoke put x 1
    a ok
    b invoke put x 2
    c invoke get x
    c ok 2
    d invoke get x
    d ok 1
    b ok
    e invoke put y 5
    e ok`;

  it('names the part, the operation that fits nowhere, and how far the story goes without it', () => {
    const found = checkLinearizable(read(text), keyValueModel());
    expect(found).toMatchObject({ kind: 'violation', key: 'x', operation: { client: 'd', output: 1 }, state: 2 });
    expect(found.kind === 'violation' && found.prefix.map(({ client }) => client)).toEqual(['a', 'b', 'c']);
    expect(found.kind === 'violation' && found.next.map(({ client }) => client)).toEqual(['d']);
  });

  it('is told in words', () => {
    const found = checkLinearizable(read(text), keyValueModel());
    expect(found.kind === 'violation' && found.explanation.split('\n')).toEqual([
      'not linearizable as a key-value (key x): this fits nowhere',
      '    d: get "x" → 1 (5…6)',
      '  the order that explains most before it ends',
      '    a: put "x" 1 (0…1)',
      '    b: put "x" 2 (2…7)',
      '    c: get "x" → 2 (3…4)',
      '  the state is then 2, and next could only come',
      '    d: get "x" → 1 (5…6)',
    ]);
  });

  it('is told in few words however long the history', () => {
    const [thing] = things as [Thing];
    const history = longHistory(thing, randomFrom(1), { clients: 3, operations: 200 });
    const bad: Operation[] = [
      ...history,
      { client: 'z', input: ['read'], output: 77, call: 1e6, return: 1e6, at: null, outcome: 'ok' },
    ];
    const found = checkLinearizable(bad, thing.model);
    expect(found.kind === 'violation' && found.explanation.split('\n').length).toBeLessThan(16);
    expect(found.kind === 'violation' && found.explanation).toContain('… 1');
  });
});

describe('a linearizable history', () => {
  it('is given with an order of each part, without what need not have happened', () => {
    const found = checkLinearizable(
      read(`
        a invoke put x 1
        b invoke put y 2
        b unknown
        c invoke get x
        a ok
        c ok null
        d invoke put x 9
        d unknown
        e invoke get x
        e ok 9
        f invoke put x 3
        f fail`),
      keyValueModel(),
    );
    const parts = found.kind === 'linearizable' ? found.parts : [];
    expect(parts.map(({ key, order }) => [key, order.map(({ client }) => client).join('')])).toEqual([
      ['y', ''],
      ['x', 'cade'],
    ]);
  });

  it('may be empty, or all of it lost', () => {
    expect(checkLinearizable([], registerModel())).toEqual({ kind: 'linearizable', parts: [], steps: 0 });
    expect(verdict('a invoke write 1\nb invoke read', registerModel())).toBe('linearizable');
  });
});

/** `count` writers at once, none of which anybody saw, and then a value that nobody wrote: all orders are in vain. */
function hard(count: number, outcome = 'ok'): string {
  const clients = Array.from({ length: count }, (_, at) => `c${at}`);
  const calls = clients.map((client, at) => `${client} invoke write ${at}\n`).join('');
  return `${calls}${clients.map((client) => `${client} ${outcome}\n`).join('')}r invoke read\nr ok none\n`;
}

describe('limits', () => {
  it('end a search that is too hard as undecided', () => {
    const found = checkLinearizable(read(hard(20)), registerModel(), { steps: 10_000 });
    expect(found).toEqual({ kind: 'undecided', limit: 'steps', key: '', steps: 10_000 });
  });

  it('count all parts together, the small ones first', () => {
    const parts = `k invoke put k 1\nk ok\n${hard(20).replaceAll('write', 'put x').replace('read', 'get x')}`;
    const found = checkLinearizable(read(parts), keyValueModel(), { steps: 10_000 });
    expect(found).toEqual({ kind: 'undecided', limit: 'steps', key: 'x', steps: 10_000 });
  });

  it('are looked at while the clock runs', () => {
    let now = 5;
    const found = checkLinearizable(read(hard(20)), registerModel(), { timeout: 100, now: () => now++ });
    expect(found).toMatchObject({ kind: 'undecided', limit: 'time' });
    // Before the first step, then every 64 steps: the look that finds more than 100 gone is the 101st.
    expect(found.steps).toBe(100 * 64);
  });

  it('bound what is remembered', () => {
    const found = checkLinearizable(read(hard(20)), registerModel(), { bytes: 200_000 });
    expect(found).toMatchObject({ kind: 'undecided', limit: 'memory' });
    // The same history within reach of 2^30 bytes, were there time.
    expect(verdict(hard(20), registerModel(), { bytes: 2e6, steps: 20_000 })).toBe('undecided');
    expect(verdict(hard(9), registerModel(), { bytes: 2e6, steps: 20_000 })).toBe('violation');
  });

  it('are no pass: assertLinearizable throws', () => {
    const check = (options: LinearizabilityOptions): void =>
      assertLinearizable(read(hard(8)), registerModel(), options);
    expect(() => check({ steps: 100 })).toThrow(
      'nothing is known of the history: its limit of steps was reached after 100 steps',
    );
    expect(() => check({})).toThrow('not linearizable as a register: this fits nowhere');
    expect(() => check({ steps: 100 })).toThrow(HistoryRefuted);
    assertLinearizable(read('a invoke write 1\na ok'), registerModel());
  });

  it.each([{ timeout: -1 }, { steps: Number.NaN }, { bytes: '5' as unknown as number }])('refuses %o', (options) => {
    const [[name, value]] = Object.entries(options) as [[string, unknown]];
    expect(() => checkLinearizable([], registerModel(), options)).toThrow(
      `${name} is a number from 0 on, got ${shown(value)}`,
    );
  });
});

describe('the work it takes', () => {
  it.each(things)('is a few dozen steps an operation for ten clients on one $model.name', (thing) => {
    const operations = 5000;
    const history = longHistory(thing, randomFrom(7), { clients: 10, operations });
    const found = checkLinearizable(history, thing.model, { steps: 40 * operations });
    expect(found.kind).toBe('linearizable');
    // It is not that there was nothing to decide: without order of its own each operation would take one step.
    expect(found.steps).toBeGreaterThan(2 * operations);
  });

  it.each(things)('stays small with one of a hundred outcomes unknown, for $model.name', (thing) => {
    const history = longHistory(thing, randomFrom(7), { clients: 5, operations: 400, unknownOf100: 1 });
    expect(history.some(({ outcome }) => outcome === 'unknown')).toBe(true);
    expect(checkLinearizable(history, thing.model, { steps: 100_000 }).kind).toBe('linearizable');
  });

  it('counts configurations, not orders: writers at once cost 2^n, not n!', () => {
    // Twelve writers have 479 million orders.
    expect(verdict(hard(12), registerModel(), { steps: 12 * 12 * 2 ** 12 })).toBe('violation');
  });

  it('of lost writes counts their kinds, not themselves', () => {
    // Forty lost writes of one value are one write, or none.
    const lost = hard(40, 'unknown').replaceAll(/write \d+/g, 'write 1');
    expect(verdict(lost, registerModel(), { steps: 500 })).toBe('violation');
    // That they are alike is a matter of all they ask.
    expect(verdict(hard(40, 'unknown'), registerModel(), { steps: 500 })).toBe('undecided');
  });

  it('leaves out what was lost and would have changed nothing', () => {
    // Forty lost attempts, all different, to replace a value that never was.
    const lost = hard(40, 'unknown').replaceAll(/write (\d+)/g, 'cas none $1');
    expect(verdict(lost, registerModel(), { steps: 500 })).toBe('violation');
  });

  it('does not try reads in all orders', () => {
    const readers = Array.from({ length: 40 }, (_, at) => `r${at}`);
    const calls = readers.map((reader) => `${reader} invoke read\n`).join('');
    const ends = readers.map((reader) => `${reader} ok null\n`).join('');
    expect(verdict(`${calls}${ends}x invoke read\nx ok 1\n`, registerModel(), { steps: 2000 })).toBe('violation');
  });

  it('holds windows of operations as long as it takes', () => {
    // One call stays open over thousands of others; two words of bits and more.
    const [, counter] = things as [Thing, Thing];
    const inner = longHistory(counter, randomFrom(3), { clients: 2, operations: 2000 });
    const history: Operation[] = inner.map((operation) => ({ ...operation, at: null }));
    history.push({
      client: 'long',
      input: ['add', 0],
      output: undefined,
      call: -1,
      return: 1e9,
      at: null,
      outcome: 'ok',
    });
    expect(checkLinearizable(history, counter.model, { steps: 40_000 }).kind).toBe('linearizable');
    const bad: Operation[] = [
      ...history,
      { client: 'late', input: ['read'], output: 0.5, call: 1e9, return: 1e9, at: null, outcome: 'ok' },
    ];
    expect(checkLinearizable(bad, counter.model, { steps: 400_000 }).kind).toBe('violation');
  });
});

describe('models of users', () => {
  it('may have states of any kind, told apart by encode', () => {
    class Stack {
      readonly items: readonly number[];
      constructor(items: readonly number[]) {
        this.items = items;
      }
    }
    const model: SequentialModel<Stack, number | 'pop', number | undefined> = {
      name: 'stack',
      initial: new Stack([]),
      step(state, input, output) {
        if (input !== 'pop') return new Stack([...state.items, input]);
        return Object.is(state.items.at(-1), output) ? new Stack(state.items.slice(0, -1)) : refused;
      },
      encode: ({ items }) => items.join(),
    };
    const stacks = (output: number): History<number | 'pop', number | undefined> => [
      { client: 'a', input: 1, output: undefined, call: 0, return: 1, at: null, outcome: 'ok' },
      { client: 'b', input: 2, output: undefined, call: 2, return: 3, at: null, outcome: 'ok' },
      { client: 'a', input: 'pop', output, call: 4, return: 5, at: null, outcome: 'ok' },
    ];
    expect(checkLinearizable(stacks(2), model).kind).toBe('linearizable');
    expect(checkLinearizable(stacks(1), model).kind).toBe('violation');
    const { encode: _, ...without } = model;
    expect(() => checkLinearizable(stacks(2), without)).toThrow('an object of a class is no plain data');
  });

  it('that call a write a read are found out', () => {
    const model = { ...registerModel(), isRead: () => true };
    expect(() => verdict('a invoke write 1\na ok', model)).toThrow(
      'the register model calls write 1 a read, and it changes the state',
    );
  });

  it('that throw are heard', () => {
    expect(() => verdict('a invoke jump', registerModel())).not.toThrow();
    expect(() => verdict('a invoke jump\na ok', registerModel())).toThrow(
      'the register model has no operation ["jump"]; it has read, write, cas',
    );
    expect(() => verdict('a invoke add x\na ok', counterModel())).toThrow('the counter adds numbers, got "x"');
  });
});

describe('bad input', () => {
  const good: Operation = { client: 'a', input: ['read'], output: null, call: 0, return: 1, at: null, outcome: 'ok' };

  it.each<[object, string]>([
    [{ client: 5 }, 'a client is named by a string, got number'],
    [{ outcome: 'done' }, 'an outcome is ok, fail or unknown, got "done"'],
    [{ call: Number.NaN }, 'call is a finite number, got NaN'],
    [{ call: -Infinity }, 'call is a finite number, got -Infinity'],
    [{ call: 2 }, 'return is a finite number not below call, got 2 and 1'],
    [{ return: Infinity }, 'return is a finite number not below call, got 0 and Infinity'],
    [{ return: '3' }, 'return is a finite number not below call, got 0 and "3"'],
    [{ outcome: 'unknown' }, 'an unknown operation returns at Infinity, got 1'],
    [{ outcome: 'fail', at: { kind: 'entry', index: 3 } }, 'what failed has no position in the log'],
    [{ at: { kind: 'entry', index: 0 } }, 'the index of an entry is a whole number from 1 on, got 0'],
    [{ at: { kind: 'read', index: 0.5 } }, 'the index of a read is a whole number from 0 on, got 0.5'],
    [{ at: { kind: 'slot', index: 1 } }, 'a position is an entry or a read, got "slot"'],
  ])('%o is refused with its place', (change, reason) => {
    const history = [good, { ...good, ...change } as Operation];
    expect(() => checkLinearizable(history, registerModel() as AnyModel)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: `operation 1 of the history: ${reason}` }),
    );
  });
});
