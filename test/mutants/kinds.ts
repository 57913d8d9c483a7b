/**
 * The kinds of witnesses: what is run on a mutant, and on the source as it stands, to tell the two apart. A kind is a
 * function that throws a violation, and nothing else, when it finds one. This module is loaded anew for each mutant, so
 * a kind imports its tool only when it is run.
 */

import { readFileSync } from 'node:fs';
import type { AnyProtocol } from '../support/host.js';
import type { ScriptName } from './scripts.js';

export type ProtocolName = 'raft' | 'multipaxos';

/** A random schedule over bare cores (test/support/schedule.ts). */
export interface ScheduleWitness {
  readonly kind: 'schedule';
  readonly protocol: ProtocolName;
  readonly size: number;
  readonly seed: number;
  readonly length: number;
}

/** A random schedule over drivers (driver-schedule.ts). */
export interface DriverWitness {
  readonly kind: 'driver';
  readonly protocol: ProtocolName;
  readonly size: number;
  readonly seed: number;
  readonly length: number;
}

/** A run written by hand (scripts.ts), for what chance does not find. */
export interface ScriptWitness {
  readonly kind: 'script';
  readonly script: ScriptName;
}

/** A scenario of test/scenarios, by the name of its file: it must run through. */
export interface ScenarioWitness {
  readonly kind: 'scenario';
  readonly file: string;
}

/** One schedule of the simulator. */
export interface SimulateWitness {
  readonly kind: 'simulate';
  readonly protocol: ProtocolName;
  readonly seed: number;
}

export type Witness = ScheduleWitness | DriverWitness | ScriptWitness | ScenarioWitness | SimulateWitness;

type Kinds = { readonly [K in Witness['kind']]: (witness: Extract<Witness, { readonly kind: K }>) => Promise<void> };

async function protocolOf(name: ProtocolName): Promise<AnyProtocol> {
  const { protocols } = await import('../support/protocols.js');
  return (protocols.find(([each]) => each === name) as (typeof protocols)[number])[1];
}

async function models() {
  const { multipaxosModel } = await import('../../src/multipaxos/index.js');
  const { raftModel } = await import('../../src/raft/index.js');
  return { raft: raftModel, multipaxos: multipaxosModel };
}

const kinds: Kinds = {
  async schedule({ protocol, size, seed, length }) {
    const { decisionsOf, trial } = await import('../support/schedule.js');
    const error = trial({ protocol: await protocolOf(protocol), size, seed, length }, decisionsOf(seed, length));
    if (error !== null) throw error;
  },
  async driver({ protocol, size, seed, length }) {
    const { driverSchedule } = await import('./driver-schedule.js');
    driverSchedule({ protocol: await protocolOf(protocol), size, seed, length });
  },
  async script({ script }) {
    const { scripts } = await import('./scripts.js');
    await scripts[script]();
  },
  async scenario({ file }) {
    const { runScenario } = await import('../../src/testing/scenario.js');
    const { Violation } = await import('../support/checks.js');
    const text = readFileSync(new URL(`../scenarios/${file}`, import.meta.url), 'utf8');
    const { failure } = runScenario(text, Object.values(await models()));
    if (failure?.kind === 'error') throw failure.error;
    if (failure !== null) throw new Violation(failure.reason);
  },
  async simulate({ protocol, seed }) {
    const { simulate } = await import('../../src/testing/simulator.js');
    simulate({ model: (await models())[protocol], seed, shrinkBudget: 0 });
  },
};

/** What counts as found: a rule of ours was broken. Any other error is an accident. */
const VIOLATIONS: readonly string[] = ['Violation', 'InvariantViolation', 'SimulationFailure'];

/** The rule that a witness finds broken, `null` for none. @throws whatever is no violation */
export async function run(witness: Witness): Promise<string | null> {
  try {
    await (kinds[witness.kind] as (each: Witness) => Promise<void>)(witness);
    return null;
  } catch (error) {
    if (error instanceof Error && VIOLATIONS.includes(error.name)) return error.message;
    throw error;
  }
}
