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

it('a late acknowledgement vouches for nothing that was overwritten (durability/unsynced-runs)', () => {
  const first = durability.noteUnsynced([], 1, 5, 1, 1);
  const second = durability.noteUnsynced(durability.cutUnsynced(first, 3), 3, 4, 2, 2);
  const acknowledged = durability.cutSynced(second, 1);
  expect(durability.durableIndex(acknowledged, 4)).toBe(2);
  expect(durability.durableIndex(durability.cutSynced(acknowledged, 2), 4)).toBe(4);
});
