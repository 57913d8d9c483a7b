/** The order of the log as the order that explains all, against the checker that needs no log. */

import { describe, expect, it } from 'vitest';
import { parseHistory } from '../../../src/testing/history/history-format.js';
import type { History, Operation } from '../../../src/testing/history/history.js';
import { checkLinearizable } from '../../../src/testing/history/linearizability.js';
import {
  assertLogOrder,
  checkLogOrder,
  type LogEffect,
} from '../../../src/testing/history/linearizability-log-order.js';
import { counterModel, keyValueModel, registerModel } from '../../../src/testing/history/models.js';
import { randomFrom, things, type AnyModel, type Random, type Thing } from './histories.js';

const check = (text: string, model: AnyModel = registerModel(0)): ReturnType<typeof checkLogOrder> =>
  checkLogOrder(parseHistory(text), model);

const clients = (found: ReturnType<typeof checkLogOrder>): string =>
  found.kind === 'violation' ? found.operations.map(({ client }) => client).join('') : '';

describe('a history that its log explains', () => {
  it.each([
    ['nothing at all', ''],
    [
      'writes at once in the order of the log',
      'a invoke write 1\nb invoke write 2\na ok @9\nb ok @4\nc invoke read\nc ok 1 read@9',
    ],
    ['a read of a state that nobody had seen yet', 'a invoke write 1\nb invoke read\nb ok 1 read@3\na ok @3'],
    ['reads that overlap, in any order', 'b invoke read\nc invoke read\nb ok 0 read@5\nc ok 0 read@2'],
    ['a lost write that is known to stand in the log', 'a invoke write 1\na unknown @3\nb invoke read\nb ok 1 read@7'],
    ['a read through the log', 'a invoke write 1\na ok @3\nb invoke read\nb ok 1 @4'],
    [
      'what failed, and what nobody knows of',
      'a invoke write 1\na fail\nb invoke write 2\nb unknown\nc invoke read\nc ok 0 read@0',
    ],
  ])('%s', (_, text) => {
    expect(check(text)).toEqual({ kind: 'linearizable' });
  });
});

describe('a violation names the rule and the operations', () => {
  it.each([
    [
      'history/real-time-order',
      'ab',
      'a write before one that had come back',
      'a invoke write 1\na ok @5\nb invoke write 2\nb ok @4',
    ],
    ['history/real-time-order', 'ab', 'a stale read', 'a invoke write 1\na ok @5\nb invoke read\nb ok 0 read@4'],
    [
      'history/real-time-order',
      'ab',
      'reads of one client that go back',
      'a invoke read\na ok 0 read@4\nb invoke read\nb ok 0 read@3',
    ],
    [
      'history/real-time-order',
      'ab',
      'a write seen before it was called',
      'a invoke read\na ok 0 read@4\nb invoke write 0\nb ok @4',
    ],
    ['history/real-time-order', 'ab', 'a lost write too', 'a invoke write 1\na ok @5\nb invoke write 2\nb unknown @4'],
    [
      'history/real-time-order',
      'bd',
      'not the last that came back but the highest',
      'a invoke write 1\nb invoke write 2\nb ok @5\na ok @4\nd invoke read\nd ok 1 read@4',
    ],
    ['history/explained-by-log', 'a', 'a phantom', 'a invoke read\na ok 7 read@4'],
    [
      'history/explained-by-log',
      'ab',
      'a value that was overwritten',
      'a invoke write 1\nb invoke read\nb ok 0 read@5\na ok @5',
    ],
    ['history/explained-by-log', 'c', 'a read that writes', 'c invoke write 5\nc ok read@5'],
    [
      'history/one-index-per-operation',
      'ab',
      'two at one place',
      'a invoke write 1\na ok @5\nb invoke write 2\nb ok @5',
    ],
    [
      'history/one-index-per-operation',
      'ab',
      'a lost one at the place of another',
      'a invoke write 1\na ok @5\nb invoke write 2\nb unknown @5',
    ],
  ])('%s of %s: %s', (rule, names, _, text) => {
    const found = check(text);
    expect(found).toMatchObject({ kind: 'violation', rule });
    expect(clients(found)).toBe(names);
  });

  it('in words', () => {
    const text = 'a invoke put x 1\na ok @5\nb invoke get x\nb ok null read@4';
    const explanation =
      'history/real-time-order: a: put "x" 1 @5 (0…1) and b: get "x" → null read@4 (2…3) ' +
      'are in the wrong order: the first came back before the second was called';
    expect(check(text, keyValueModel())).toMatchObject({ explanation });
    expect(() => assertLogOrder(parseHistory(text), keyValueModel() as AnyModel)).toThrow(explanation);
    const replayed = check('a invoke write 1\na ok @5\nb invoke read\nb ok 0 read@5');
    expect(replayed).toMatchObject({
      explanation:
        'history/explained-by-log: a: write 1 @5 (0…1) and b: read → 0 read@5 (2…3) ' +
        ': the latter cannot have ended so: the log leads to the state 1',
    });
  });
});

