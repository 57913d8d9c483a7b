/** What a process takes of memory and of its event loop. */

import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

/** Since it was asked last. Collections are a part of the delays. */
export interface StrainSeen {
  /** The most resident memory, sampled. */
  readonly peak_mib: number;
  readonly delay_p99_ms: number;
  readonly delay_worst_ms: number;
  readonly collection_worst_ms: number;
}

const EVERY = 10;

export class Strain {
  private readonly delays = monitorEventLoopDelay({ resolution: EVERY });
  private peak = 0;
  private collection = 0;

  constructor() {
    this.delays.enable();
    setInterval(() => this.look(), EVERY).unref();
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.collection = Math.max(this.collection, duration);
    }).observe({ entryTypes: ['gc'] });
  }

  private look(): void {
    this.peak = Math.max(this.peak, process.memoryUsage.rss());
  }

  /** Begins anew. */
  take(): StrainSeen {
    this.look();
    const late = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e6) - EVERY);
    const seen = {
      peak_mib: Math.round(this.peak / 2 ** 20),
      delay_p99_ms: late(this.delays.percentile(99)),
      delay_worst_ms: late(this.delays.max),
      collection_worst_ms: Math.round(this.collection),
    };
    this.peak = 0;
    this.collection = 0;
    this.delays.reset();
    return seen;
  }
}
