/**
 * Random schedules over both protocols: loss, duplication, reordering, one-way cuts, pauses, crashes at persist
 * boundaries and in the middle of a step. A failure prints seed and decisions, shrunk; `SEED=7 npx vitest run
 * test/both/schedules.test.ts` begins elsewhere, `SCHEDULES=1000` runs more of each size.
 */

import { afterAll, describe, expect, it } from 'vitest';
import { newCounters } from '../support/checks.js';
import { protocols } from '../support/protocols.js';
import { run } from '../support/schedule.js';

const base = Number(process.env['SEED'] ?? 1);
const factor = Number(process.env['SCHEDULES'] ?? 0);
/** Size of the cluster, how many schedules, how many actions each. */
const mix: readonly (readonly [size: number, schedules: number, actions: number])[] = [
  [1, 30, 150],
  [2, 50, 300],
  [3, 160, 400],
  [4, 40, 400],
  [5, 70, 500],
  [7, 15, 600],
];

/** Schedules that found something once: protocol, size, seed, actions. */
const past: readonly (readonly [name: string, size: number, seed: number, actions: number])[] = [
  ['raft', 3, 3050689, 400], // halted: a load had been read before a truncate that was under way
  ['raft', 7, 7005023, 600], // led by the votes of others before its own was reported durable
  ['multipaxos', 2, 2000030, 300], // never sent anything again to a peer that was unreachable once
  ['multipaxos', 3, 3350430, 400], // a window full of what was long chosen
  ['multipaxos', 4, 4350828, 400],
  ['multipaxos', 5, 5350414, 500],
];

describe.each(protocols)('%s', (name, protocol) => {
  const counters = newCounters();

  it('keeps its promises where it once did not', () => {
    for (const [whose, size, seed, length] of past) if (whose === name) run({ protocol, size, seed, length });
  });

  it.each(mix)('keeps its promises with %i members, in %i schedules of %i actions', (size, schedules, length) => {
    for (let at = 0; at < (factor > 0 ? factor : schedules); at++) {
      run({ protocol, size, seed: base + at + size * 1_000_003, length, counters });
    }
  }, factor > 0 ? 3_600_000 : 60_000);

  it('everything that could go wrong did happen', () => {
    for (const [what, count] of Object.entries(counters)) expect(count, what).toBeGreaterThan(0);
  });

  afterAll(() => {
    if (process.env['COUNTERS'] !== undefined) console.log(JSON.stringify(counters));
  });
});
