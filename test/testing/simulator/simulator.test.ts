/** The simulator: it is deterministic, its checks can fail, what it finds is short and replays, bad input is refused. */

import { describe, expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import {
  countingMachine,
  FAULT_KINDS,
  keyValueModel,
  replay,
  runScenario,
  simulate,
  SimulationFailure,
  type MachineSpec,
  type SimulateOptions,
} from '../../../src/testing/index.js';
import { keyValue, keyValueCommands } from '../history/key-value.js';

const MODELS = [raftModel, multipaxosModel];

function failureOf(options: SimulateOptions): SimulationFailure {
  try {
    simulate({ schedules: 200, ...options });
  } catch (error) {
    if (error instanceof SimulationFailure) return error;
    throw error;
  }
  throw new Error('nothing was found');
}

describe.each(MODELS)('the simulator of $protocol.name', (model) => {
  test('key-value histories of many schedules are explained by the log and by an order, whatever goes wrong', () => {
    const report = simulate({
      model,
      machine: keyValue(),
      commands: keyValueCommands,
      sequential: keyValueModel(),
      schedules: 8,
    });
    expect(report.schedules).toBe(8);
    expect(report.answered).toBeGreaterThan(100);
  });

  test('a machine that throws is a finding, with the command', () => {
    const machine = keyValue((_, [verb]) => {
      if (verb === 'delete') throw new Error('no such thing');
      return null;
    });
    const failure = failureOf({ model, machine, commands: keyValueCommands, shrinkBudget: 20_000 });
    expect(failure.rule).toMatch(
      /^machine\/never-fails: the state machine failed at n\d: apply threw at index \d+: no such thing$/,
    );
    expect(JSON.stringify(failure.evidence)).toContain('delete');
  });

  test('a machine or a check that throws what cannot be looked at is a finding', () => {
    const fail = (): never => {
      const trap = (): never => {
        throw new Error('trapped');
      };
      throw new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap });
    };
    for (const machine of [keyValue(fail), { ...keyValue(), check: fail }]) {
      const failure = failureOf({ model, machine, commands: keyValueCommands, shrinkBudget: 20_000 });
      expect(failure.rule).toMatch(/^machine\/(never-fails|own-check): .*: something was thrown that has no text$/);
      expect(replay(failure.world, failure.actions)?.error.message).toBe(failure.rule);
      expect(runScenario(failure.scenario, model, { machine }).failure?.reason).toBe(failure.rule);
    }
  });

  test('a machine that differs from replica to replica is a finding', () => {
    let applied = 0;
    const machine = keyValue(() => ++applied);
    const failure = failureOf({ model, machine, commands: keyValueCommands, shrinkBudget: 20_000 });
    expect(failure.rule).toMatch(
      /^machine\/deterministic: the state machine is deterministic: n\d has another result at \d+$|^not deterministic/,
    );
  });

  test('a machine whose results are not those of its model is a finding', () => {
    const machine = keyValue((_, [verb]) => (verb === 'get' || verb === 'put' ? null : true));
    const options = { model, machine, commands: keyValueCommands, sequential: keyValueModel(), shrinkBudget: 100_000 };
    expect(failureOf(options).rule).toMatch(/^history\/explained-by-log: /);
  });

  test('a machine’s own check is asked, and what it finds shrinks to a few lines that replay', () => {
    const machine: MachineSpec = {
      ...keyValue(),
      check: (checked) => {
        if ((checked.snapshot() as unknown[]).length >= 2) throw new Error('two keys');
      },
    };
    const failure = failureOf({ model, machine, commands: keyValueCommands, replicas: 3 });
    expect(failure.rule).toMatch(/^machine\/own-check: the state machine's own check failed at n\d: two keys$/);
    expect(failure.actions.length).toBeLessThan(150);
    expect(replay(failure.world, failure.actions)?.error.message).toMatch(/two keys/);
    const run = runScenario(failure.scenario, model, { machine });
    expect(run.failure).toMatchObject({ kind: 'violation' });
    expect(run.failure?.reason).toMatch(/two keys/);
  });

  test('a prefix is where a tenth of the schedules begin', () => {
    const calls: unknown[] = [];
    simulate({
      model,
      schedules: 40,
      length: 30,
      prefixes: [
        { world: { replicas: 3 }, actions: [{ kind: 'propose', at: 0, replica: 'n2', command: 'first', timeout: 99 }] },
      ],
      observer: (fact) => void (fact.kind === 'asked' && fact.call === 1 && calls.push(fact.command)),
    });
    expect(calls).toContain('first');
    expect(calls.length).toBeGreaterThan(calls.filter((command) => command === 'first').length);
  });
});

