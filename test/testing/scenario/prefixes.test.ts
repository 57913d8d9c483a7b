/** The scripted beginnings of simulated runs lead to where their scenarios do, though nothing in them is eager. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import { parseScenario, runScenario } from '../../../src/testing/index.js';
import { planOf } from '../../../src/testing/simulator/plan.js';
import type { WorldRecord } from '../../../src/testing/index.js';
import { Turn } from '../../../src/testing/world/turn.js';
import { createWorld } from '../../../src/testing/world/world.js';
import { swept } from '../../amount.js';
import { prefixesOf } from '../../deep/prefixes.js';

const SCENARIOS = new URL('../../scenarios/', import.meta.url);

/** What was committed, and how every call ended. */
function outcome({ committed, calls }: WorldRecord): unknown {
  const entries = committed.items.slice(0, committed.length).map(({ index, kind, data }) => {
    // As text: some commands have a megabyte, and bytes are compared one by one.
    return { index, kind, data: Buffer.from(data).toString('latin1') };
  });
  return { entries, calls: calls.map(({ replica, kind, end }) => ({ replica, kind, end: end?.kind })) };
}

test.each([raftModel, multipaxosModel])(
  'the scripted beginnings of $protocol.name',
  (model) => {
    const texts = readdirSync(SCENARIOS, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.scenario'))
      .map((name) => readFileSync(new URL(name, SCENARIOS), 'utf8'))
      .filter((text) => parseScenario(text).header.protocol === model.protocol.name);
    const prefixes = prefixesOf(model.protocol.name, SCENARIOS);
    expect(prefixes.length).toBe(texts.length);
    prefixes.forEach((prefix, at) => {
      if (!swept(at, 2)) return;
      // As a plan begins with it: the seed of a run is not that of a script.
      const { world, prefix: actions } = beginning(model, prefix);
      const turn = new Turn(createWorld(world));
      expect(turn.rules.eager).toEqual({ written: false, applied: false, loaded: false });
      for (const action of actions) turn.run(action);
      expect(outcome(turn.finish().record)).toEqual(outcome(runScenario(texts[at] as string, model).world.record));
    });
  },
  60_000,
);

function beginning(model: typeof raftModel | typeof multipaxosModel, prefix: ReturnType<typeof prefixesOf>[number]) {
  for (let seed = 1; ; seed++) {
    const plan = planOf({ world: { model }, seed, length: 1, without: [], calm: false, prefixes: [prefix] });
    if (plan.prefix.length > 0) return plan;
  }
}
