/**
 * Every reduction of the model checker against the same search without it, at the smallest scopes: the same verdict,
 * on sound protocols and on broken ones, and the same situations. A situation is what the checks look at: processes,
 * disks, what was committed and what safety remembers, without what is under way and how it came to be.
 */

import { describe, expect, test } from 'vitest';
import { amount } from '../../amount.js';
import { multipaxosModel } from '../../../src/multipaxos/evidence/model.js';
import { raftModel } from '../../../src/raft/evidence/model.js';
import { Names } from '../../../src/testing/checker/fingerprint.js';
import { PartTaker } from '../../../src/testing/checker/fingerprint-parts.js';
import { WorldPrinter } from '../../../src/testing/checker/fingerprint-world.js';
import {
  checkModel,
  type ModelCheckerOptions,
  type ModelCheckerResult,
} from '../../../src/testing/checker/model-checker.js';
import type { Scope } from '../../../src/testing/checker/model-checker-scope.js';
import type { World } from '../../../src/testing/world/state.js';
import { credulous, forgetful, twofaced } from '../world/broken.js';

interface Seen extends ModelCheckerResult {
  /** Fingerprints of all situations met. */
  readonly situations: ReadonlySet<string>;
}

/** A search, with the situations that it met; those of interest alone if `of` says which. */
function search(options: ModelCheckerOptions, of: (world: World) => boolean = () => true): Seen {
  const situations = new Set<string>();
  let taker: PartTaker | null = null;
  let printer: WorldPrinter | null = null;
  const result = checkModel({
    maxStates: 50_000,
    ...options,
    visit({ world }) {
      if (!of(world)) return;
      const names = new Names(world.rules.ids);
      taker ??= new PartTaker(world.rules, names, true);
      printer ??= new WorldPrinter(names, options.scope.model.symmetric);
      const parts = taker.take(world, null, null);
      printer.print(
        { ...parts, links: parts.links.map(() => []) },
        world.rules.ids.map(() => 0),
        [],
      );
      situations.add(`${printer.a} ${printer.b}`);
    },
  });
  return { ...result, situations };
}

function rulesOf({ violation }: ModelCheckerResult): string | undefined {
  return violation?.rule.split(' ')[0];
}

const small: readonly (readonly [string, Scope])[] = [
  ['raft', { model: raftModel, replicas: 2, network: 'set', electionsEach: 1 }],
  ['raft with a command', { model: raftModel, replicas: 2, network: 'set', elections: 1, proposals: 1 }],
  ['raft with a crash', { model: raftModel, replicas: 2, network: 'set', maxTerm: 1, electionsEach: 1, crashes: 1 }],
  ['raft of three', { model: raftModel, replicas: 3, network: 'set', maxTerm: 1, electionsEach: 1 }],
  ['paxos', { model: multipaxosModel, replicas: 2, network: 'set', electionsEach: 1 }],
  ['paxos with a crash', { model: multipaxosModel, replicas: 2, network: 'set', elections: 1, crashes: 1 }],
];

const snapshot = { snapshots: 1, installs: 1 } as const;
const two = { replicas: 2, network: 'set' } as const;

/** More of what answers are made of: other kinds of messages, and replicas that crash while one is in the set. */
const answered: readonly (readonly [string, Scope])[] = [
  ['raft of three with a command', { model: raftModel, replicas: 3, network: 'set', elections: 1, proposals: 1 }],
  ['raft with a heartbeat and a read', { model: raftModel, ...two, elections: 1, beats: 1, reads: 1 }],
  ['paxos of three', { model: multipaxosModel, replicas: 3, network: 'set', elections: 1 }],
  ['paxos with a command', { model: multipaxosModel, replicas: 2, network: 'set', elections: 1, proposals: 1 }],
  ['paxos with a heartbeat and a read', { model: multipaxosModel, ...two, elections: 1, beats: 1, reads: 1 }],
  ['raft of three with a snapshot', { model: raftModel, replicas: 3, network: 'set', elections: 1, ...snapshot }],
  ['paxos with a snapshot', { model: multipaxosModel, ...two, electionsEach: 1, ...snapshot }],
  ['paxos, a crash of either candidate', { model: multipaxosModel, ...two, electionsEach: 1, crashes: 1 }],
];

/** Broken in one rule each, and how it shows. */
const bad: readonly (readonly [string, Scope])[] = [
  ['a refusal taken for a vote', { model: credulous, replicas: 3, network: 'set', maxTerm: 1, electionsEach: 1 }],
  ['two votes in a term', { model: twofaced, replicas: 3, network: 'set', maxTerm: 1, electionsEach: 1 }],
  ['a vote forgotten', { model: forgetful, replicas: 2, network: 'set', maxTerm: 1, electionsEach: 1, crashes: 1 }],
];

