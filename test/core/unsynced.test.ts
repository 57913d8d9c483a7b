/** Which indexes are durable, against a plain map of what is on its way (durability/unsynced-runs). */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as durability from '../../src/core/unsynced.js';
import { frozen } from '../values.js';

const SPAN = 12;

const range = fc.tuple(fc.integer({ min: 1, max: SPAN }), fc.nat(4));
const op = fc.oneof(
  fc.record({ op: fc.constant('note' as const), range, term: fc.integer({ min: 1, max: 3 }), again: fc.boolean() }),
  fc.record({ op: fc.constant('cut' as const), range, open: fc.boolean() }),
  fc.record({ op: fc.constant('settle' as const), back: fc.nat(4) }),
);

function check(runs: durability.Unsynced, model: ReadonlyMap<number, { seq: number; term: number }>): void {
  const waiting = [...model.keys()];
  expect(durability.durableIndex(runs, SPAN * 2)).toBe(Math.min(SPAN * 2, ...waiting.map((index) => index - 1)));
  for (let index = 1; index <= SPAN + 5; index++) {
    expect(durability.isSynced(runs, index)).toBe(!model.has(index));
    const owners = runs.filter((run) => run.from <= index && index <= run.to);
    expect(owners.map(({ persistSeq, term }) => ({ seq: persistSeq, term }))).toEqual(
      model.has(index) ? [model.get(index)] : [],
    );
  }
  for (let from = 1; from <= SPAN; from += 3) {
    for (let to = from; to <= SPAN + 4; to += 2) {
      const seqs = waiting.filter((index) => index >= from && index <= to).map((index) => model.get(index)?.seq ?? 0);
      expect(durability.seqCovering(runs, from, to)).toBe(Math.max(0, ...seqs));
    }
  }
}

it('keeps exactly what was written last and is not yet durable', () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 20 }), (ops) => {
      let runs: durability.Unsynced = [];
      let seq = 1;
      const model = new Map<number, { seq: number; term: number }>();
      for (const each of ops) {
        if (each.op === 'settle') {
          const upTo = seq - each.back;
          runs = durability.cutSynced(runs, upTo);
          for (const [index, write] of model) if (write.seq <= upTo) model.delete(index);
        } else {
          const [from, length] = each.range;
          const to = each.op === 'cut' && each.open ? Infinity : from + length;
          for (const index of model.keys()) if (index >= from && index <= to) model.delete(index);
          if (each.op === 'cut') runs = durability.cutUnsynced(runs, from, to);
          else {
            if (!each.again) seq++;
            runs = durability.noteUnsynced(runs, from, to, each.term, seq);
            for (let index = from; index <= to; index++) model.set(index, { seq, term: each.term });
          }
        }
        frozen(runs);
        check(runs, model);
      }
    }),
    { numRuns: 150 },
  );
});

it('gives the same runs back when nothing changes', () => {
  const runs = durability.noteUnsynced([], 4, 6, 1, 7);
  expect(durability.cutUnsynced(runs, 7)).toBe(runs);
  expect(durability.cutUnsynced(runs, 1, 3)).toBe(runs);
  expect(durability.cutSynced(runs, 6)).toBe(runs);
});

it('joins what one persist writes in one term, and nothing else', () => {
  const one = durability.noteUnsynced([], 1, 3, 1, 1);
  expect(durability.noteUnsynced(one, 4, 5, 1, 1)).toHaveLength(1);
  expect(durability.noteUnsynced(one, 4, 5, 2, 1)).toHaveLength(2);
  expect(durability.noteUnsynced(one, 4, 5, 1, 2)).toHaveLength(2);
  expect(durability.noteUnsynced(one, 5, 5, 1, 1)).toHaveLength(2);
});

it('beyond a bound, what follows in one term joins the newest run and waits for the later persist', () => {
  let runs: durability.Unsynced = [];
  for (let seq = 1; seq <= 500; seq++) runs = durability.noteUnsynced(runs, 2 * seq - 1, 2 * seq, 1, seq);
  const bound = runs.length;
  expect(bound).toBeLessThan(100);
  expect(runs[bound - 1]).toEqual({ from: 2 * bound - 1, to: 1000, term: 1, persistSeq: 500 });
  for (const seq of [1, bound - 1, bound, 499]) {
    const durable = durability.durableIndex(durability.cutSynced(runs, seq), 1000);
    expect(durable).toBe(2 * Math.min(seq, bound - 1)); // later than it is, never earlier
    expect(durability.seqCovering(runs, 2 * seq, 2 * seq)).toBe(seq < bound ? seq : 500);
  }
  expect(durability.durableIndex(durability.cutSynced(runs, 500), 1000)).toBe(1000);
  // Another term, or a gap, is kept apart whatever their number.
  expect(durability.noteUnsynced(runs, 1001, 1001, 2, 501)).toHaveLength(bound + 1);
  expect(durability.noteUnsynced(runs, 1002, 1002, 1, 501)).toHaveLength(bound + 1);
  // Once the disk goes on, runs are told apart again.
  expect(durability.noteUnsynced(durability.cutSynced(runs, 9), 1001, 1001, 1, 501)).toHaveLength(bound - 8);
});

it('a late acknowledgement vouches for nothing that was overwritten (durability/unsynced-runs)', () => {
  const first = durability.noteUnsynced([], 1, 5, 1, 1);
  const second = durability.noteUnsynced(durability.cutUnsynced(first, 3), 3, 4, 2, 2);
  const acknowledged = durability.cutSynced(second, 1);
  expect(durability.durableIndex(acknowledged, 4)).toBe(2);
  expect(durability.durableIndex(durability.cutSynced(acknowledged, 2), 4)).toBe(4);
});
