/**
 * Notices that the host slept: the wall clock ran on while the monotonic one stood still (reads/sleep-ends-leases). A
 * step of the wall clock looks the same, and costs no more than one round of a lease read.
 *
 * Invariant: within any time of one grant's length at most a twentieth of it passes unnoticed.
 */

import { leastSleep } from '../../core/lease-reads.js';
import type { Clock } from '../clock.js';
import type { DriverOptions } from '../driver/state.js';

export class SleepWatch {
  private readonly clock: Clock;
  private readonly leaseReads: number;
  /** By how much the wall clock was ahead of the monotonic one at `since`. */
  private ahead = Infinity;
  private since = -Infinity;

  /** @param leaseReads milliseconds, greater than 0 */
  constructor(clock: Clock, leaseReads: number) {
    this.clock = clock;
    this.leaseReads = leaseReads;
  }

  /**
   * Whether the host slept since this was asked last; who cannot tell says yes. A grant's length lies in at most two
   * stretches of `since`.
   */
  hasSlept(now: number): boolean {
    const ahead = this.wall() - now;
    const slept = !(ahead - this.ahead <= leastSleep(this.leaseReads) / 2);
    if (slept || ahead < this.ahead || now - this.since >= this.leaseReads) {
      this.ahead = ahead;
      this.since = now;
    }
    return slept;
  }

  private wall(): number {
    try {
      return this.clock.wall();
    } catch {
      return NaN;
    }
  }
}

/** The watch of a replica; `null` where there are no lease reads. */
export function sleepWatchFor({ configuration }: DriverOptions, clock: Clock): SleepWatch | null {
  const { leaseReads } = configuration.constants;
  return leaseReads === 0 ? null : new SleepWatch(clock, leaseReads);
}
