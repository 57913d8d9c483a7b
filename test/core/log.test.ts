/** The log against a plain array, and every older version of it unchanged (law/values). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../src/core/entries.js';
import * as logs from '../../src/core/log.js';
import { InvariantViolation } from '../../src/core/assert.js';
import type { Entry, Index, Recovered, Term } from '../../src/core/protocol.js';
import { command, frozen, wideLimits } from '../values.js';

/** What the log should be: all entries, and from where on they are in memory. */
interface Model {
  readonly entries: readonly Entry[];
  readonly tailFrom: Index;
}

interface Tail {
  readonly tailEntries: number;
  readonly tailBytes: number;
}

type Op =
  | { readonly op: 'append'; readonly count: number; readonly step: Term; readonly bytes: number }
  | { readonly op: 'truncate'; readonly back: number }
  | ({ readonly op: 'evict'; readonly behind: number; readonly needed: number } & Tail);

const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('append' as const),
      count: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(100, 300)),
      step: fc.integer({ min: 0, max: 2 }),
      bytes: fc.constantFrom(0, 3, 40, 70_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate' as const), back: fc.integer({ min: 0, max: 12 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('evict' as const),
      behind: fc.integer({ min: 0, max: 5 }),
      needed: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 500 })),
      tailEntries: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1000 })),
      tailBytes: fc.oneof(fc.integer({ min: 1, max: 4000 }), fc.constant(1 << 20)),
    }),
  },
);

function check(log: logs.Log, { entries, tailFrom }: Model): void {
  const last = entries.length;
  const term = (index: Index): Term => (index === 0 ? 0 : (entries[index - 1] as Entry).term);
  expect([log.first, log.last, log.tailFrom]).toEqual([1, last, tailFrom]);
  expect(logs.lastTerm(log)).toBe(term(last));
  expect(logs.termAt(log, last + 1)).toBeUndefined();
  expect(log.bytes).toBe(bytesOf(entries.slice(tailFrom - 1)));
  expect(log.chunks.flatMap((chunk) => chunk.entries)).toEqual(entries.slice(tailFrom - 1));
  const step = Math.max(1, Math.floor(last / 25));
  for (let index = 0; index <= last; index += step) {
    expect(logs.termAt(log, index)).toBe(term(index));
    expect(logs.matches(log, index, term(index))).toBe(true);
    expect(logs.matches(log, index, term(index) + 1)).toBe(false);
    expect(logs.entryAt(log, index)).toBe(index >= tailFrom ? entries[index - 1] : undefined);
  }
  expect(logs.entryAt(log, last + 1)).toBeUndefined();
}

function checkHints(log: logs.Log, entries: readonly Entry[]): void {
  for (let index = 0; index <= entries.length + 1; index += Math.max(1, Math.floor(entries.length / 10))) {
    for (let term = 0; term <= logs.lastTerm(log) + 1; term++) {
      let expected = Math.min(index, entries.length);
      while (expected > 0 && (entries[expected - 1] as Entry).term > term) expected--;
      expect(logs.lastIndexWithTermAtMost(log, term, index)).toBe(expected);
    }
  }
}

function checkSlice(log: logs.Log, { entries, tailFrom }: Model, from: Index, to: Index, maxBytes: number): void {
  const found = logs.slice(log, from, to, maxBytes);
  const end = Math.min(to, entries.length);
  if (from > end) return void expect(found).toEqual([]);
  if (from < tailFrom) return void expect(found).toBeUndefined();
  const expected: Entry[] = [];
  for (let index = from; index <= end; index++) {
    expected.push(entries[index - 1] as Entry);
    if (bytesOf(expected) > maxBytes && expected.length > 1) {
      expected.pop();
      break;
    }
  }
  expect(found).toEqual(expected);
}

