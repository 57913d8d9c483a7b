/** Scopes and limits of a search that cannot be meant are refused. */

import { describe, test } from 'vitest';
import { raftModel as model } from 'quorate/raft';
import { checkModel, fingerprintTableBytes, walkModel, type Scope } from 'quorate/testing';
import { refused, type Wrong } from '../refusals.js';

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
