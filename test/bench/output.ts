/**
 * How benchmarks speak: one JSON line a figure on standard output, everything else on standard error. The lines
 * have the form of those of other libraries, so that they can be set beside them in one run on one machine.
 *
 * What the core figures mean: three replicas of one protocol in one thread, messages handed over by value (or, with
 * `"codec":true`, as bytes), storage instant and in memory, its older part dropped every 10,000 entries. Every
 * payload is fresh, and is checked as it is handed over, in order, on all three; only then does its batch count. In
 * `closed` mode the next batch follows when the last one is delivered on all three, of which the leader's notice tells
 * the followers.
 */

import { readFileSync } from 'node:fs';

const manifest = new URL('../../package.json', import.meta.url);
/** Of this package. */
export const version = (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;

/** One figure. */
export function line({ system, ...figure }: { readonly system: string; readonly [name: string]: unknown }): void {
  process.stdout.write(`${JSON.stringify({ system, version, ...figure })}\n`);
}

/** For whoever watches. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** With so many digits that mean something. */
export function rounded(value: number, digits = 3): number {
  return value === 0 ? 0 : Number(value.toPrecision(digits));
}

/** The value below which `share` of the samples lie; sorts them. */
export function quantile(samples: number[], share: number): number {
  samples.sort((a, b) => a - b);
  return samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? NaN;
}
