/** Fingerprints: the table against an exact set, and which differences a fingerprint must not show. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collisionOdds, FingerprintTable, tableBytes } from '../../../src/testing/checker/fingerprint-table.js';
import { Mixer, Names, PartDigest, type Part } from '../../../src/testing/checker/fingerprint.js';
import type { WorldParts } from '../../../src/testing/checker/fingerprint-parts.js';
import { WorldPrinter } from '../../../src/testing/checker/fingerprint-world.js';

describe('the table', () => {
  test('is an exact set of what is put in, over a million fingerprints and all its growing', () => {
    const table = new FingerprintTable();
    const exact = new Set<number>();
    const mixer = new Mixer();
    let repeats = 0;
    for (let i = 0; i < 1_500_000; i++) {
      mixer.reset();
      mixer.add(i % 3 === 0 ? i >> 2 : i); // some are there already
      mixer.end();
      const [a, b] = [mixer.a >>> 0, mixer.b >>> 12]; // 52 bits: exact as a number
      const key = a * 2 ** 20 + b;
      const fresh = !exact.has(key);
      exact.add(key);
      if (!fresh) repeats += 1;
      if (table.add(a, b) !== fresh) throw new Error(`fingerprint ${key}, the ${i}th: the table says ${!fresh}`);
    }
    expect(table.size).toBe(exact.size);
    expect(repeats).toBeGreaterThan(100_000);
  });

  test('takes 100 million in 1.6 GB, and does not grow before it must', () => {
    expect(tableBytes(100_000_000)).toBeLessThan(1.6e9);
    const table = new FingerprintTable(10_000);
    const { bytes } = table;
    for (let i = 0; i < 10_000; i++) table.add(Math.imul(i, 0x9e3779b1), i);
    expect(table.bytes).toBe(bytes);
    expect(bytes).toBe(tableBytes(10_000));
  });

  test('takes the fingerprint whose bits are all 0', () => {
    const table = new FingerprintTable();
    expect([table.add(0, 0), table.add(0, 0), table.add(0, 2), table.add(2, 0)]).toEqual([true, false, true, true]);
  });

  test.each([-1, 0.5, NaN, 1e12])('refuses %d as an expectation', (expected) => {
    expect(() => new FingerprintTable(expected)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  test('says how likely it took two for one', () => {
    expect(collisionOdds(1e8)).toBeCloseTo(1e16 / 2 ** 65, 12);
    expect(collisionOdds(1e12)).toBe(1);
  });
});

const IDS = ['a', 'b', 'c'] as const;

/** A little world: what each replica says of the others, and messages between them. */
interface Toy {
  /** By replica: a value, whom it names, and which of its own sessions. */
  readonly replicas: readonly { readonly value: number; readonly names: number; readonly session: number }[];
  readonly flights: readonly { readonly from: number; readonly to: number; readonly session: number }[];
  /** Whom a set names. */
  readonly set: readonly number[];
}

const place = fc.integer({ min: 0, max: 2 });
const toys: fc.Arbitrary<Toy> = fc.record({
  replicas: fc.array(
    fc.record({ value: fc.integer({ min: 0, max: 2 }), names: place, session: fc.integer({ min: 1, max: 3 }) }),
    { minLength: 3, maxLength: 3 },
  ),
  flights: fc.array(fc.record({ from: place, to: place, session: fc.integer({ min: 1, max: 3 }) }), { maxLength: 5 }),
  set: fc.uniqueArray(place),
});

function id(at: number): string {
  return IDS[at] as string;
}

function partsOf({ replicas, flights, set }: Toy, names: Names): WorldParts {
  const digest = new PartDigest(names);
  const taken = (work: () => void): Part => {
    work();
    return digest.take();
  };
  const nothing = digest.take();
  const links: Part[][] = Array.from({ length: 9 }, () => []);
  for (const { from, to, session } of flights) {
    links[from * 3 + to]?.push(taken(() => digest.reference('session', id(from), session)));
  }
  return {
    slots: replicas.map(({ value, names: named, session }, at) => ({
      process: taken(() => {
        digest.value(value);
        digest.id(id(named));
        digest.reference('session', id(at), session);
      }),
      disk: nothing,
      pending: nothing,
    })),
    links,
    ghost: taken(() => digest.unordered(set, (each) => digest.id(id(each)))),
    record: nothing,
  };
}

function print(toy: Toy, symmetric: boolean): string {
  const names = new Names(IDS);
  const printer = new WorldPrinter(names, symmetric);
  printer.print(partsOf(toy, names), [0, 0, 0], []);
  return `${printer.a} ${printer.b}`;
}

function renamed({ replicas, flights, set }: Toy, to: readonly number[]): Toy {
  const at = (each: number): number => to[each] as number;
  const moved = replicas.slice();
  replicas.forEach((each, from) => (moved[at(from)] = { ...each, names: at(each.names) }));
  return {
    replicas: moved,
    flights: flights.map((each) => ({ ...each, from: at(each.from), to: at(each.to) })),
    set: set.map(at),
  };
}

const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 3 });

describe('the fingerprint of a world', () => {
  test('does not know in which order messages are under way, nor the order of a set', () => {
    fc.assert(
      fc.property(toys, fc.boolean(), (toy, symmetric) => {
        const turned = { ...toy, flights: toy.flights.slice().reverse(), set: toy.set.slice().reverse() };
        expect(print(turned, symmetric)).toBe(print(toy, symmetric));
      }),
    );
  });

  test('does not know numbers that only name something, but which is which', () => {
    fc.assert(
      fc.property(toys, fc.integer({ min: 1, max: 1000 }), (toy, by) => {
        const later = <T extends { readonly session: number }>(each: T): T => ({ ...each, session: each.session * by });
        const moved = { ...toy, replicas: toy.replicas.map(later), flights: toy.flights.map(later) };
        expect(print(moved, false)).toBe(print(toy, false));
      }),
    );
    const toy = (session: number): Toy => ({
      replicas: [1, 2, 2].map((own) => ({ value: 0, names: 0, session: own })),
      flights: [{ from: 0, to: 1, session }],
      set: [],
    });
    expect(print(toy(2), false)).not.toBe(print(toy(1), false));
  });

  test('does not know names where symmetry holds, and does where not', () => {
    let told = 0;
    fc.assert(
      fc.property(toys, orders, (toy, to) => {
        const other = renamed(toy, to);
        expect(print(other, true)).toBe(print(toy, true));
        if (print(other, false) !== print(toy, false)) told += 1;
      }),
    );
    expect(told).toBeGreaterThan(0);
  });

  test('under symmetry still tells apart what is no renaming', () => {
    const classOf = (toy: Toy): string => {
      const all = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
      ].map((to) => print(renamed(toy, to), false));
      return all.sort()[0] as string;
    };
    const seen = new Map<string, string>();
    const back = new Map<string, string>();
    for (const toy of fc.sample(toys, 2000)) {
      const [symmetric, exact] = [print(toy, true), classOf(toy)];
      expect(seen.get(symmetric) ?? exact).toBe(exact);
      expect(back.get(exact) ?? symmetric).toBe(symmetric);
      seen.set(symmetric, exact);
      back.set(exact, symmetric);
    }
    expect(seen.size).toBeGreaterThan(500);
  });
});
