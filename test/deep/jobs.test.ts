/** The jobs of a deep run, for every seed that it takes. */

import { describe, expect, it } from 'vitest';
import { raft } from 'quorate';
import { raftModel as model } from 'quorate/raft';
import { simulate, simulateHost } from 'quorate/testing';
import { jobsOf, LARGEST_SEED, type Job } from './jobs.js';

function first<K extends Job['kind']>(kind: K, seed: number): Extract<Job, { readonly kind: K }> {
  for (const job of jobsOf(seed, 1, true)) if (job.kind === kind) return job as Extract<Job, { readonly kind: K }>;
  throw new RangeError('there are jobs without end');
}

describe('a deep run', () => {
  it.each([0, 1, 424_242, LARGEST_SEED])('from seed %s has jobs that the simulations take', async (seed) => {
    const host = await simulateHost({ seed: first('host', seed).seed, protocol: raft, size: 1, steps: 0 });
    expect(host.requests).toBeGreaterThan(0);
    expect(simulate({ model, seed: first('simulate', seed).seed, length: 1 }).schedules).toBe(1);
  });

  it('does other work for another seed', () => {
    expect(first('host', 424_242).seed).not.toBe(first('host', 424_243).seed);
    expect(first('simulate', 424_242).seed).not.toBe(first('simulate', 424_243).seed);
  });
});
