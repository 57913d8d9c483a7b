/** What the search remembers, against sets of strings: exact, also where hashes are the same. */

import { describe, expect, it } from 'vitest';
import { ConfigurationSet, DoneSet, StateTable } from '../../../src/testing/history/linearizability-memo.js';
import { randomFrom } from './histories.js';

describe('the states', () => {
  it('have one number a text, however many', () => {
    const table = new StateTable<number>((state) => `state ${state % 5000}`);
    for (let state = 0; state < 12_000; state++) expect(table.numberOf(state)).toBe(state % 5000);
    expect(table.states).toEqual(Array.from({ length: 5000 }, (_, at) => at));
    expect(table.bytes).toBeGreaterThan(5000 * 18);
  });

  it('are told apart where their hashes are not (known collisions of FNV-1a)', () => {
    const table = new StateTable<string>((state) => state);
    const words = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke'];
    expect(words.map((word) => table.numberOf(word))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(words.map((word) => table.numberOf(word))).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('the operations done', () => {
  it.each([
    [0, 1],
    [0, 32],
    [5, 64],
    [33, 100],
  ])('of %i unknown and %i others keep a window that says all', (unknowns, others) => {
    const random = randomFrom(unknowns);
    const done = new DoneSet(unknowns, others);
    const bits = [
      ...Array.from({ length: unknowns }, (_, at) => at),
      ...Array.from({ length: others }, (_, at) => done.placeOfOther(at)),
    ];
    const model = new Set<number>();
    for (let step = 0; step < 1500; step++) {
      // Mostly from the front on, as a search does, so that words get full.
      const bit = bits[
        random(4) === 0 ? random(bits.length) : Math.min(random(bits.length), random(bits.length))
      ] as number;
      if (model.delete(bit)) done.remove(bit);
      else {
        model.add(bit);
        done.add(bit);
      }
      const words = Array.from(done.words, () => 0);
      for (const held of model) words[held >>> 5] = (words[held >>> 5] as number) + 2 ** (held & 31);
      expect([...done.words]).toEqual(words);
      expect(bits.every((bit) => done.has(bit) === model.has(bit))).toBe(true);
      const from = done.unknownWords;
      const low = words.findIndex((content, at) => at >= from && content !== 2 ** 32 - 1);
      const high = words.reduce((last, content, at) => (content === 0 ? last : Math.max(from, at + 1)), from);
      expect([done.low, done.high]).toEqual([low, high]);
      if (model.size === 0) expect(done.hash).toBe(0);
    }
  });
});

describe('the configurations', () => {
  it('are known exactly, a quarter of a million of them', () => {
    const random = randomFrom(9);
    const done = new DoneSet(40, 200);
    const held = new Set<number>();
    const seen = new ConfigurationSet();
    const model = new Set<string>();
    let wrong = 0;
    let repeated = 0;
    for (let step = 0; step < 260_000; step++) {
      // A window that moves, over states that come again.
      const bit = random(5) === 0 ? random(40) : done.placeOfOther(Math.min(199, ((step / 1300) | 0) + random(12)));
      if (held.delete(bit)) done.remove(bit);
      else {
        held.add(bit);
        done.add(bit);
      }
      const state = random(4);
      const key = `${state}:${done.words.join()}`;
      const isNew = !model.has(key);
      model.add(key);
      if (seen.add(done, state) !== isNew) wrong++;
      if (!isNew) repeated++;
    }
    expect(wrong).toBe(0);
    expect(seen.size).toBe(model.size);
    expect(model.size).toBeGreaterThan(200_000);
    expect(repeated).toBeGreaterThan(100);
    expect(seen.bytes).toBeLessThan(200 * model.size);
  });

  /** The hash that an operation adds by itself. */
  function hashOf(done: DoneSet, bit: number): number {
    done.add(bit);
    const { hash } = done;
    done.remove(bit);
    return hash;
  }

  /** Which of the numbers give `target` when all are combined by exclusive or; hashes are combined so. */
  function chosen(numbers: readonly number[], target: number): number[] | null {
    const basis: { value: number; of: Set<number> }[] = [];
    const reduce = (value: number, of: Set<number>): { value: number; of: Set<number> } => {
      for (const row of basis) {
        if ((value & (1 << (31 - Math.clz32(row.value)))) === 0) continue;
        value ^= row.value;
        of = new Set([...of, ...row.of].filter((number) => of.has(number) !== row.of.has(number)));
      }
      return { value, of };
    };
    for (const [at, number] of numbers.entries()) {
      const row = reduce(number, new Set([at]));
      if (row.value === 0 && target === 0) return [...row.of];
      if (row.value !== 0) basis.push(row);
    }
    const rest = reduce(target, new Set());
    return rest.value === 0 && rest.of.size > 0 ? [...rest.of] : null;
  }

  it.each(['unknown', 'other'])('with the same hash are told apart by their %s operations', (kind) => {
    const done = new DoneSet(64, 96);
    const bits = Array.from({ length: 40 }, (_, at) => (kind === 'unknown' ? at : done.placeOfOther(at)));
    const twins = chosen(
      bits.map((bit) => hashOf(done, bit)),
      0,
    ) as number[];
    const [first, ...others] = twins.map((at) => bits[at] as number) as [number, ...number[]];
    const seen = new ConfigurationSet();
    // All of these give the hash of none of them, so one alone gives that of all the others.
    done.add(done.placeOfOther(90));
    done.add(first);
    const { hash } = done;
    expect(seen.add(done, 1)).toBe(true);
    done.remove(first);
    for (const bit of others) done.add(bit);
    expect(done.hash).toBe(hash);
    expect(seen.add(done, 1)).toBe(true);
    expect(seen.add(done, 1)).toBe(false);
  });

  it('with the same hash and the same words are told apart by where the words are', () => {
    const done = new DoneSet(0, 1024);
    const word = (at: number): number[] => Array.from({ length: 32 }, (_, bit) => 32 * at + bit);
    let met = 0;
    for (let at = 0; at < 31; at++) {
      for (const bit of word(at - 1)) if (at > 0) done.add(bit);
      const moves = word(0).map((bit) => hashOf(done, 32 * at + bit) ^ hashOf(done, 32 * (at + 1) + bit));
      const own = done.hash;
      const full = word(at).reduce((sum, bit) => sum ^ hashOf(done, bit) ^ own, 0);
      const pattern = chosen(moves, full);
      if (pattern === null || pattern.length === 32) continue;
      const seen = new ConfigurationSet();
      for (const bit of pattern) done.add(32 * at + bit);
      const { hash } = done;
      expect(seen.add(done, 1)).toBe(true);
      for (const bit of pattern) done.remove(32 * at + bit);
      for (const bit of [...word(at), ...pattern.map((bit) => 32 * (at + 1) + bit)]) done.add(bit);
      expect(done.hash).toBe(hash);
      expect(seen.add(done, 1)).toBe(true);
      for (const bit of [...word(at), ...pattern.map((bit) => 32 * (at + 1) + bit)]) done.remove(bit);
      met++;
    }
    expect(met).toBeGreaterThan(0);
  });
});
