/** Scenarios inside tests: the same script over either protocol, in the rig's world (docs/testing.md). */

import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import {
  actions,
  apply,
  runScenario,
  type Action,
  type MachineSpec,
  type ScenarioRun,
  type World,
} from 'quorate/testing';
import type { AnyModel } from '../src/core/model.js';
import type { Entry, Status } from '../src/core/protocol.js';

/** Both models, for tests with one body. */
export const models = [raftModel, multipaxosModel] as unknown as readonly AnyModel[];

export interface PlayOptions {
  /** Further lines of the header. There are three replicas unless one says otherwise. */
  readonly header?: readonly string[];
  readonly machine?: MachineSpec;
}

/**
 * Runs a script to its end. Lines may be indented.
 * @throws Error where it fails, with the end of the trace
 */
export function play(model: AnyModel, script: string, options: PlayOptions = {}): ScenarioRun {
  const { header = [], machine } = options;
  const replicas = header.some((line) => line.startsWith('replicas:')) ? [] : ['replicas: 3'];
  const lines = [`protocol: ${model.protocol.name}`, ...replicas, ...header, ...script.split('\n')];
  const text = lines.map((line) => line.trim()).join('\n');
  const run = runScenario(text, model, machine === undefined ? {} : { machine });
  const { failure, trace } = run;
  if (failure === null) return run;
  const reason = `${failure.kind}: ${failure.reason}`;
  const end = trace.slice(Math.max(0, trace.indexOf(reason) - 1500), trace.indexOf(reason));
  throw new Error(`${reason}\n${end}`, { cause: failure.error });
}

/** What comes next where everything works: the oldest of what is under way, then whoever is due. */
export function nextAction(world: World): Action {
  const found = actions(world);
  const ticks = found.filter(({ kind }) => kind === 'tick').sort((a, b) => a.at - b.at);
  return found.find(({ kind }) => kind !== 'tick') ?? ticks[0] ?? { kind: 'wait', at: Infinity };
}

/** Everything works for a while, in a world as it is. */
export function pass(world: World, time: number): World {
  const end = world.now + time;
  let next = world;
  for (let action = nextAction(next); action.at <= end; action = nextAction(next)) next = apply(next, action);
  return next;
}

/** One line of a script for each of these. */
export function each<T>(items: Iterable<T>, line: (item: T) => string): string {
  return Array.from(items, line).join('\n');
}

/** The numbers of calls, both ends included. */
export function calls(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** The state of a replica's core; it must be up. */
export function coreOf({ rules, slots }: World, id: string): unknown {
  const process = slots.find((slot) => slot.id === id)?.process ?? null;
  if (process === null) throw new Error(`${id} is down`);
  return rules.program.core(process);
}

export function statusOf(world: World, id: string): Status {
  return world.rules.model.protocol.status(coreOf(world, id));
}

/** Everything that was ever committed, from index 1 on. */
export function committedIn({ record }: World): readonly Entry[] {
  return record.committed.items.slice(0, record.committed.length);
}

/** What the one that leads says of itself. */
export function leaderOf(world: World): Status {
  const up = world.slots.filter(({ process }) => process !== null && world.rules.program.health(process) === 'running');
  const leading = up.map(({ id }) => statusOf(world, id)).filter(({ role }) => role === 'leader');
  const [leader] = leading;
  if (leader === undefined || leading.length > 1) throw new Error(`${leading.length} lead`);
  return leader;
}
