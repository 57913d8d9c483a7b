/** Thousands of schedules of both protocols for every change; `npm run test:deep` runs as many as there is time for. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import {
  FAULT_KINDS,
  keyValueModel,
  runScenario,
  simulate,
  type SimulationReport,
} from '../../../src/testing/index.js';
import { createWorld } from '../../../src/testing/world/world.js';
import { Turn } from '../../../src/testing/world/turn.js';
import { worldOptionsOf } from '../../../src/testing/scenario/scenario-header.js';
import { parseScenario } from '../../../src/testing/scenario/scenario.js';
import { prefixesOf } from '../../deep/prefixes.js';
import { keyValue, keyValueCommands } from '../history/key-value.js';

const SCENARIOS = new URL('../../scenarios/', import.meta.url);
const MODELS = [raftModel, multipaxosModel] as const;
/** Of each kind; all points are met by far fewer, and further seeds are for `npm run test:deep`. */
const SCHEDULES = 500;

/** Of the scenarios: what is rare by chance is there by design. */
function coverageOfScenarios(model: (typeof MODELS)[number]): Set<string> {
  const hit = new Set<string>();
  for (const name of readdirSync(fileURLToPath(SCENARIOS), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.scenario')) continue;
    const scenario = parseScenario(readFileSync(new URL(name, SCENARIOS), 'utf8'));
    if (scenario.header.protocol !== model.protocol.name) continue;
    const turn = new Turn(createWorld(worldOptionsOf(scenario.header, model, undefined)), (fact) => {
      if (fact.kind === 'step') model.cover(fact.fact as never, (point) => hit.add(point));
    });
    for (const action of runScenario(scenario, model).actions) turn.run(action);
  }
  return hit;
}

function demandAll(report: SimulationReport, schedules: number): void {
  expect(report.schedules).toBe(schedules);
  expect(report.repeated).toBe(Math.floor(schedules / 20));
  expect(FAULT_KINDS.filter((kind) => report.faults[kind] === 0)).toEqual([]);
}

for (const model of MODELS) {
  const { name } = model.protocol;

  test(`${SCHEDULES} schedules of ${name}, a tenth from scripted beginnings, meet every point and every fault`, () => {
    const report = simulate({ model, seed: 1, schedules: SCHEDULES, prefixes: prefixesOf(name, SCENARIOS) });
    demandAll(report, SCHEDULES);
    const designed = coverageOfScenarios(model);
    const missed = model.coveragePoints.filter((point) => report.coverage[point] === 0 && !designed.has(point));
    expect(missed).toEqual([]);
    // Each has a name of its own, and none is hit that the model does not name.
    expect(new Set(model.coveragePoints).size).toBe(model.coveragePoints.length);
    expect(Object.keys(report.coverage).sort()).toEqual([...model.coveragePoints].sort());
  }, 240_000);

  test(`${SCHEDULES} schedules of a key-value store over ${name}, each tenth history searched for an order`, () => {
    const workload = { machine: keyValue(), commands: keyValueCommands, sequential: keyValueModel() };
    demandAll(simulate({ model, seed: 100_001, schedules: SCHEDULES, ...workload }), SCHEDULES);
  }, 240_000);
}
