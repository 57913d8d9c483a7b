/** Scenarios as prefixes of simulated runs: a run continues at random from the state that a scenario reaches. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { createWorld, parseScenario, runScenario, type Action, type Prefix, type World } from 'quorate/testing';
import type { ReplicaId } from '../../src/core/members.js';
import { Turn } from '../../src/testing/world/turn.js';

const MODELS = [raftModel, multipaxosModel];
/** What can be eager, in the order in which it happens at a replica. */
const WORK = ['snapshotted', 'restored', 'written', 'applied', 'loaded'] as const;
/** As part of what is eager, too. */
const EAGER = { snapshotted: 'written', restored: 'applied', written: 'written', applied: 'applied', loaded: 'loaded' };

/**
 * The same run without anything eager: what happened at once in the scenario becomes an action. So disks and machines
 * are slow, and fail, in what comes after.
 */
function spelledOut(world: World, scripted: readonly Action[], eager: Readonly<Record<string, boolean>>): Action[] {
  const happened: Action[] = [];
  const turn = new Turn(world);
  const happen = (action: Action): void => {
    happened.push(action);
    turn.run(action);
  };
  const work = (place: number, replica: ReplicaId): Action | undefined => {
    const { process, paused, writing, applying, loads, taking, restoring } = turn.slot(place);
    if (process === null || paused) return undefined;
    const under = {
      snapshotted: taking !== null,
      restored: restoring !== null,
      written: writing !== null,
      applied: applying !== null,
      loaded: loads.length > 0,
    };
    const kind = WORK.find((each) => under[each] && eager[EAGER[each]] === true);
    if (kind === undefined) return undefined;
    const when = { at: turn.now, replica };
    return kind === 'snapshotted' ? { kind, ...when, fails: false } : { kind, ...when };
  };
  const next = (): Action | undefined => {
    for (const [place, replica] of turn.rules.ids.entries()) {
      const action = work(place, replica);
      if (action !== undefined) return action;
    }
    return undefined;
  };
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
    const { replicas, program, seed, established, preVote, eager, timing, limits, constants, maxWaiting, snapshots } =
      scenario.header;
    if (scenario.header.protocol !== protocol) return [];
    const { actions: scripted } = runScenario(scenario, MODELS);
    const tuning = { timing, limits, preVote };
    const world = { replicas, program, seed, established, constants, maxWaiting, snapshots, tuning };
    return [{ world, actions: spelledOut(createWorld({ model, ...world }), scripted, { ...eager }) }];
  });
}
