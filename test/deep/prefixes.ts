/** Scenarios as prefixes of simulated runs: a run continues at random from the state that a scenario reaches. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import {
  actions,
  apply,
  createWorld,
  parseScenario,
  runScenario,
  type Action,
  type Prefix,
  type World,
} from 'quorate/testing';

const MODELS = [raftModel, multipaxosModel];

/**
 * The same run without anything eager: what happened at once in the scenario becomes an action. So disks and machines
 * are slow, and fail, in what comes after.
 */
function spelledOut(world: World, scripted: readonly Action[], eager: Readonly<Record<string, boolean>>): Action[] {
  const happened: Action[] = [];
  let here = world;
  const happen = (action: Action): void => {
    happened.push(action);
    here = apply(here, action);
  };
  const next = (): Action | undefined => actions(here).find(({ kind }) => eager[kind] === true);
  const rest = (): void => {
    for (let action = next(); action !== undefined; action = next()) happen(action);
  };
  rest();
  for (const action of scripted) {
    happen(action);
    rest();
  }
  return happened;
}

/** @param folder of the scenarios, as a URL that ends in a slash */
export function prefixesOf(protocol: string, folder: URL): readonly Prefix[] {
  const model = MODELS.find((each) => each.protocol.name === protocol);
  const names = readdirSync(fileURLToPath(folder), { recursive: true, encoding: 'utf8' });
  return names.flatMap((name): readonly Prefix[] => {
    if (model === undefined || !name.endsWith('.scenario')) return [];
    const scenario = parseScenario(readFileSync(new URL(name, folder), 'utf8'));
    const { replicas, program, seed, established, preVote, eager, timing, limits, constants, maxWaiting } =
      scenario.header;
    if (scenario.header.protocol !== protocol) return [];
    const { actions: scripted } = runScenario(scenario, MODELS);
    const tuning = { timing, limits, preVote };
    const world = { replicas, program, seed, established, constants, maxWaiting, tuning };
    return [{ world, actions: spelledOut(createWorld({ model, ...world }), scripted, { ...eager }) }];
  });
}
