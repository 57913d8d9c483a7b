/** Schedules of both protocols for every change; `npm run test:deep` runs as many as there is time for. */

import { describe, expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import { createWorld, FAULT_KINDS, keyValueModel, simulate, type Prefix } from '../../../src/testing/index.js';
import { Turn } from '../../../src/testing/world/turn.js';
import { amount } from '../../amount.js';
import { prefixesOf } from '../../deep/prefixes.js';
import { keyValue, keyValueCommands } from '../history/key-value.js';

const SCENARIOS = new URL('../../scenarios/', import.meta.url);
const MODELS = [raftModel, multipaxosModel] as const;
/** Of each kind; further seeds are for `npm run test:deep`. */
const SCHEDULES = amount(90, 150);

/** Of the scenarios: what is rare by chance is there by design. */
function coverageOf(model: (typeof MODELS)[number], scenarios: readonly Prefix[]): Set<string> {
  const hit = new Set<string>();
  for (const { world, actions } of scenarios) {
    const turn = new Turn(createWorld({ model, ...world }), (fact) => {
      if (fact.kind === 'step') model.cover(fact.fact as never, (point) => hit.add(point));
    });
    for (const action of actions) turn.run(action);
  }
  return hit;
}

/** What is made when it is first asked for. */
function lazy<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

describe.each(MODELS)('$protocol.name', { timeout: 240_000 }, (model) => {
  const scenarios = lazy(() => prefixesOf(model.protocol.name, SCENARIOS));
  const scripted = lazy(() => simulate({ model, seed: 1, schedules: SCHEDULES, prefixes: scenarios() }));
  const workload = { machine: keyValue(), commands: keyValueCommands, sequential: keyValueModel() };
  const searched = lazy(() => simulate({ model, seed: 100_001, schedules: SCHEDULES, ...workload }));

  test.each([
    ['a tenth from scripted beginnings', scripted],
    ['of a key-value store, each tenth history searched for an order', searched],
  ])(`${SCHEDULES} schedules, %s, meet every fault`, (_, reported) => {
    const { schedules, repeated, faults } = reported();
    expect({ schedules, repeated }).toEqual({ schedules: SCHEDULES, repeated: Math.floor(SCHEDULES / 20) });
    expect(FAULT_KINDS.filter((kind) => faults[kind] === 0)).toEqual([]);
  });

  test('with the scenarios all these meet every point', () => {
    const met = [scripted(), searched()].map(({ coverage }) => coverage);
    const designed = coverageOf(model, scenarios());
    const missed = model.coveragePoints.filter((point) => met.every((counts) => counts[point] === 0));
    expect(missed.filter((point) => !designed.has(point))).toEqual([]);
    // Each has a name of its own, and none is hit that the model does not name.
    expect(new Set(model.coveragePoints).size).toBe(model.coveragePoints.length);
    for (const counts of met) expect(Object.keys(counts).sort()).toEqual([...model.coveragePoints].sort());
  });
});
