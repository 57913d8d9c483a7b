/** A seeded generator as a value (splitmix32): the state is one 32-bit integer, and using it yields the next. */

/** The seed after this one. */
export function nextSeed(seed: number): number {
  return (seed + 0x9e3779b9) | 0;
}

/** What this seed stands for, in [0, 1). */
export function sample(seed: number): number {
  let t = seed ^ (seed >>> 16);
  t = Math.imul(t, 0x21f0aaad);
  t ^= t >>> 15;
  t = Math.imul(t, 0x735a2d97);
  t ^= t >>> 15;
  return (t >>> 0) / 0x1_0000_0000;
}

/** A whole number in [min, max], by this seed. */
export function sampleBetween(seed: number, min: number, max: number): number {
  return min + Math.floor(sample(seed) * (max - min + 1));
}
