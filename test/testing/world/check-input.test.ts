/** What the rig is given wrongly is refused with a typed error that names the place and the reason. */

import { describe, expect, test } from 'vitest';
import { raft, ConsensusError } from 'quorate';
import { raftModel } from 'quorate/raft';
import {
  apply,
  assertLinearizable,
  checkLinearizable,
  checkModel,
  counterModel,
  createWorld,
  formatHistory,
  fingerprintTableBytes,
  HistorySyntaxError,
  historyFromEvents,
  parseHistory,
  parseHistoryJson,
  parseScenario,
  replay,
  runScenario,
  ScenarioSyntaxError,
  simulate,
  simulateHost,
  walkModel,
  type Action,
  type Operation,
  type Scope,
} from 'quorate/testing';

const model = raftModel;
const world = createWorld({ model });

/** Everything here is what the types forbid. */
type Wrong = never;

function errorOf(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

function refused(body: () => unknown, reason: RegExp): void {
  const error = errorOf(body);
  expect(error).toBeInstanceOf(ConsensusError);
  expect((error as ConsensusError).code).toBe('ERR_INVALID_ARGUMENT');
  expect(error.message).toMatch(reason);
}

describe('a world', () => {
  test.each([
    [{ model: undefined }, /^model: expected raftModel or multipaxosModel, got undefined$/],
    [{ replicas: ['a', 'a'] }, /^replicas: a name stands there twice, got a, a$/],
    [{ replicas: 0 }, /^replicas: expected 1 to 7, got 0$/],
    [{ program: 'drivers' }, /^program: expected "driver" or "core", got "drivers"$/],
    [{ maxWaiting: -1 }, /^maxWaiting: expected a whole number from 1, got -1$/],
    [{ seed: 1.5 }, /^seed: expected a safe integer, got 1.5$/],
    [{ machine: {} }, /^machine: expected an object with a method create/],
    [{ strict: 'yes' }, /^strict: expected true or false, got "yes"$/],
    [{ replica: 3 }, /^replica: no such option; there are model, replicas, /],
    [{ eager: { write: true } }, /^eager\.write: no such option; there are written, applied, loaded$/],
    [{ constants: { alfa: 1 } }, /^constants\.alfa: no such option; there are alpha, /],
  ])('is not made with %j', (wrong, reason) => refused(() => createWorld({ model, ...wrong } as Wrong), reason));

  test('names what is wrong with its settings', () => {
    refused(() => createWorld(null as Wrong), /^options: expected an object, got null$/);
    expect(() => createWorld({ model, replicas: ['a', ''] })).toThrow(/^members: an id is 1 to 64/);
    expect(() => createWorld({ model, tuning: { timing: { heartbeats: 5 } as Wrong } })).toThrow(
      /^timing.heartbeats: no/,
    );
  });
});

const actions: readonly (readonly [unknown, RegExp])[] = [
  [{ kind: 'explode', at: 0, replica: 'n1' }, /: no action is of the kind "explode"$/],
  [{ kind: 'tick', replica: 'n1' }, / \(tick\): at: expected a number of milliseconds from 0, got undefined$/],
  [{ kind: 'tick', at: NaN, replica: 'n1' }, /: at: expected a number of milliseconds from 0, got NaN$/],
  [{ kind: 'crash', at: 0, replica: 'n9', keep: true }, / \(crash\): replica: expected one of n1, n2, n3, got "n9"$/],
  [{ kind: 'crash', at: 0, replica: 'n1' }, /: keep: expected true or false, got undefined$/],
  [{ kind: 'deliver', at: 0, from: 'n1', to: 'n2', pick: 0 }, /: pick: expected an ordinal from 1 or the beginning/],
  [{ kind: 'leap', at: 0, replica: 'n1', by: -5 }, /: by: expected a number of milliseconds from 0, got -5$/],
  [{ kind: 'rate', at: 0, replica: 'n1', rate: 0 }, /: rate: expected a finite number above 0, got 0$/],
  [{ kind: 'propose', at: 0, replica: 'n1', command: 1, timeout: 0 }, /: timeout: expected a number above 0, got 0$/],
  [{ kind: 'read', at: 0, replica: 'n1', minIndex: -1, timeout: 5 }, /: minIndex: expected null or an index from 0/],
  [{ kind: 'cancel', at: 0, calls: 1 }, /: calls: expected a list of numbers of calls, got 1$/],
  [null, /: expected an object, got null$/],
];

describe('an action', () => {
  test.each(actions)('is not %j', (action, reason) => refused(() => apply(world, action as Action), reason));

  test.each(actions)('in a list that is replayed is not %j, and its place is named', (action, reason) => {
    const wait: Action = { kind: 'wait', at: 1 };
    const body = (): unknown => replay({ model }, [wait, action as Action]);
    refused(body, reason);
    expect(errorOf(body).message).toMatch(/^action 1\b/);
  });

  test('of a caller carries what the codec can encode', () => {
    refused(
      () => apply(world, { kind: 'propose', at: 0, replica: 'n1', command: 1n, timeout: 5 }),
      /^the command of call 1 cannot be encoded: .*BigInt/,
    );
  });
});

describe('a search', () => {
  const scope: Scope = { model, replicas: 2, network: 'set', electionsEach: 1 };
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ network: 'tcp' }, /^scope\.network: expected "set" or "consume", got "tcp"$/],
    [{ network: undefined }, /^scope\.network: expected "set" or "consume", got undefined$/],
    [{ replicas: ['a', 'b'] }, /^scope\.replicas: expected a whole number from 1, got a,b$/],
    [{ replicas: 9 }, /^replicas: expected 1 to 7, got 9$/],
    [{ elections: -1 }, /^scope\.elections: expected a whole number from 0, got -1$/],
    [{ crashes: 'x' }, /^scope\.crashes: expected a whole number from 0, got "x"$/],
    [{ election: 1 }, /^scope\.election: no such option; there are model, /],
    [{ electionsBy: 'vote' }, /^scope\.electionsBy: expected "timeout" or "campaign", got "vote"$/],
  ];
  test.each(cases)('has no scope with %j', (wrong, reason) => {
    refused(() => checkModel({ scope: { ...scope, ...wrong } as Scope }), reason);
    refused(() => walkModel({ scope: { ...scope, ...wrong } as Scope, seed: 1, walks: 1, length: 1 }), reason);
  });

  test('has limits that are numbers', () => {
    refused(() => checkModel({ scope, maxStates: -1 }), /^maxStates: expected a whole number from 0, got -1$/);
    refused(() => checkModel({ scope, maxDepth: 'x' as Wrong }), /^maxDepth: expected a whole number from 0, got "x"$/);
    refused(() => checkModel({ scope, expected: -1 }), /^fingerprints expected: /);
    refused(
      () => walkModel({ scope, seed: 1, walks: -1, length: 1 }),
      /^walks: expected a whole number from 0, got -1$/,
    );
    refused(() => walkModel({ scope, seed: 0.5, walks: 1, length: 1 }), /^seed: /);
    refused(() => fingerprintTableBytes(-1), /^fingerprints expected: /);
  });
});