describe('what is not known', () => {
  it('proves nothing: an end without a place', () => {
    const found = check('a invoke write 1\na ok @3\nb invoke read\nb ok 1');
    expect(found).toMatchObject({ kind: 'undecided', operation: { client: 'b' } });
    expect(() => assertLogOrder(parseHistory('b invoke read\nb ok 0'), registerModel(0) as AnyModel)).toThrow(
      'not proved: b: read → 0 (0…1) came back, and its place in the log is not known',
    );
  });

  it('may explain what else nothing does: a lost write without a place', () => {
    const text = 'a invoke write 1\na unknown\nb invoke read\nb ok 1 read@7';
    expect(check(text)).toMatchObject({ kind: 'undecided', operation: { client: 'a' } });
    // It explains nothing that went wrong with the order.
    const order = `${text}\nb invoke read\nb ok 1 read@6`;
    expect(check(order)).toMatchObject({ kind: 'violation', rule: 'history/real-time-order' });
  });
});

describe('with everything that took effect', () => {
  const history = parseHistory(
    'a invoke add 1\na ok 1 @2\nb invoke add 2\nb unknown\nc invoke add 4\nc fail\nd invoke read\nd ok 3 read@9\ne invoke add 8\ne unknown @12',
  );
  const [a, b, c, d, e] = history as unknown as [Operation, Operation, Operation, Operation, Operation];
  const verdict = (...effects: LogEffect[]): unknown => {
    const found = checkLogOrder(history, counterModel() as AnyModel, { effects });
    return found.kind === 'violation' ? found.explanation : found.kind;
  };
  const at = (index: number, operation: Operation): LogEffect => ({ index, operation });

  it('the places of lost operations are known', () => {
    expect(verdict(at(2, a), at(5, b), at(12, e))).toBe('linearizable');
  });

  it('what is not among them had no effect', () => {
    expect(verdict(at(2, a), at(12, e))).toContain(
      'history/explained-by-log: a: add 1 → 1 @2 (0…1) and d: read → 3 read@9',
    );
  });

  it('nothing takes effect twice, nor elsewhere than it says, nor after it failed', () => {
    expect(verdict(at(2, a), at(5, b), at(7, b), at(12, e))).toBe(
      'history/one-index-per-operation: b: add 2 → ? (2…) took effect at 5 and 7',
    );
    expect(verdict(at(3, a), at(5, b), at(12, e))).toBe(
      'history/one-index-per-operation: a: add 1 → 1 @2 (0…1) took effect at 3, not where it says',
    );
    expect(verdict(at(2, a), at(5, b), at(7, c), at(12, e))).toBe(
      'history/one-index-per-operation: c: add 4 → ?, failed (3…4) took effect at 7 all the same',
    );
    expect(verdict(at(2, a), at(5, b), at(9, d), at(12, e))).toContain('took effect at 9, not where it says');
    expect(verdict(at(2, a), at(2, b), at(12, e))).toContain(
      'history/one-index-per-operation: a: add 1 → 1 @2 (0…1) and b: add 2 → ? @2 (2…)',
    );
  });

  it('what came back is there', () => {
    expect(verdict(at(5, b), at(12, e))).toBe('history/acknowledged-is-kept: a: add 1 → 1 @2 (0…1) is not in the log');
    expect(verdict(at(2, a), at(5, b))).toBe('history/acknowledged-is-kept: e: add 8 → ? @12 (7…) is not in the log');
    const placeless = parseHistory('a invoke add 1\na ok 1');
    const [only] = placeless as [Operation];
    const check = (effects: LogEffect[]): unknown => checkLogOrder(placeless, counterModel() as AnyModel, { effects });
    expect(check([])).toMatchObject({ kind: 'violation', rule: 'history/acknowledged-is-kept' });
    expect(check([at(4, only)])).toEqual({ kind: 'linearizable' });
  });

  it('bad effects are refused', () => {
    expect(() => verdict({ index: 1, operation: { ...a } })).toThrow(
      'the effect at 1 is of no operation of the history',
    );
    expect(() => verdict(at(0, a))).toThrow('an effect: the index of an entry is a whole number from 1 on, got 0');
    expect(() => checkLogOrder([{ ...a, call: 9 }], counterModel() as AnyModel)).toThrow('operation 0 of the history');
  });
});

