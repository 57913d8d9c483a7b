/**
 * The book: what it holds against a sorted list, whatever the history; its shape, which follows from its keys alone;
 * and the cost of every operation, counted in nodes and not in time.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as book from '../../src/core/book.js';
import { watched } from '../books.js';
import { frozen } from '../values.js';

interface Item extends book.BookItem {
  readonly number: number;
}
type Items = book.Book<Item>;

const item = (key: number, deadline = Infinity, at = Infinity): Item => ({ key, deadline, at, number: 3 * key + 1 });

const some = fc.option(fc.nat(30), { nil: Infinity });
const key = fc.oneof(fc.nat(40), fc.nat(2 ** 40));

const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('with' as const), key, deadline: some, at: some }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('newest' as const), count: fc.nat(9), deadline: some, at: some }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('without' as const), key, pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('several' as const), picks: fc.array(fc.nat(), { maxLength: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('lowest' as const), count: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('split' as const), key, above: fc.boolean() }) },
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** A book and what it should hold. */
interface Both {
  readonly items: Items;
  readonly model: readonly Item[];
}

function changed({ items, model }: Both, by: Change): Both {
  switch (by.op) {
    case 'with': {
      const put = item(by.key, by.deadline, by.at);
      const others = model.filter((each) => each.key !== by.key);
      return { items: book.withItem(items, put), model: [...others, put].sort((a, b) => a.key - b.key) };
    }
    case 'newest': {
      const top = model[model.length - 1]?.key ?? 0;
      const more = Array.from({ length: by.count }, (_, n) => item(top + 1 + 2 * n, by.deadline, by.at));
      return { items: book.withNewest(items, more), model: [...model, ...more] };
    }
    case 'without': {
      const gone = by.pick % 2 === 0 ? by.key : (model[by.pick % Math.max(1, model.length)]?.key ?? by.key);
      const left = book.withoutItem(items, gone);
      const rest = model.filter((each) => each.key !== gone);
      if (rest.length === model.length) expect(left).toBe(items);
      return { items: left, model: rest };
    }
    case 'several': {
      const picked = new Set(by.picks.map((pick) => model[pick % Math.max(1, model.length)]?.key ?? pick));
      const gone = [...picked].sort((a, b) => a - b);
      const left = book.withoutItems(items, gone);
      return { items: left, model: model.filter((each) => !gone.includes(each.key)) };
    }
    case 'lowest': {
      const gone = model.slice(0, by.count).map((each) => each.key);
      return { items: book.withoutItems(items, gone), model: model.slice(gone.length) };
    }
    case 'split': {
      const [through, above] = book.splitAfter(items, by.key);
      const low = model.filter((each) => each.key <= by.key);
      const high = model.filter((each) => each.key > by.key);
      expect([book.itemsOf(through), book.itemsOf(above)]).toEqual([low, high]);
      return by.above ? { items: above, model: high } : { items: through, model: low };
    }
  }
}

function check({ items, model }: Both, at: number, index: number): void {
  frozen(items);
  expect(book.itemsOf(items)).toEqual(model);
  expect(book.lowestItem(items)).toBe(model[0]);
  expect(book.highestKey(items)).toBe(model[model.length - 1]?.key ?? -Infinity);
  for (const most of [0, 1, 3, Infinity]) expect(book.lowestItems(items, most)).toEqual(model.slice(0, most));
  const below = model.filter((each) => each.key <= at);
  expect(book.itemAtOrBelow(items, at)).toBe(below[below.length - 1]);
  const known = model[at % Math.max(1, model.length)];
  if (known !== undefined) {
    expect(book.itemNumbered(items, (each) => each.number, known.number)).toBe(known);
    expect(book.itemsKeyed(items, [at, known.key])).toEqual([...model.filter((each) => each.key === at), known]);
  }
  expect(book.itemNumbered(items, (each) => each.number, 3 * at)).toBeUndefined();
  const [low, high] = [3 * at - 7, 3 * at + 8];
  const within = model.filter((each) => each.number >= low && each.number <= high);
  expect(book.itemsInRange(items, (each) => each.number, low, high)).toEqual(within);
  expect(book.itemsDue(items, index)).toEqual(model.filter((each) => each.deadline <= index));
  expect(book.itemsThrough(items, index)).toEqual(model.filter((each) => each.at <= index));
  expect(book.earliestDeadline(items)).toBe(Math.min(Infinity, ...model.map((each) => each.deadline)));
}

describe('a book', () => {
  it('holds what a sorted list holds, and every older version stays as it was', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), key, fc.nat(30), (changes, at, index) => {
        let both: Both = { items: null, model: [] };
        const versions: Both[] = [both];
        for (const each of changes) {
          both = changed(both, each);
          check(both, at, index);
          versions.push(both);
        }
        for (const { items, model } of versions) expect(book.itemsOf(items)).toEqual(model);
      }),
      { numRuns: 200 },
    );
  });

  it('has one shape for one set of keys, whatever its history', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (changes, picks) => {
        let both: Both = { items: null, model: [] };
        for (const each of changes) both = changed(both, each);
        expect(book.withNewest(null, both.model)).toEqual(both.items);
        let shuffled: Items = null;
        const left = [...both.model];
        while (left.length > 0) {
          const [next] = left.splice((picks.next().value as number) % left.length, 1);
          shuffled = book.withItem(shuffled, next as Item);
        }
        expect(shuffled).toEqual(both.items);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps nothing of an empty history', () => {
    expect(book.withoutItem(book.withItem(null, item(7)), 7)).toBeNull();
    expect(book.withNewest<Item>(null, [])).toBeNull();
    expect(book.earliestDeadline(null)).toBe(Infinity);
    expect(book.lowestItem(null)).toBeUndefined();
  });
});