describe('a simulation', () => {
  test('takes no world that cannot be', () => {
    refused(() => simulate({ model, replicas: ['a', 'a'] }), /^replicas: a name stands there twice/);
    refused(() => simulate({ model, program: 'x' as Wrong }), /^program: expected/);
    refused(() => simulate({ model, machine: {} as Wrong, commands: () => 1 }), /^machine: expected/);
  });

  test('says of a machine without its methods which one is missing', () => {
    const machine = { create: () => ({ apply: () => 1 }) as Wrong };
    expect(() => simulate({ model, machine, commands: () => 1 })).toThrow(
      /expected a state machine, got one without snapshot/,
    );
  });

  test('of the shell refuses what it cannot run', async () => {
    await expect(simulateHost({ seed: 1 } as Wrong)).rejects.toThrow(/^protocol: expected raft or multipaxos/);
    await expect(simulateHost({ seed: 1.5, protocol: raft })).rejects.toThrow(/^seed: expected a 32-bit integer/);
    await expect(simulateHost({ seed: 1, protocol: raft, size: 9 })).rejects.toThrow(/^size: expected/);
    await expect(simulateHost({ seed: 1, protocol: raft, faults: 'crash' as Wrong })).rejects.toThrow(
      /^faults: expected a list/,
    );
    await expect(simulateHost({ seed: 1, protocol: raft, faults: ['x' as Wrong] })).rejects.toThrow(
      /^faults: no such class/,
    );
  });
});

describe('a scenario', () => {
  test.each([
    ['', 1, /the header does not say which protocol/],
    ['protocol: raft\nsede: 5', 2, /unknown field "sede"; did you mean seed\?/],
    ['protocol: raft\n\nexplode n1', 3, /unknown command "explode"/],
    ['protocol: raft\ncrash n7', 2, /unknown replica "n7"/],
    ['protocol: raft\nleap n1 -5', 2, /leap: expected 0 milliseconds or more, got -5/],
    ['protocol: raft\npropose n1 {a}', 2, /a command is JSON or one word/],
  ])('%j is refused by its line', (text, line, reason) => {
    const error = errorOf(() => parseScenario(text)) as ScenarioSyntaxError;
    expect(error).toBeInstanceOf(ScenarioSyntaxError);
    expect(error.line).toBe(line);
    expect(error.reason).toMatch(reason);
  });

  test('asks for a world that can be', () => {
    expect(() => runScenario('protocol: zab\n', model)).toThrow(/^line 1: unknown protocol "zab"; there are raft/);
    expect(() => runScenario('protocol: raft\ntiming: heartbeat=500', model)).toThrow(/^line 1: timing.electionMin/);
  });
});

describe('a history', () => {
  const read: Operation = { client: 'a', input: ['read'], output: 0, call: 0, return: 1, at: null, outcome: 'ok' };

  test('is a list of operations', () => {
    refused(() => checkLinearizable(5 as Wrong, counterModel()), /^a history is a list of operations, got number$/);
    refused(
      () => assertLinearizable([null as Wrong], counterModel()),
      /^operation 0 of the history: an object, got null$/,
    );
    refused(
      () => formatHistory([read, { ...read, call: NaN }]),
      /^operation 1 of the history: call is a finite number/,
    );
    refused(
      () => checkLinearizable([{ ...read, input: ['jump'] as Wrong }], counterModel()),
      /has no operation \["jump"\]/,
    );
    refused(() => checkLinearizable([read] as Wrong, counterModel(), { steps: -1 }), /^steps is a number from 0 on/);
  });

  test('is told in events that can be', () => {
    const events = [
      { kind: 'invoke', client: 'a', input: 1 },
      { kind: 'ko', client: 'a' },
    ];
    refused(() => historyFromEvents(events as Wrong), /^event 1: an event is invoke, ok, fail, unknown, got ko$/);
  });

  test('in text is refused by its line, in JSON by its path', () => {
    const text = errorOf(() => parseHistory('a invoke read\nb ok')) as HistorySyntaxError;
    expect([text.line, text.reason]).toEqual([2, 'client b has no operation open']);
    const json = errorOf(() => parseHistoryJson('[{"client":"a","input":1,"outcome":"ok"}]')) as HistorySyntaxError;
    expect([json.path, json.reason]).toEqual(['$[0].call', 'is missing']);
  });
});
