/** Options and actions of a world that cannot be meant are refused. */

import { describe, expect, test } from 'vitest';
import { raftModel as model } from 'quorate/raft';
import { apply, createWorld, replay, type Action } from 'quorate/testing';
import { errorOf, refused, type Wrong } from '../refusals.js';

const world = createWorld({ model });

describe('a world', () => {
  test.each([
    [{ model: undefined }, /^model: expected raftModel or multipaxosModel, got undefined$/],
    [{ replicas: ['a', 'a'] }, /^replicas: a name stands there twice, got "a", "a"$/],
    [{ seed: Object.create(null) as unknown }, /^seed: expected a safe integer, got a value without text$/],
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
      /^the command of call 1 cannot be encoded: .*bigint/,
    );
  });
});
