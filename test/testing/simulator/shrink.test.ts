/** What a failing run is shortened to. */

import { describe, expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/evidence/model.js';
import { raftModel } from '../../../src/raft/evidence/model.js';
import { amount } from '../../amount.js';
import type { MachineSpec } from '../../../src/testing/world/machine.js';
import { replay, shrink } from '../../../src/testing/simulator/shrink.js';
import { simulate, SimulationFailure } from '../../../src/testing/simulator/simulator.js';

/** Takes letters, and breaks when a `b` follows an `a`, whatever came between: a bug of order, not of faults. */
const ordered: MachineSpec<string> = {
  create() {
    let seen = '';
    return {
      apply: (letter: string) => (seen += letter).length,
      snapshot: () => seen,
      restore: (snapshot: string) => void (seen = snapshot),
    };
  },
  check(machine) {
    if (/a.*b/.test(machine.snapshot() as string)) throw new Error('b after a');
  },
};

function failureOf(
  model: typeof raftModel | typeof multipaxosModel,
  seed: number,
  shrinkBudget?: number,
): SimulationFailure {
  try {
    const budget = shrinkBudget === undefined ? {} : { shrinkBudget };
    simulate({
      model,
      machine: ordered,
      commands: (random) => random.pick([...'abcdef']),
      seed,
      schedules: 50,
      ...budget,
    });
  } catch (error) {
    if (error instanceof SimulationFailure) return error;
    throw error;
  }
  throw new Error('nothing was found');
}

describe.each([raftModel, multipaxosModel])('a machine that the calls alone break, on $protocol.name', (model) => {
  test.each([5, 6, 9].slice(0, amount(1, 3)))(
    'shrinks to those calls, without a fault (seed %i)',
    { timeout: 240_000 },
    (seed) => {
      const failure = failureOf(model, seed);
      const proposals = failure.actions.flatMap((action) => (action.kind === 'propose' ? [action.command] : []));
      // With limits as small as these one more call may be there to make room for the next.
      expect(proposals.join('')).toMatch(/^(?:.?a|a.)b$/);
      const kinds = new Set(failure.actions.map(({ kind }) => kind));
      const calm = ['timeout', 'written', 'loaded', 'applied', 'deliver', 'propose'];
      expect([...kinds].filter((kind) => !calm.includes(kind))).toEqual([]);
      const again = replay(failure.world, failure.actions);
      expect(again?.error.message).toMatch(/b after a$/);
      expect(again?.committed).toEqual(failure.actions.filter(({ kind }) => kind === 'propose'));
    },
  );

  test('gives the run as it was when there is no budget, and no longer one with little', () => {
    const whole = failureOf(model, 1, 0);
    expect(replay(whole.world, whole.actions)?.error.message).toMatch(/b after a$/);
    const trial = (actions: typeof whole.actions) => replay(whole.world, actions, true);
    const short = shrink(whole.actions, new Error(whole.rule), trial, 5000);
    expect(short.length).toBeLessThanOrEqual(whole.actions.length);
    expect(replay(whole.world, short)?.error.message).toMatch(/b after a$/);
  });
});
