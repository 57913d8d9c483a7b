/** The acceptor's window against a plain Map; and that older versions stay as they were. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesOf } from '../../src/core/entries.js';
import type { Entry } from '../../src/core/protocol.js';
import * as windows from '../../src/multipaxos/window.js';
import { frozen } from '../values.js';
import { value } from './support.js';

const SPAN = 40;

const op = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      from: fc.integer({ min: 1, max: SPAN }),
      length: fc.integer({ min: 1, max: 9 }),
      ballot: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ above: fc.integer({ min: 0, max: SPAN }) }) },
);

function entriesOf(window: windows.VoteWindow): readonly Entry[] {
  return window.runs.flatMap((run) => run.entries);
}

function check(window: windows.VoteWindow, model: ReadonlyMap<number, Entry>): void {
  const sorted = [...model.values()].sort((a, c) => a.index - c.index);
  expect(entriesOf(window)).toEqual(sorted);
  expect(window.bytes).toBe(bytesOf(sorted));
  expect(windows.lastVote(window)).toBe(sorted[sorted.length - 1]?.index ?? 0);
  let last = 0;
  for (const run of window.runs) {
    expect(run.from).toBeGreaterThan(last);
    run.entries.forEach((entry, at) => expect([entry.index, entry.term]).toEqual([run.from + at, run.ballot]));
    last = run.from + run.entries.length - 1;
  }
  for (let slot = 0; slot <= SPAN + 10; slot++) expect(windows.voteAt(window, slot)).toBe(model.get(slot));
}

function checkQueries(
  window: windows.VoteWindow,
  model: ReadonlyMap<number, Entry>,
  from: number,
  maxBytes: number,
): void {
  const sorted = [...model.values()].filter((entry) => entry.index >= from).sort((a, c) => a.index - c.index);
  const [votes, next] = windows.page(window, from, maxBytes);
  expect(votes).toEqual(sorted.slice(0, votes.length));
  expect(next).toBe(sorted[votes.length]?.index ?? 0);
  expect(votes.length === 0).toBe(sorted.length === 0);
  expect(votes.length <= 1 || bytesOf(votes) <= maxBytes).toBe(true);
  if (next !== 0) expect(bytesOf(sorted.slice(0, votes.length + 1))).toBeGreaterThan(maxBytes);

  let ends = from;
  while (model.get(ends)?.term === model.get(from)?.term && model.has(ends)) ends++;
  const run = windows.consecutive(window, from, SPAN + 20, maxBytes);
  expect(run).toEqual(sorted.slice(0, run.length));
  expect(run.length <= ends - from).toBe(true);
  if (run.length < ends - from) expect(bytesOf(sorted.slice(0, run.length + 1))).toBeGreaterThan(maxBytes);
  const ballot = model.get(from)?.term ?? 1;
  expect(windows.reach(window, from, SPAN + 20, ballot)).toBe(ends - 1);
  expect(windows.reach(window, from, from + 1, ballot)).toBe(Math.min(ends - 1, from + 1));
  expect(windows.reach(window, from, SPAN + 20, ballot + 1)).toBe(from - 1);
  const below = windows.runsThrough(window, from).flatMap((each) => each.entries);
  expect(below).toEqual([...model.values()].filter((each) => each.index <= from).sort((a, c) => a.index - c.index));
}

it('holds the latest vote of every slot above W, whatever is overwritten', () => {
  fc.assert(
    fc.property(
      fc.array(op, { maxLength: 25 }),
      fc.integer({ min: 1, max: SPAN }),
      fc.nat(600),
      (ops, from, maxBytes) => {
        let window = windows.emptyWindow;
        const model = new Map<number, Entry>();
        for (const each of ops) {
          const [older, contents] = [window, JSON.stringify(window)];
          if ('above' in each) {
            window = windows.above(window, each.above);
            for (const slot of model.keys()) if (slot <= each.above) model.delete(slot);
          } else {
            const { length, ballot } = each;
            const entries = Array.from({ length }, (_, at) =>
              value(each.from + at, ballot, `${each.from + at}@${ballot}`),
            );
            window = windows.withVotes(window, entries);
            for (const entry of entries) model.set(entry.index, entry);
          }
          frozen(window);
          expect(JSON.stringify(older)).toBe(contents);
          check(window, model);
        }
        checkQueries(window, model, from, maxBytes);
      },
    ),
    { numRuns: 300 },
  );
});

it('a steady state is a handful of runs', () => {
  let window = windows.emptyWindow;
  for (let slot = 1; slot <= 1000; slot++) window = windows.withVotes(window, [value(slot, 7, 'x')]);
  expect(window.runs.length).toBeLessThan(30);
  expect(windows.withVotes(windows.emptyWindow, entriesOf(window)).runs).toHaveLength(1);
});
