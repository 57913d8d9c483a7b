/** Majorities against brute force over every subset, for every size there is. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { majority, majorityReached } from '../../src/core/quorum.js';

const sizes = [1, 2, 3, 4, 5, 6, 7];

function subsets(size: number, of: number): number[] {
  const all: number[] = [];
  for (let bits = 0; bits < 1 << size; bits++) {
    let count = 0;
    for (let at = 0; at < size; at++) count += (bits >> at) & 1;
    if (count === of) all.push(bits);
  }
  return all;
}

describe.each(sizes)('of %i members', (size) => {
  it('any two majorities meet, and no fewer would do', () => {
    const needed = majority(size);
    expect(needed).toBeLessThanOrEqual(size);
    const quorums = subsets(size, needed);
    for (const a of quorums) for (const b of quorums) expect(a & b).not.toBe(0);
    const smaller = subsets(size, needed - 1);
    expect(smaller.some((a) => smaller.some((b) => (a & b) === 0))).toBe(true);
  });

  it('what a majority reached is the highest value that so many have', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: size, maxLength: size }), (values) => {
        const reached = Math.max(
          ...values.filter((value) => values.filter((other) => other >= value).length >= majority(size)),
        );
        expect(majorityReached(values.slice())).toBe(reached);
      }),
    );
  });
});