describe('a simulation', () => {
  test('is refused when an option is out of range', () => {
    const model = raftModel;
    expect(() => simulate({ model, seed: 0.5 })).toThrow(/^seed: expected a whole number from/);
    expect(() => simulate({ model, schedules: 0 })).toThrow(/^schedules: expected a whole number from 1/);
    expect(() => simulate({ model, length: -1 })).toThrow(/^length: expected/);
    expect(() => simulate({ model, replicas: 8 })).toThrow(/^replicas: expected 1 to 7, got 8/);
    expect(() => simulate({ model, machine: keyValue() })).toThrow(/^commands: expected a function/);
    expect(() => simulate({ model, tuning: { timing: { heartbeat: 0 } } })).toThrow(/^timing.heartbeat/);
    expect(() => simulate({ model, constants: { sessions: 1 } })).toThrow(/^sessions/);
    expect(() => simulate({ model, without: ['lightning' as never] })).toThrow(
      /^without: no fault is called "lightning"/,
    );
  });

  test('is not deterministic when two runs of a seed differ in anything, were it only a word', () => {
    let asked = 100_000;
    const differing = { model: raftModel, machine: countingMachine, commands: () => ++asked, seed: 20 };
    expect(() => simulate(differing)).toThrow(/^seed 20: not deterministic: the same seed ran in two ways/);
  });

  test('of seeds that are far apart is another', () => {
    const [one, ...others] = [7, 7 + 2 ** 32, 7 + 2 ** 40].map((seed) => {
      const { actions, delivered, virtualTime } = simulate({ model: raftModel, seed });
      return { actions, delivered, virtualTime };
    });
    for (const other of others) expect(other).not.toEqual(one);
  });

  test('counts no fault that found nobody to meet', () => {
    const { faults } = simulate({ model: raftModel, replicas: 1, schedules: 20 });
    const between = [
      'loss',
      'duplicate',
      'delay',
      'oneWay',
      'partition',
      'isolate',
      'swizzle',
      'unreachable',
      'wipe',
      'disconnect',
      'refuse',
      'deadPort',
    ] as const;
    expect(between.filter((kind) => faults[kind] > 0)).toEqual([]);
    expect(faults.crash).toBeGreaterThan(0);
  });

  test('has no faults when it is calm, and none that it is told to leave out', () => {
    const calm = simulate({ model: raftModel, schedules: 10, calm: true });
    expect(Object.values(calm.faults).every((count) => count === 0)).toBe(true);
    const report = simulate({ model: raftModel, schedules: 15, without: ['loss', 'crash'] });
    expect([report.faults.loss, report.faults.crash]).toEqual([0, 0]);
    expect(FAULT_KINDS.filter((kind) => report.faults[kind] > 0).length).toBeGreaterThan(10);
  });
});

describe('what only the end of a schedule can tell', () => {
  /** Nobody stands for election any more once terms have come this far. */
  const tired = (term: number): typeof raftModel => {
    const { protocol } = raftModel;
    const deadline = (state: Parameters<typeof protocol.deadline>[0]): number => {
      return state.term < term ? protocol.deadline(state) : Infinity;
    };
    return { ...raftModel, protocol: { ...protocol, deadline } };
  };

  test('is shrunk by playing the end after ever shorter storms', () => {
    const options = { model: tired(5), replicas: 3, schedules: 50, seed: 30, tuning: { preVote: false } };
    const whole = failureOf({ ...options, shrinkBudget: 0 });
    const shrunk = failureOf({ ...options, seed: whole.seed, shrinkBudget: 1_000_000 });
    expect(whole.rule).toMatch(/^liveness\//);
    expect(shrunk.rule.split(':')[0]).toBe(whole.rule.split(':')[0]);
    expect(shrunk.actions.length).toBeLessThan(whole.actions.length / 2);
  });
});

describe('what is the caller’s own fault', () => {
  test('passes through as such', () => {
    const thrower = (): never => {
      throw new Error('no more commands');
    };
    const machine = keyValue();
    const refused = (options: SimulateOptions) => expect(() => simulate({ schedules: 20, ...options }));
    refused({ model: raftModel, machine, commands: thrower }).toThrow(
      /^commands: threw for call \d+: no more commands$/,
    );
    refused({ model: raftModel, machine, commands: () => 1n as never }).not.toThrow(SimulationFailure);
    refused({ model: raftModel, machine, commands: () => 1n as never }).toThrow(/call \d+/);
    refused({ model: raftModel, shrinkBudget: -1 }).toThrow(/^shrinkBudget: expected a whole number from 0/);
    expect(() => simulate(undefined as never)).toThrow(/^options: /);
    expect(() => simulate({} as never)).toThrow(/^model: /);
    const actions = [{ kind: 'pause', at: 0, replica: 'n9' } as const];
    refused({ model: raftModel, prefixes: [{ world: { replicas: 3 }, actions }] }).toThrow(/n9/);
  });
});