/** The nodes of a book. */
function nodesOf(items: Items, found = new Set<object>()): Set<object> {
  if (items === null) return found;
  nodesOf(items.left, found.add(items));
  return nodesOf(items.right, found);
}

/** How many nodes of `after` are not of `before`. */
function created(before: Set<object>, after: Items): number {
  let count = 0;
  const walk = (here: Items): void => {
    if (here === null || before.has(here)) return;
    count++;
    walk(here.left);
    walk(here.right);
  };
  walk(after);
  return count;
}

describe('the cost of a change or a search', () => {
  const N = 4096;
  /** The longest way down in a treap of random priorities is some three times the binary logarithm. */
  const wayDown = (n: number): number => 4 * Math.log2(n);
  const full = (n: number, deadline: (at: number) => number = () => Infinity): Items =>
    book.withNewest(
      null,
      Array.from({ length: n }, (_, at) => item(2 * at + 2, deadline(at), deadline(at))),
    );

  it.each([N, 4 * N])('of one of %i is the logarithm, in the number of nodes that are new', (n) => {
    const before = full(n);
    const nodes = nodesOf(before);
    for (let at = 0; at < 200; at++) {
      const place = Math.floor((at * n) / 200);
      const own = 2 * place + 2;
      expect(created(nodes, book.withItem(before, item(own - 1)))).toBeLessThan(wayDown(n));
      expect(created(nodes, book.withItem(before, item(own)))).toBeLessThan(wayDown(n));
      expect(created(nodes, book.withoutItem(before, own))).toBeLessThan(wayDown(n));
      const [through, above] = book.splitAfter(before, own);
      expect(created(nodes, through) + created(nodes, above)).toBeLessThan(wayDown(n));
    }
    const more = Array.from({ length: 50 }, (_, at) => item(2 * n + 2 + at));
    expect(created(nodes, book.withNewest(before, more))).toBeLessThan(50 + wayDown(n));
    const lowest = book.lowestItems(before, 500).map((each) => each.key);
    expect(created(nodes, book.withoutItems(before, lowest))).toBeLessThan(wayDown(n));
  });

  it.each([N, 4 * N])('of a search in %i is the logarithm, and what it finds', (n) => {
    const seen = new Set<object>();
    const all = watched(
      full(n, (at) => (at * 7919) % n),
      seen,
    );
    const cost = (search: (items: Items) => unknown): number => {
      seen.clear();
      search(all);
      return seen.size;
    };
    for (const at of [0, 1, n / 2, n - 1]) {
      const own = 2 * at + 2;
      expect(cost((items) => book.itemAtOrBelow(items, own))).toBeLessThan(wayDown(n));
      expect(cost((items) => book.itemNumbered(items, (each) => each.number, 3 * own + 1))).toBeLessThan(wayDown(n));
      expect(cost((items) => book.withItem(items, item(own)))).toBeLessThan(wayDown(n));
      expect(cost((items) => book.withoutItem(items, own))).toBeLessThan(wayDown(n));
      expect(cost((items) => book.itemsKeyed(items, [own, own + 1]))).toBeLessThan(2 * wayDown(n));
    }
    expect(cost((items) => book.lowestItem(items))).toBeLessThan(wayDown(n));
    expect(cost((items) => book.highestKey(items))).toBeLessThan(wayDown(n));
    expect(cost((items) => book.lowestItems(items, 20))).toBeLessThan(40 + wayDown(n));
    expect(cost((items) => book.itemsDue(items, 4))).toBeLessThan(5 * wayDown(n));
    expect(cost((items) => book.itemsThrough(items, 4))).toBeLessThan(5 * wayDown(n));
    expect(cost((items) => book.earliestDeadline(items))).toBe(0);
    expect(cost((items) => book.itemsDue(items, -1))).toBeLessThan(2);
  });

  it('keys that rise, fall or lie far apart make no deep tree', () => {
    const depth = (items: Items): number => (items === null ? 0 : 1 + Math.max(depth(items.left), depth(items.right)));
    const falling = Array.from({ length: N }, (_, at) => item(N - at));
    expect(depth(falling.reduce<Items>(book.withItem, null))).toBeLessThan(wayDown(N));
    for (const step of [1, 2, 300, 2 ** 32]) {
      const rising = Array.from({ length: N }, (_, at) => item(step * (at + 1)));
      expect(depth(book.withNewest(null, rising)), String(step)).toBeLessThan(wayDown(N));
    }
  });
});
