/**
 * Follows the wall clock, by which a leader stamps entries: tells by how much it is ahead of the monotonic clock, when
 * that differs from what was told before.
 */

import type { Clock } from '../clock.js';

/** Milliseconds. A smaller difference is not told; and the wall clock is not read more often. */
const LEAST = 5;

export class WallWatch {
  private readonly clock: Clock;
  private told = NaN;
  private readAt = -Infinity;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** By how many whole milliseconds the wall clock is ahead now, if that is news; `null` if not, or if it fails. */
  news(now: number): number | null {
    if (now - this.readAt < LEAST) return null;
    this.readAt = now;
    const ahead = Math.round(this.wall() - now);
    if (Number.isNaN(ahead) || Math.abs(ahead - this.told) <= LEAST) return null;
    this.told = ahead;
    return ahead;
  }

  /** `NaN` if the clock fails: what was told before stays. */
  private wall(): number {
    try {
      return this.clock.wall();
    } catch {
      return NaN;
    }
  }
}
