/** Options of a simulation of the host that cannot be meant are refused. */

import { describe, expect, test } from 'vitest';
import { raft } from 'quorate';
import { simulateHost } from 'quorate/testing';
import { type Wrong } from '../refusals.js';

describe('a simulation', () => {
  test('of the host refuses what it cannot run', async () => {
    await expect(simulateHost({ seed: 1 } as Wrong)).rejects.toThrow(/^protocol: expected raft or multipaxos/);
    await expect(simulateHost({ seed: 1.5, protocol: raft })).rejects.toThrow(/^seed: expected a whole number from/);
    await expect(simulateHost({ seed: 2 ** 53, protocol: raft })).rejects.toThrow(
      /^seed: expected a whole number from/,
    );
    await expect(simulateHost({ seed: 1, protocol: raft, size: 9 })).rejects.toThrow(/^size: expected/);
    await expect(simulateHost({ seed: 1, protocol: raft, faults: 'crash' as Wrong })).rejects.toThrow(
      /^faults: expected a list/,
    );
    await expect(simulateHost({ seed: 1, protocol: raft, faults: ['x' as Wrong] })).rejects.toThrow(
      /^faults: no such class/,
    );
  });

  test('of the host names the option whose value has no text', async () => {
    for (const name of ['seed', 'steps', 'pace', 'size', 'faults']) {
      const wrong = { seed: 1, protocol: raft, [name]: Object.create(null) as Wrong };
      await expect(simulateHost(wrong)).rejects.toThrow(new RegExp(`^${name}: expected .*, got a value without text$`));
    }
  });
});
