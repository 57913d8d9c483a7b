/** A stream of random numbers from a seed, for simulations. Streams made by `fork` do not affect each other. */

import { nextSeed, sample } from '../core/random.js';

export class Dice {
  private seed: number;

  /** @param seed any safe integer */
  constructor(seed: number) {
    // The bits above 32 count, too; otherwise seeds that differ only there would draw the same.
    this.seed = (seed | 0) ^ Math.imul(Math.trunc(seed / 2 ** 32), 0x9e3779b1);
  }

  /** A number in [0, 1). */
  unit(): number {
    this.seed = nextSeed(this.seed);
    return sample(this.seed);
  }

  /** A whole number in [min, max]. */
  between(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  /** A number in [min, max). */
  within(min: number, max: number): number {
    return min + this.unit() * (max - min);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.unit() * items.length)] as T;
  }

  /** An exponentially distributed time of this mean, in whole milliseconds, at least 1. */
  wait(mean: number): number {
    return 1 + Math.floor(-Math.log(1 - this.unit()) * mean);
  }

  /** The items in a random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const order = items.slice();
    for (let at = order.length - 1; at > 0; at--) {
      const other = this.between(0, at);
      [order[at], order[other]] = [order[other] as T, order[at] as T];
    }
    return order;
  }

  /** An independent stream, determined by this stream's seed and the name. */
  fork(name: string): Dice {
    let seed = this.seed;
    for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x01000193);
    return new Dice(seed);
  }
}