/** A history made by a log, in which every operation knows its place; unless it is honest, one is told wrongly. */
function logged(thing: Thing, random: Random, honest: boolean): History<any, any> {
  const machine = thing.fresh();
  const count = 1 + random(8);
  const planned = Array.from({ length: count }, (_, number) => {
    const effect = random(40);
    const input = thing.input(random);
    return { client: `c${number}`, input, effect, call: effect - random(12), return: effect + random(12) };
  }).sort((a, b) => a.effect - b.effect);
  let index = 0;
  const history = planned.map(({ client, input, call, return: end }): Operation<any, any> => {
    const shared = { client, input, call };
    const isRead = input[0] === 'read' || input[0] === 'get';
    if (!isRead) index += 1 + random(2);
    const at = isRead ? ({ kind: 'read', index } as const) : ({ kind: 'entry', index } as const);
    const output = machine.run(input);
    if (!isRead && random(8) === 0) return { ...shared, at, outcome: 'unknown', return: Infinity };
    return { ...shared, at, outcome: 'ok', output, return: end };
  });
  if (honest) return history;
  const [victim, other] = [random(count), random(count)];
  const place = (history[other] as Operation).at;
  const wrong = random(3);
  return history.map((operation, at) => {
    if (at !== victim || operation.outcome !== 'ok') return operation;
    if (wrong === 0) return { ...operation, output: thing.output(random, operation.input) };
    if (wrong === 1) return { ...operation, call: operation.call + 30, return: operation.return + 30 };
    return { ...operation, at: operation.at?.kind === place?.kind ? place : operation.at };
  });
}

describe.each(things)('of the $model.name model', (thing) => {
  const { model } = thing;

  it('a log made right explains, and what a log explains is linearizable', () => {
    const random = randomFrom(11);
    const seen = { linearizable: 0, violation: 0, undecided: 0, stricter: 0 };
    const wrong: History[] = [];
    for (let run = 0; run < 3000; run++) {
      const honest = run % 2 === 0;
      const history = logged(thing, random, honest);
      const found = checkLogOrder(history, model).kind;
      const general = checkLinearizable(history, model).kind;
      seen[found]++;
      if (honest && found !== 'linearizable') wrong.push(history);
      if (found === 'linearizable' && general !== 'linearizable') wrong.push(history);
      if (found === 'violation' && general === 'linearizable') seen.stricter++;
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(seen.undecided).toBe(0);
    expect(seen.linearizable).toBeGreaterThan(1500);
    expect(seen.violation).toBeGreaterThan(300);
    // What is not in the order of the log may be explained by another order: this check says more.
    expect(seen.stricter).toBeGreaterThan(10);
  });
});

/** By definition: every pair in real time, every output by the log. */
function explainedByLog(history: History, model: AnyModel): boolean {
  const placed = history.filter((operation) => operation.at !== null);
  const indexOf = (operation: Operation): number => operation.at?.index ?? 0;
  const isEntry = (operation: Operation): boolean => operation.at?.kind === 'entry';
  for (const a of placed) {
    for (const b of placed) {
      if (a === b) continue;
      if (isEntry(a) && isEntry(b) && indexOf(a) === indexOf(b)) return false;
      if (a.return < b.call && (isEntry(b) ? indexOf(a) >= indexOf(b) : indexOf(a) > indexOf(b))) return false;
    }
  }
  const order = placed.slice().sort((a, b) => indexOf(a) - indexOf(b) || Number(isEntry(b)) - Number(isEntry(a)));
  return (
    checkLinearizable(
      order.map(
        (operation, at) =>
          ({ ...operation, call: at, ...(operation.outcome === 'ok' ? { return: at } : {}) }) as Operation,
      ),
      model,
    ).kind === 'linearizable'
  );
}

describe('against the definition', () => {
  it.each(things)('says the same of thousands of logs of one $model.name', (thing) => {
    const random = randomFrom(23);
    const wrong: History[] = [];
    let violations = 0;
    for (let run = 0; run < 3000; run++) {
      // Outcomes that are unknown may or may not count for the checker that knows no log, so none here.
      const history = logged(thing, random, run % 2 === 0).filter(({ outcome }) => outcome === 'ok');
      const right = explainedByLog(history, thing.model) ? 'linearizable' : 'violation';
      if (checkLogOrder(history, thing.model).kind !== right) wrong.push(history);
      if (right === 'violation') violations++;
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(violations).toBeGreaterThan(300);
  });

  it('takes n log n: a hundred thousand operations in as many steps', () => {
    let steps = 0;
    const counter = counterModel();
    const model: AnyModel = { ...counter, step: (...args) => (steps++, counter.step(...(args as [any, any, any]))) };
    const count = 100_000;
    const history = Array.from({ length: count }, (_, at): Operation => {
      const shared = {
        client: `c${at % 50}`,
        input: ['add', 1],
        call: at,
        at: { kind: 'entry', index: at + 1 },
      } as const;
      return { ...shared, outcome: 'ok', output: at + 1, return: at + 50 };
    });
    expect(checkLogOrder(history, model)).toEqual({ kind: 'linearizable' });
    expect(steps).toBe(count);
  });
});
