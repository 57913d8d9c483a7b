/** Closed-loop clients: each begins its next operation when the last one is done. */

import { quantile } from './output.js';

export interface Load {
  readonly clients: number;
  readonly warmMs: number;
  readonly lengthMs: number;
}

/** Milliseconds of the operations that ended within the measured time, ascending, and how many a second. */
export interface Measured {
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly p999_ms: number;
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/** Runs `operation` with a number that is never repeated within a run. */
export async function measure(load: Load, operation: (number: number) => Promise<void>): Promise<Measured> {
  const begin = performance.now() + load.warmMs;
  const end = begin + load.lengthMs;
  const times: number[] = [];
  let number = 0;
  const client = async (): Promise<void> => {
    for (;;) {
      const from = performance.now();
      if (from >= end) return;
      await operation(++number);
      const to = performance.now();
      if (to >= begin && to < end) times.push(to - from);
    }
  };
  await Promise.all(Array.from({ length: load.clients }, client));
  const at = (q: number): number => rounded(quantile(times, q));
  const per_s = Math.round(times.length / (load.lengthMs / 1000));
  return { per_s, p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999) };
}
