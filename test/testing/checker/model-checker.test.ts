/** The model checker: scopes exhausted on the protocols as shipped, and broken ones that it must find. */

import { describe, expect, test } from 'vitest';
import { amount } from '../../amount.js';
import { raftModel } from '../../../src/raft/evidence/model.js';
import { checkModel, type FoundViolation } from '../../../src/testing/checker/model-checker.js';
import type { Scope } from '../../../src/testing/checker/model-checker-scope.js';
import { walkModel } from '../../../src/testing/checker/model-checker-walk.js';
import { formatActions } from '../../../src/testing/scenario/scenario-format.js';
import { headerOf } from '../../../src/testing/scenario/scenario-header.js';
import { actionsOf, parseScenario } from '../../../src/testing/scenario/scenario.js';
import { apply, createWorld } from '../../../src/testing/world/world.js';
import { credulous, forgetful, hasty, rootless, twofaced } from '../world/broken.js';
import { deepScopes, quickScopes } from './scopes.js';

/** Of every change; the larger ones are for the deep suite. */
const MOST_STATES = amount(5000, Infinity);

describe('the protocols as shipped', () => {
  const coverage = new Set<string>();
  const chosen = Object.entries(quickScopes).filter(([, { distinct }]) => distinct <= MOST_STATES);

  test.each(chosen)(
    '%s: nothing breaks a rule, and there are as many states as ever',
    { timeout: 300_000 },
    (_, { scope, distinct, depth }) => {
      const result = checkModel({ scope });
      expect(result.violation).toBeNull();
      for (const point of result.coverage) coverage.add(point);
      expect([result.complete, result.limit]).toEqual([true, null]);
      expect({ distinct: result.distinct, depth: result.depth }).toEqual({ distinct, depth });
      expect(result.collisionOdds).toBeLessThan(1e-6);
    },
  );

  test('what makes a search mean something has happened', () => {
    for (const point of [
      'election won',
      'conflict truncated',
      'leader stepped down on a higher term',
      'a leader was elected',
      'asked for what was trimmed',
      'a snapshot was needed',
      'a snapshot of a peer was installed',
      'a snapshot of a peer was installed over what was on its way to disk',
      'votes were kept above an installed snapshot',
    ]) {
      expect(coverage).toContain(point);
    }
  });
});

/** Goes the way that was found, in a plain world, and as a scenario that is written down and read again. */
function breaksAgain({ world, actions, rule }: FoundViolation): void {
  expect(actionsOf(parseScenario(formatActions(headerOf(world), actions)))).toEqual(actions);
  let now = createWorld(world);
  for (const action of actions.slice(0, -1)) now = apply(now, action);
  expect(() => apply(now, actions.at(-1) as (typeof actions)[number])).toThrow(rule);
}

describe('broken protocols', () => {
  const twoVotes: Scope = { model: twofaced, replicas: 3, network: 'set', maxTerm: 1, electionsEach: 1 };
  const split = { elections: 1, crashes: 1, splitWrites: true } as const;

  // The shortest ways, found by hand: two candidates and a vote for each; a vote, a restart that forgets it; a
  // candidate whose request leaves while its own vote is still under way; two candidates, one refuses the other. That
  // refusal is an answer that is there at once: it is on the way all the same, and no other answer is. Of snapshots: two
  // elect a leader, which commits its no-op and trims it; the third is brought it, and acknowledges it to the leader.
  test.each([
    ['a refusal taken for a vote', { ...twoVotes, model: credulous }, /^raft\/leader-by-majority: /, 4],
    ['two votes in a term', twoVotes, /^raft\/one-vote-per-term: /, 4],
    ['a vote forgotten', { ...twoVotes, model: forgetful, replicas: 2, crashes: 1 }, /^raft\/one-vote-per-term: /, 3],
    [
      'sent before it is durable',
      { model: hasty, replicas: 2, network: 'consume', ...split },
      /^durability\/send-after-sync: /,
      1,
    ],
    [
      'a snapshot that is installed in memory alone',
      { model: rootless, replicas: 3, network: 'set', elections: 1, snapshots: 1, installs: 1 },
      /^durability\/send-after-sync: /,
      9,
    ],
  ] as const)('%s: found on the shortest way, which can be gone again', (_, scope, rule, moves) => {
    const { violation, complete } = checkModel({ scope });
    expect(complete).toBe(false);
    expect(violation?.rule).toMatch(rule);
    expect(violation?.actions).toHaveLength(moves);
    breaksAgain(violation as FoundViolation);
  });

  test('two votes in a term: found by chance, too', () => {
    const { violation, moves } = walkModel({ scope: twoVotes, seed: 7, walks: 1000, length: 30 });
    expect(moves).toBeGreaterThan(0);
    expect(violation?.rule).toMatch(/^raft\/one-vote-per-term: /);
    breaksAgain(violation as FoundViolation);
  });

  test('without what breaks it, the same scope holds, and walks find nothing', () => {
    const scope: Scope = { ...twoVotes, model: raftModel };
    expect(checkModel({ scope }).complete).toBe(true);
    const { violation, walks } = walkModel({ scope, seed: 7, walks: 200, length: 30 });
    expect([violation, walks]).toEqual([null, 200]);
  });
});

describe('a limit', () => {
  const { scope, distinct: all, depth: deepest } = quickScopes['raft n3 E1 R1'];

  test('is said, and proves nothing', () => {
    const cut = [checkModel({ scope, maxStates: 50 }), checkModel({ scope, maxDepth: 3 })];
    expect(cut.map(({ limit, complete }) => [limit, complete])).toEqual([
      ['states', false],
      ['depth', false],
    ]);
    expect(cut.map(({ distinct }) => distinct < all)).toEqual([true, true]);
  });

  test('can be of time or memory: who is asked says when', () => {
    const big = deepScopes['raft n3 T1 R2'].scope;
    const seen: number[] = [];
    const result = checkModel({ scope: big, stop: ({ distinct }) => seen.push(distinct) === 3 });
    expect([result.limit, result.complete]).toEqual(['stop', false]);
    expect(seen).toHaveLength(3);
  });

  test('of the deepest state is no limit', () => {
    expect(checkModel({ scope, maxDepth: deepest + 1 }).complete).toBe(true);
  });
});
