/**
 * The kinds of killers: what is run on a mutant, and on the source as it stands, to tell the two apart. A kind is a
 * function that throws a violation, and nothing else, when it finds one. This module is loaded anew for each mutant, so
 * a kind imports its tool only when it is run.
 */

import { readFileSync } from 'node:fs';
import type { quickScopes } from '../testing/checker/scopes.js';
import type { coreScripts } from './core-scripts.js';
import type { identityScripts } from './identity-scripts.js';
import type { livenessScripts } from './liveness-scripts.js';
import type { logTimeScripts } from './log-time-scripts.js';
import type { pullingScripts } from './pulling-scripts.js';
import type { snapshotScripts } from './snapshot-scripts.js';
import type { storageScripts } from './storage-scripts.js';
import type { timingScripts } from './timing-scripts.js';
import type { trafficScripts } from './traffic-scripts.js';

export type ProtocolName = 'raft' | 'multipaxos';
export type ScopeName = keyof typeof quickScopes;

/** A run written by hand (the files named scripts), for what is no cluster or no protocol's. */
export interface ScriptKiller {
  readonly kind: 'script';
  readonly script:
    | keyof typeof storageScripts
    | keyof typeof snapshotScripts
    | keyof typeof coreScripts
    | keyof typeof identityScripts
    | keyof typeof livenessScripts
    | keyof typeof logTimeScripts
    | keyof typeof pullingScripts
    | keyof typeof timingScripts
    | keyof typeof trafficScripts;
}

/** A scenario of test/scenarios, by the name of its file without the ending: it must run through. */
export interface ScenarioKiller {
  readonly kind: 'scenario';
  readonly file: string;
}

/** One schedule of the simulator. */
export interface SimulateKiller {
  readonly kind: 'simulate';
  readonly protocol: ProtocolName;
  readonly seed: number;
}

/** One run of the host simulation. */
export interface HostKiller {
  readonly kind: 'host';
  readonly protocol: ProtocolName;
  readonly seed: number;
}

/** A scope of test/testing/checker/scopes.ts, by its name: the model checker must find nothing in it. */
export interface CheckKiller {
  readonly kind: 'check';
  readonly scope: ScopeName;
}

export type Killer = ScriptKiller | ScenarioKiller | CheckKiller | SimulateKiller | HostKiller;

type Kinds = { readonly [K in Killer['kind']]: (killedBy: Extract<Killer, { readonly kind: K }>) => Promise<void> };

async function models() {
  const { multipaxosModel } = await import('../../src/multipaxos/index.js');
  const { raftModel } = await import('../../src/raft/index.js');
  return { raft: raftModel, multipaxos: multipaxosModel };
}

const kinds: Kinds = {
  async script({ script }) {
    const { identityScripts } = await import('./identity-scripts.js');
    const { snapshotScripts } = await import('./snapshot-scripts.js');
    const { storageScripts } = await import('./storage-scripts.js');
    const { coreScripts } = await import('./core-scripts.js');
    const { livenessScripts } = await import('./liveness-scripts.js');
    const { logTimeScripts } = await import('./log-time-scripts.js');
    const { pullingScripts } = await import('./pulling-scripts.js');
    const { timingScripts } = await import('./timing-scripts.js');
    const { trafficScripts } = await import('./traffic-scripts.js');
    const protocols = {
      ...coreScripts,
      ...livenessScripts,
      ...timingScripts,
      ...trafficScripts,
      ...logTimeScripts,
      ...pullingScripts,
    };
    await { ...storageScripts, ...snapshotScripts, ...identityScripts, ...protocols }[script]();
  },
  async scenario({ file }) {
    const { runScenario } = await import('../../src/testing/scenario/scenario.js');
    const { Violation } = await import('../violation.js');
    const text = readFileSync(new URL(`../scenarios/${file}.scenario`, import.meta.url), 'utf8');
    const { failure } = runScenario(text, Object.values(await models()));
    if (failure?.kind === 'error') throw failure.error;
    if (failure !== null) throw new Violation(failure.reason);
  },
  async check({ scope }) {
    const { checkModel } = await import('../../src/testing/checker/model-checker.js');
    const { Violation } = await import('../violation.js');
    const { quickScopes } = await import('../testing/checker/scopes.js');
    // What a mutant calls outdated may not be.
    const { violation } = checkModel({ scope: quickScopes[scope].scope, outdated: false });
    if (violation !== null) throw new Violation(violation.rule);
  },
  async simulate({ protocol, seed }) {
    const { simulate } = await import('../../src/testing/simulator/simulator.js');
    simulate({ model: (await models())[protocol], seed, shrinkBudget: 0 });
  },
  async host({ protocol, seed }) {
    const { multipaxos } = await import('../../src/multipaxos/index.js');
    const { raft } = await import('../../src/raft/index.js');
    const { simulateHost } = await import('../../src/testing/host-simulation/host-simulation.js');
    await simulateHost({ seed, protocol: { raft, multipaxos }[protocol] });
  },
};

/** What counts as found: a rule of ours was broken. Any other error is an accident. */
const VIOLATIONS: readonly string[] = ['Violation', 'InvariantViolation', 'SimulationFailure', 'HostSimulationFailure'];

/** The rule that a killer finds broken, `null` for none. @throws whatever is no violation */
export async function run(killedBy: Killer): Promise<string | null> {
  try {
    await (kinds[killedBy.kind] as (each: Killer) => Promise<void>)(killedBy);
    return null;
  } catch (error) {
    if (error instanceof Error && VIOLATIONS.includes(error.name)) return error.message.split('\n')[0] as string;
    throw error;
  }
}
