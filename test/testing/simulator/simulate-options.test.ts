/** Options of a simulation that cannot be meant are refused. */

import { describe, expect, test } from 'vitest';
import { raftModel as model } from 'quorate/raft';
import { simulate } from 'quorate/testing';
import { refused, type Wrong } from '../refusals.js';

describe('a simulation', () => {
  test('takes no world that cannot be', () => {
    refused(() => simulate({ model, replicas: ['a', 'a'] }), /^replicas: a name stands there twice/);
    refused(() => simulate({ model, program: 'x' as Wrong }), /^program: expected/);
    refused(() => simulate({ model, machine: {} as Wrong, commands: () => 1 }), /^machine: expected/);
  });

  test('names the option whose value has no text', () => {
    for (const name of ['seed', 'schedules', 'length', 'shrinkBudget']) {
      const wrong = { model, [name]: Object.create(null) as unknown };
      refused(
        () => simulate(wrong as Wrong),
        new RegExp(`^${name}: expected a whole number from .* a value without text$`),
      );
    }
    refused(() => simulate({ model, without: [Object.create(null)] as Wrong }), /^without: no fault is called a value/);
  });

  test('says of a machine without its methods which one is missing', () => {
    const machine = { create: () => ({ apply: () => 1 }) as Wrong };
    expect(() => simulate({ model, machine, commands: () => 1 })).toThrow(
      /expected a state machine, got one without snapshot/,
    );
    const streaming = () => ({ apply: () => 1, snapshot: () => [], restoreFrom: () => 1 }) as Wrong;
    expect(() => simulate({ model, machine: { create: streaming }, commands: () => 1 })).toThrow(
      /expected a machine that does not stream its snapshots: checkSnapshots tries those/,
    );
  });
});