/** Without it, the same situations are met, and the same rule is found broken in as many moves. */
function losesNothing(
  name: string,
  off: Partial<ModelCheckerOptions>,
  change: (scope: Scope) => Scope,
  shrinks: readonly string[],
  scopes = small,
  broken = bad,
): void {
  describe(name, () => {
    const chosen = scopes.filter(([, { replicas }]) => replicas === 2 || off.canonical !== false);

    test.each(chosen)('loses nothing of %s', (which, given) => {
      const scope = change(given);
      const [reduced, full] = [search({ scope }), search({ scope, ...off })];
      expect([reduced.complete, full.complete]).toEqual([true, true]);
      expect(reduced.situations).toEqual(full.situations);
      if (shrinks.includes(which)) expect(reduced.distinct).toBeLessThan(full.distinct);
      else expect(reduced.distinct).toBeLessThanOrEqual(full.distinct);
    });

    test.each(broken)('finds %s all the same', (_, given) => {
      const scope = change(given);
      const [reduced, full] = [checkModel({ scope }), checkModel({ scope, ...off })];
      expect(rulesOf(reduced)).toBeDefined();
      expect(rulesOf(full)).toBe(rulesOf(reduced));
      expect(full.violation?.actions.length).toBe(reduced.violation?.actions.length);
    });
  });
}

/** States as they stand never repeat where messages do: what counts them counts on. So each arrives once. */
const consumed = (scope: Scope): Scope => ({ ...scope, network: 'consume' });

losesNothing('the canonical digest', { canonical: false, symmetry: false }, consumed, ['raft', 'paxos']);
const both = [...small, ...answered];
/** Here all the answers that it would send at once are outdated soon, and dropped. */
const dropped = [
  'raft with a command',
  'raft with a crash',
  'raft of three',
  'raft of three with a command',
  'raft of three with a snapshot',
];
const quicker = both.map(([name]) => name).filter((name) => !dropped.includes(name));
losesNothing('answers at once', { answers: false }, (scope) => scope, quicker, both);

/** Too large for every change. */
const large: readonly (readonly [string, Scope])[] = [
  ['paxos of three with a command', { ...two, model: multipaxosModel, replicas: 3, elections: 1, proposals: 1 }],
];
const dated: readonly (readonly [string, Scope])[] = [
  ...both,
  ...large.slice(0, amount(0, large.length)),
  ['raft, crashes of either candidate', { model: raftModel, ...two, maxTerm: 2, electionsEach: 2, crashes: 1 }],
  ['paxos, slow writes', { model: multipaxosModel, ...two, electionsEach: 1, crashes: 1, splitWrites: true }],
];
const kept = ['raft', 'raft of three']; // as are those of one candidate
const fewer = dated.map(([name]) => name).filter((name) => !name.includes(' with a ') && !kept.includes(name));
// Broken protocols are searched without it.
losesNothing('dropping what is outdated', { outdated: false }, (scope) => scope, fewer, dated, []);

losesNothing('symmetry', { symmetry: false }, (scope) => scope, ['raft', 'raft with a crash', 'raft of three']);

describe('the network as a set', () => {
  // Everything that can happen to messages that arrive once, or never, can happen to a set of them.
  const scopes = small.filter(([name]) => name === 'raft' || name === 'paxos');

  test.each(scopes)('%s: covers all that happens where messages arrive once', (_, scope) => {
    const [set, consumed] = [search({ scope }), search({ scope: { ...scope, network: 'consume' } })];
    expect([set.complete, consumed.complete]).toEqual([true, true]);
    expect([...consumed.situations].filter((each) => !set.situations.has(each))).toEqual([]);
    expect(consumed.situations.size).toBeGreaterThan(set.situations.size / 2);
  });

  // What arrives again while a write is under way is not held back twice.
  const slow: readonly (readonly [string, Scope])[] = [
    ['raft', { model: raftModel, ...two, elections: 1, proposals: 1, crashes: 1, splitWrites: true }],
    ['paxos', { model: multipaxosModel, ...two, electionsEach: 1, crashes: 1, splitWrites: true }],
  ];

  test.each(slow)('%s: covers that also where writes take their time', (_, scope) => {
    const [set, consumed] = [search({ scope }), search({ scope: { ...scope, network: 'consume' } })];
    expect([set.complete, consumed.complete]).toEqual([true, true]);
    expect([...consumed.situations].filter((each) => !set.situations.has(each))).toEqual([]);
  });

  test.each(bad)('%s: is found in both', (_, scope) => {
    const consumed = checkModel({ scope: { ...scope, network: 'consume' } });
    expect(rulesOf(consumed)).toBe(rulesOf(checkModel({ scope })));
  });
});

describe('applying at once', () => {
  test('covers all situations in which nothing waits to be applied', () => {
    const scope: Scope = { model: raftModel, replicas: 2, network: 'set', elections: 1, proposals: 1 };
    const idle = (world: World): boolean => world.slots.every((slot) => slot.applying === null);
    const [eager, split] = [search({ scope }), search({ scope: { ...scope, splitApplies: true } }, idle)];
    expect([eager.complete, split.complete]).toEqual([true, true]);
    expect(eager.situations).toEqual(split.situations);
  });
});

describe('writing at once', () => {
  test('is covered by writes that take their time', () => {
    const scope: Scope = { model: raftModel, replicas: 2, network: 'set', elections: 1, crashes: 1 };
    const [eager, split] = [search({ scope }), search({ scope: { ...scope, splitWrites: true } })];
    expect([eager.complete, split.complete]).toEqual([true, true]);
    expect([...eager.situations].filter((each) => !split.situations.has(each))).toEqual([]);
    expect(split.situations.size).toBeGreaterThan(eager.situations.size);
  });
});
