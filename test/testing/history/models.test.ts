/** The ready-made models against the same things written by hand, and plain data. */

import { describe, expect, it } from 'vitest';
import {
  counterModel,
  describeState,
  keyedModel,
  keyValueModel,
  logModel,
  refused,
  registerModel,
  unknown,
} from '../../../src/testing/history/models.js';
import { canonicalText, sameData } from '../../../src/testing/plain-data.js';
import { randomFrom, things, type AnyModel } from './histories.js';

describe.each(things)('the $model.name model', (thing) => {
  const { model, fresh } = thing;

  it('accepts what the thing gives, and no other output that tells', () => {
    const random = randomFrom(3);
    let refusals = 0;
    for (let run = 0; run < 300; run++) {
      const machine = fresh();
      const states = new Map<string, unknown>();
      for (let step = 0; step < 8; step++) {
        const input = thing.input(random);
        const key = model.partition?.(input) ?? '';
        const before = states.has(key) ? states.get(key) : model.initial;
        const other = thing.output(random, input);
        const output = machine.run(input);
        const after = model.step(before, input, output);
        expect(after).not.toBe(refused);
        // Nobody knows the output, or none is told: the state after is the same.
        expect(model.step(before, input, unknown)).toEqual(after);
        if (other !== undefined && output !== undefined && !sameData(other, output)) {
          expect(model.step(before, input, other)).toBe(refused);
          refusals++;
        }
        if (model.isRead?.(input, output) === true) expect(after).toEqual(before);
        states.set(key, after);
      }
    }
    expect(refusals).toBeGreaterThan(200);
  });

  it('takes for a read only what changes nothing in any state', () => {
    const random = randomFrom(4);
    const states = Array.from({ length: 200 }, () => {
      let state: unknown = model.initial;
      for (let step = random(4); step > 0; step--) state = model.step(state, thing.input(random), unknown);
      return state;
    });
    let reads = 0;
    for (let run = 0; run < 200; run++) {
      const input = thing.input(random);
      const output = thing.output(random, input);
      if (model.isRead?.(input, output) !== true) continue;
      reads++;
      for (const state of states) {
        const after = model.step(state, input, output);
        if (after !== refused) expect(after).toEqual(state);
      }
    }
    expect(reads).toBeGreaterThan(40);
  });

  it('refuses operations that it does not have, and names those it has', () => {
    const step = (...input: unknown[]): unknown => model.step(model.initial, input, unknown);
    expect(() => step('jump', 'x')).toThrow(`the ${model.name} model has no operation ["jump","x"]; it has `);
    expect(() => step()).toThrow(`the ${model.name} model has no operation []`);
    const [writer] =
      { register: ['write'], counter: ['add'], log: ['append'], 'key-value': ['put', 'x'] }[model.name] ?? [];
    expect(() => step(writer)).toThrow(/^the operation \["\w+"\] lacks its argument \d$/);
  });
});

