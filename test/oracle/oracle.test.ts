/** Both cores are quiet under the oracle, and it speaks up when a rule that they need is taken out. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import type { Core } from './core.js';
import { findViolation } from './run.js';

const SEEDS = 300;

function violations(core: Core): string[] {
  const found: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const violation = findViolation(core, seed);
    if (violation !== null) found.push(`seed ${seed}: ${violation}`);
  }
  return found;
}

describe('the oracle', () => {
  it.each<Core>([raftProtocol, multipaxosProtocol])('finds nothing wrong with $name', (core) => {
    expect(violations(core)).toEqual([]);
  });
});
