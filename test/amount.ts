/**
 * How much of what can be drawn or swept without end a test takes: a part for every change, and all that is meant to be
 * looked at in the deep suite, which runs the files that ask here once more with `TEST_AMOUNT=all`.
 */

const takesAll = process.env['TEST_AMOUNT'] === 'all';

export function amount(part: number, all: number): number {
  return takesAll ? all : part;
}

/**
 * Of a sweep over whole numbers, those that are taken: all, or one in `every`. Sweeps of different `phase` take different ones.
 */
export function swept(at: number, every: number, phase = 0): boolean {
  return takesAll || (at + phase) % every === 0;
}