describe('models', () => {
  it('start where they are told to', () => {
    expect(registerModel({ a: 1 }).step({ a: 1 }, ['read'], { a: 1 })).toEqual({ a: 1 });
    expect(registerModel(7).initial).toBe(7);
    expect(counterModel(7).step(7, ['add', 1], 8)).toBe(8);
  });

  it('tell values apart by what they say', () => {
    const register = registerModel();
    expect(register.step({ a: 1, b: 2 }, ['cas', { b: 2, a: 1 }, 5], true)).toBe(5);
    expect(register.step(1, ['cas', '1', 5], true)).toBe(refused);
    expect(register.step(null, ['read'], undefined)).toBe(refused);
  });

  it('by key are many of one kind', () => {
    const counters = keyedModel(counterModel()) as AnyModel;
    expect(counters.partition?.(['add', 'x', 3])).toBe('x');
    expect(counters.step(2, ['add', 'x', 3], 5)).toBe(5);
    expect(counters.isRead?.(['read', 'x'], 5)).toBe(true);
    expect(counters.isRead?.(['add', 'x', 0], 5)).toBe(false);
    expect(counters.name).toBe('counter by key');
    const logs = keyedModel(logModel()) as AnyModel;
    expect(logs.encode?.([1, 'a'])).toBe(logModel().encode?.([1, 'a']));
    const { isRead: _, ...plain } = counterModel();
    expect(keyedModel(plain)).not.toHaveProperty('isRead');
    expect(() => counters.partition?.(['add'])).toThrow('lacks its argument 1');
  });

  it('know absence: no value is null', () => {
    const model = keyValueModel();
    expect(model.step(1, ['delete', 'x'], undefined)).toBe(null);
    expect(model.step(null, ['delete', 'x'], true)).toBe(refused);
    expect(model.step(null, ['cas', 'x', null, 3], true)).toBe(3);
    expect(model.step(null, ['get', 'x'], null)).toBe(null);
  });

  it('of a log know a list by its items, however it was made', () => {
    const model = logModel();
    const made = model.step(model.step([], ['append', 'a'], 1) as [], ['append', 12], unknown) as readonly [];
    expect(model.encode?.(made)).toBe(model.encode?.(['a', 12]));
    expect(model.encode?.(['a', 12])).not.toBe(model.encode?.(['a', '12']));
    expect(model.encode?.(['a;', 'b'])).not.toBe(model.encode?.(['a', ';b']));
  });
});

describe('plain data', () => {
  const kinds: readonly unknown[] = [
    ...[undefined, null, true, false, 0, 1, Number.NaN, Infinity, 1n, '', '1', 'null', 'undefined', '1n', '[]', '{}'],
    ...[[], [[]], [null], [undefined], ['1'], [1], [1, 2], [12], {}, { a: 1 }, { a: '1' }, { a: undefined }, { b: 1 }],
    ...[
      { a: 1, b: 2 },
      [{ a: 1 }, 2],
      new Uint8Array(0),
      new Uint8Array([1, 2]),
      new Uint8Array([12]),
      new Uint8Array([1]),
    ],
    ...[new Map(), new Map([[1, 2]]), new Map([[2, 1]]), new Set(), new Set([1]), new Set(['1']), new Set([[1, 2]])],
  ];

  it('is the same exactly if its text is, for any two kinds', () => {
    kinds.forEach((a, at) => {
      kinds.forEach((b, other) => {
        expect(canonicalText(a) === canonicalText(b)).toBe(at === other);
        expect(sameData(a, b)).toBe(at === other);
      });
    });
  });

  it('is the same in any order of its keys, and with either zero', () => {
    for (const [a, b] of [
      [
        { a: 1, b: [{ c: 2, d: 3 }] },
        { b: [{ d: 3, c: 2 }], a: 1 },
      ],
      [0, -0],
      [[-0], [0]],
      [
        new Map([
          [1, 2],
          [3, 4],
        ]),
        new Map([
          [3, 4],
          [1, 2],
        ]),
      ],
      [new Set([1, 2]), new Set([2, 1])],
      [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ]) {
      expect(sameData(a, b)).toBe(true);
      expect(canonicalText(a)).toBe(canonicalText(b));
    }
  });

  it('is nothing that does, and nothing within itself', () => {
    const ring: unknown[] = [];
    ring.push({ ring });
    expect(() => canonicalText(ring)).toThrow('data that contains itself is no plain data');
    expect(() => canonicalText([() => 1])).toThrow('a function is no plain data');
    expect(() => canonicalText({ a: Symbol('x') })).toThrow('a symbol is no plain data');
    expect(() => canonicalText(new Date(0))).toThrow('an object of a class is no plain data');
    const shared = { a: 1 };
    expect(canonicalText([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });

  it('in words is cut where it gets long', () => {
    expect(describeState({ b: 1, a: [] })).toBe('{"a":[],"b":1}');
    expect(describeState('x'.repeat(1000)).length).toBe(401);
    expect(describeState(new Date(Number.NaN))).toBe('Invalid Date');
  });
});
