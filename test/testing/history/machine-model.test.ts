/** An application's machine as a model: its results and refusals fit, others do not, and nothing leaks. */

import { describe, expect, it } from 'vitest';
import { CommandRejected } from '../../../src/replica/errors.js';
import type { StateMachine } from '../../../src/replica/state-machine.js';
import type { History, Operation } from '../../../src/testing/history/history.js';
import { checkLinearizable } from '../../../src/testing/history/linearizability.js';
import { checkLogOrder } from '../../../src/testing/history/linearizability-log-order.js';
import { machineModel, type Rejected } from '../../../src/testing/history/machine-model.js';
import { refused, unknown } from '../../../src/testing/history/models.js';

type Command = { readonly kind: 'pay'; readonly into: string; amount: number } | { readonly kind: 'crash' };

/** Accounts that hand out what they hold themselves, and write to what they are given: as careless as can be. */
function accounts(): StateMachine<Command, { balance: number }, Map<string, number>> {
  let balances = new Map<string, number>();
  return {
    apply(command) {
      if (command.kind === 'crash') throw new Error('out of money');
      const balance = (balances.get(command.into) ?? 0) + command.amount;
      command.amount = Number.NaN;
      if (balance < 0) throw new CommandRejected({ lacking: -balance });
      balances.set(command.into, balance);
      return { balance };
    },
    snapshot: () => balances,
    restore(snapshot) {
      balances = snapshot;
    },
  };
}

const pay = (into: string, amount: number): Command => ({ kind: 'pay', into, amount });

function sequence(
  ...told: readonly (readonly [Command, { balance: number } | Rejected])[]
): History<Command, { balance: number } | Rejected> {
  return told.map(([input, output], at): Operation<Command, { balance: number } | Rejected> => {
    const shared = { client: 'a', input, call: 2 * at, at: { kind: 'entry', index: at + 1 } } as const;
    return { ...shared, outcome: 'ok', output, return: 2 * at + 1 };
  });
}

describe('a machine as a model', () => {
  it('takes its results and its refusals for outputs, and no others', () => {
    const good = sequence(
      [pay('x', 5), { balance: 5 }],
      [pay('x', -7), { rejected: { lacking: 2 } }],
      [pay('y', 1), { balance: 1 }],
      [pay('x', 0), { balance: 5 }],
    );
    const bad = [
      sequence([pay('x', 5), { balance: 6 }]),
      sequence([pay('x', -7), { balance: -7 }]),
      sequence([pay('x', -7), { rejected: { lacking: 6 } }]),
      sequence([pay('x', 5), { rejected: { lacking: 0 } }]),
    ];
    for (const check of [checkLinearizable, checkLogOrder]) {
      expect(check(good, machineModel(accounts))).toMatchObject({ kind: 'linearizable' });
      for (const history of bad) expect(check(history, machineModel(accounts)).kind).toBe('violation');
    }
  });

  it('changes neither states nor commands', () => {
    const model = machineModel(accounts);
    const command = pay('x', 5);
    const after = model.step(model.initial, command, unknown);
    expect(after).toEqual(new Map([['x', 5]]));
    expect(model.initial).toEqual(new Map());
    expect(command).toEqual(pay('x', 5));
    expect(model.step(after, pay('x', -6), unknown)).toBe(after);
    expect(model.step(after, pay('x', 1), { balance: 7 })).toBe(refused);
    expect(after).toEqual(new Map([['x', 5]]));
  });

  it('lets other exceptions through', () => {
    const history = sequence([{ kind: 'crash' }, { balance: 0 }]);
    expect(() => checkLinearizable(history, machineModel(accounts))).toThrow('out of money');
  });
});
