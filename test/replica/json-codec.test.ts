/** The JSON codec carries what it takes: everything else is refused, and never changed in silence. */

import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReplica, jsonCodec, memoryNetwork, memoryStorage, raft } from 'quorate';

const codec = jsonCodec();

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The value without the properties that hold `undefined`. */
function carried(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(carried);
  if (!isPlain(value)) return value;
  const kept = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(kept.map(([name, each]) => [name, carried(each)]));
}

function roundTrip(value: unknown): unknown {
  return codec.decode(codec.encode(value));
}

/** Whether JSON itself gives it back equal. */
function isKept(value: unknown): boolean {
  try {
    const text = JSON.stringify(value) as string | undefined;
    assert.deepStrictEqual(text === undefined ? undefined : JSON.parse(text), carried(value));
    return true;
  } catch {
    return false;
  }
}

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
});

class Point {
  x = 1;
}
class List extends Array<number> {}

const cycle: Record<string, unknown> = { a: 1 };
cycle.self = { cycle };
const ring: unknown[] = [];
ring.push(ring);
const named = Object.assign([1, 2], { name: 'list' });
const likePrototype: object = Object.assign(Object.create(null), {
  isPrototypeOf: () => true,
  constructor: Object,
  a: 1,
});
const args = (function (..._: number[]) {
  return arguments;
})(1, 2);
let deep: unknown = 1;
for (let i = 0; i < 1001; i++) deep = [deep];
let far: unknown = 1;
for (let i = 0; i < 200_000; i++) far = { far };

const REFUSED: readonly (readonly [what: string, value: unknown])[] = [
  ['NaN', Number.NaN],
  ['an infinity', -Infinity],
  ['-0', -0],
  ['a BigInt', 1n],
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a Map', new Map([[1, 2]])],
  ['a Set', new Set([1])],
  ['a Date', new Date(0)],
  ['a RegExp', /a/],
  ['bytes', Uint8Array.of(1)],
  ['a Buffer', Buffer.from('a')],
  ['an Error', new Error('e')],
  ['a promise', Promise.resolve(1)],
  ['a boxed number', Object(1)],
  ['a boxed text', Object('a')],
  ['a boxed boolean', Object(false)],
  ['an instance of a class', new Point()],
  ['an array of a class of its own', List.of(1)],
  ['an object without a prototype', Object.create(null)],
  ['an object with another prototype', Object.create({ a: 1 })],
  ['undefined in an array', [undefined]],
  ['an array with a length alone', new Array(3)],
  ['an array with a name', named],
  ['arguments', args],
  ['a property named by a symbol', { [Symbol('s')]: 1 }],
  ['a property that is not enumerable', Object.defineProperty({ a: 1 }, 'b', { value: 2 })],
  ['a hidden getter', Object.defineProperty({}, 'a', { get: () => 1 })],
  ['an array with a hidden name', Object.defineProperty([1], 'name', { value: 2 })],
  ['an array with a hidden element', Object.defineProperty([1, 2], 0, { value: 5, enumerable: false })],
  [
    'an array with a hidden element and a name',
    Object.defineProperty(Object.assign([1, 2], { name: 1 }), 0, { enumerable: false }),
  ],
  ['an array over another one', Object.setPrototypeOf([1], [2])],
  ['an object over one without a prototype', Object.create(Object.assign(Object.create(null), { a: 1 }))],
  ['an object over one that looks like Object.prototype', Object.create(likePrototype)],
  ['an own toJSON', { toJSON: () => 1 }],
  ['an array with toJSON', Object.defineProperty([1], 'toJSON', { value: () => 2 })],
  ['a hidden toJSON', Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 2 })],
  ['a getter', Object.defineProperty({}, 'a', { get: () => 1, enumerable: true })],
  ['a setter', Object.defineProperty({}, 'a', { set: () => undefined, enumerable: true })],
  ['a getter in an array', Object.defineProperty([0], 0, { get: () => Math.random(), enumerable: true })],
  ['a cycle', cycle],
  ['a ring', ring],
  ['too many levels', deep],
  ['far too many levels', far],
];

describe('the JSON codec', () => {
  it.each(REFUSED)('refuses %s, at any depth', (_, value) => {
    for (const whole of [value, { a: [1, { b: value }] }, [[value]]]) {
      expect(() => codec.encode(whole)).toThrow(TypeError);
    }
  });

  it.each([
    ['a.b[1].c', { a: { b: [0, { c: Number.NaN }] } }, /NaN, at a\.b\[1\]\.c$/],
    ['the class', { at: new Date(0) }, /an object of the class Date, at at$/],
    ['the whole', new Map(), /of the class Map$/],
    ['an element', [[1], [undefined]], /undefined in an array, at \[1\]\[0\]$/],
  ])('says what it refuses, and where: %s', (_, value, text) => {
    expect(() => codec.encode(value)).toThrow(text);
  });

  it('gives back equal whatever it takes', () => {
    fc.assert(
      fc.property(anything, (value) => {
        let bytes: Uint8Array;
        try {
          bytes = codec.encode(value);
        } catch (error) {
          assert.ok(error instanceof TypeError);
          return;
        }
        assert.deepStrictEqual(codec.decode(bytes), carried(value));
      }),
      { numRuns: 5000 },
    );
  });

  it('takes all that JSON itself gives back equal', () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
        fc.pre(isKept(value));
        assert.deepStrictEqual(roundTrip(value), carried(value));
      }),
      { numRuns: 5000 },
    );
  });

  it('carries undefined itself, texts of any kind, and names of any kind', () => {
    expect(roundTrip(undefined)).toBe(undefined);
    for (const text of ['', '\ud800', '\u2028', 'ä𐍈', '\0']) expect(roundTrip(text)).toBe(text);
    const odd = JSON.parse('{"__proto__": 1, "": 2, "toJSON": 3, "constructor": 4}') as unknown;
    assert.deepStrictEqual(roundTrip(odd), odd);
    const shared = { a: 1 };
    assert.deepStrictEqual(roundTrip([shared, shared]), [shared, shared]);
  });

  it('carries plain values of another realm', () => {
    const value: unknown = runInNewContext('({ a: [1, { b: "c" }] })');
    expect(roundTrip(value)).toEqual({ a: [1, { b: 'c' }] });
    expect(() => codec.encode(runInNewContext('new Map()'))).toThrow(TypeError);
    expect(() => codec.encode(runInNewContext('new (class extends Array {})'))).toThrow(TypeError);
  });

  it('stands before the log, and before the result', async () => {
    const replica = await createReplica({
      id: 'a',
      members: { a: 'a' },
      bootstrap: true,
      protocol: raft(),
      transport: memoryNetwork().transport(),
      storage: memoryStorage(),
      machine: {
        apply: (command: unknown): unknown => (command === 'date' ? { at: [new Date(0)] } : command),
        snapshot: () => 0,
        restore: () => undefined,
      },
    });
    expect(() => replica.propose({ at: new Date(0) })).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_SERIALIZABLE', message: expect.stringContaining('Date') as string }),
    );
    expect(await replica.propose(undefined)).toBe(undefined);
    expect(await replica.propose({ a: undefined, b: [{ c: 1 }] })).toEqual({ b: [{ c: 1 }] });
    await expect(replica.propose('date')).rejects.toMatchObject({
      code: 'ERR_RESULT_NOT_SERIALIZABLE',
      message: expect.stringMatching(/result at index \d+.*Date, at at\[0\]/) as string,
      cause: expect.any(TypeError) as unknown,
    });
    await replica.close();
  });
});