function apply(log: logs.Log, model: Model, each: Op): readonly [logs.Log, Model] {
  const last = model.entries.length;
  if (each.op === 'append') {
    const term = Math.max(1, logs.lastTerm(log) + each.step);
    const count = each.bytes > 1000 ? Math.min(each.count, 3) : each.count;
    const added = Array.from({ length: count }, (_, at) => command(last + 1 + at, term, each.bytes));
    return [logs.append(log, frozen(added)), { ...model, entries: [...model.entries, ...added] }];
  }
  if (each.op === 'truncate') {
    const from = Math.max(1, last + 1 - each.back);
    const entries = model.entries.slice(0, from - 1);
    return [logs.truncate(log, from), { entries, tailFrom: Math.min(model.tailFrom, from) }];
  }
  const durable = Math.max(0, last - each.behind);
  const spent = Math.max(0, last - each.needed);
  const evicted = logs.evict(log, durable, spent, { ...wideLimits, ...each });
  // Nothing leaves that is not durable, and what stays is within its bounds but for the oldest chunk.
  expect(evicted.tailFrom).toBeLessThanOrEqual(Math.max(log.tailFrom, durable + 1));
  const [oldest, ...rest] = evicted.chunks;
  const count = rest.reduce((sum, chunk) => sum + chunk.entries.length, 0);
  const bytes = rest.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const oldestEnd = oldest === undefined ? Infinity : oldest.from + oldest.entries.length - 1;
  if (oldestEnd <= durable) expect(count < each.tailEntries && bytes < each.tailBytes).toBe(true);
  // Of what nobody needs some stays, and what somebody needs leaves only for the bounds.
  if (oldestEnd <= Math.min(durable, spent)) expect(count).toBeLessThan(logs.RECENT);
  const newestGone = evicted.tailFrom - 1;
  if (newestGone >= log.tailFrom) {
    const isOver = last - newestGone >= each.tailEntries || evicted.bytes >= each.tailBytes;
    expect(isOver || (newestGone <= spent && last - newestGone >= logs.RECENT)).toBe(true);
  }
  return [evicted, { ...model, tailFrom: evicted.tailFrom }];
}

describe('log', () => {
  it('is the array that it stands for, and never changes once made', () => {
    const ranges = fc.array(fc.tuple(fc.nat(400), fc.nat(40), fc.nat(3000)), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 24 }), ranges, (ops, slices) => {
        let log = frozen(logs.emptyLog);
        let model: Model = { entries: [], tailFrom: 1 };
        const versions: (readonly [logs.Log, Model])[] = [];
        for (const each of ops) {
          [log, model] = apply(log, model, each);
          versions.push([frozen(log), model]);
        }
        for (const [version, was] of versions) check(version, was);
        checkHints(log, model.entries);
        for (const [at, length, bytes] of slices) {
          const from = 1 + (at % (model.entries.length + 2));
          checkSlice(log, model, from, from + length, bytes);
        }
      }),
      { numRuns: 120 },
    );
  });

  it('appends without going over what is there: few chunks, however long the log', () => {
    let log = logs.emptyLog;
    for (let index = 1; index <= 5000; index++) log = logs.append(log, [command(index, 1)]);
    // As in a binary counter: full chunks, and one of each smaller size.
    expect(log.chunks.length).toBeLessThanOrEqual(5000 / 128 + 8);
    expect(logs.slice(log, 1, 5000, Infinity)).toHaveLength(5000);
  });

  it('refuses what does not continue it', () => {
    const log = logs.append(logs.emptyLog, [command(1, 1)]);
    expect(() => logs.append(log, [command(3, 1)])).toThrow(InvariantViolation);
    expect(() => logs.append(log, [command(2, 1), command(4, 1)])).toThrow(InvariantViolation);
    expect(logs.append(log, [])).toBe(log);
    expect(logs.truncate(log, 2)).toBe(log);
    expect(logs.evict(log, 1, 1, wideLimits)).toBe(log);
  });

  it('comes back from storage with runs, bounds and a tail', () => {
    const entries = [1, 1, 2, 2, 2, 5].map((term, at) => command(at + 1, term));
    const recovered: Recovered = {
      hard: null,
      base: { index: 0, term: 0 },
      last: 6,
      runs: [
        { from: 1, term: 1 },
        { from: 3, term: 2 },
        { from: 6, term: 5 },
      ],
      tail: entries.slice(3),
      snapshot: null,
    };
    const log = logs.recoverLog(frozen(recovered));
    expect([log.last, log.tailFrom]).toEqual([6, 4]);
    expect(entries.map((entry) => logs.termAt(log, entry.index))).toEqual([1, 1, 2, 2, 2, 5]);
    const shorter = logs.recoverLog(recovered, 4);
    expect([shorter.last, logs.lastTerm(shorter), logs.termAt(shorter, 5)]).toEqual([4, 2, undefined]);
    const grown = logs.append(shorter, [command(5, 7)]);
    expect([3, 4, 5].map((index) => logs.termAt(grown, index))).toEqual([2, 2, 7]);
  });

  it.each([
    ['runs that do not begin at the first index', { runs: [{ from: 2, term: 1 }] }],
    ['a tail with a hole', { tail: [command(1, 1), command(3, 1)] }],
    ['a tail that ends early', { tail: [command(1, 1), command(2, 1)] }],
  ])('refuses to come back from %s', (_, broken) => {
    const sound: Recovered = {
      hard: null,
      base: { index: 0, term: 0 },
      last: 3,
      runs: [{ from: 1, term: 1 }],
      tail: [],
      snapshot: null,
    };
    const whole = { ...sound, tail: [1, 2, 3].map((index) => command(index, 1)) };
    expect(logs.recoverLog(whole).last).toBe(3);
    expect(() => logs.recoverLog({ ...whole, ...broken })).toThrow(InvariantViolation);
  });
});
