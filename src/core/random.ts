/** A seeded random generator as a value (splitmix32): its state is one 32-bit integer. */

/** The seed after this one. */
export function nextSeed(seed: number): number {
  return (seed + 0x9e3779b9) | 0;
}

/** The number in [0, 1) that this seed gives. */
export function sample(seed: number): number {
  let t = seed ^ (seed >>> 16);
  t = Math.imul(t, 0x21f0aaad);
  t ^= t >>> 15;
  t = Math.imul(t, 0x735a2d97);
  t ^= t >>> 15;
  return (t >>> 0) / 0x1_0000_0000;
}

/** The whole number in [min, max] that this seed gives. */
export function sampleBetween(seed: number, min: number, max: number): number {
  return min + Math.floor(sample(seed) * (max - min + 1));
}
