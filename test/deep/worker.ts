/** A worker of the deep suite: does one job after the other. */

import { parentPort } from 'node:worker_threads';
import { multipaxos, multipaxosModel, multipaxosProtocol } from 'quorate/multipaxos';
import { raft, raftModel, raftProtocol } from 'quorate/raft';
import {
  checkModel,
  formatActions,
  headerOf,
  keyValueModel,
  simulate,
  SimulationFailure,
  simulateHost,
  type ModelCheckerResult,
} from 'quorate/testing';
import type { Core } from '../oracle/core.js';
import { lifeOf } from '../oracle/liveness.js';
import { keyValue, keyValueCommands } from '../testing/history/key-value.js';
import { deepScopes, type DeepScope } from '../testing/checker/scopes.js';
import type { Answer, Found, Job } from './jobs.js';
import { prefixesOf } from './prefixes.js';

const SCENARIOS = new URL('../../test/scenarios/', import.meta.url);
const MODELS = { raft: raftModel, multipaxos: multipaxosModel };
const CHOICES = { raft, multipaxos };
const CORES = { raft: raftProtocol as Core, multipaxos: multipaxosProtocol as Core };
const prefixes = {
  raft: prefixesOf('raft', SCENARIOS),
  multipaxos: prefixesOf('multipaxos', SCENARIOS),
};

function simulateJob({ protocol, seed, schedules, scripted, paced }: Extract<Job, { kind: 'simulate' }>): Answer {
  const states = new Set<number>();
  try {
    // The commands of scenarios are words for the machine that counts; the others are of a key-value machine.
    const workload = scripted
      ? { prefixes: prefixes[protocol] }
      : { machine: keyValue(), commands: keyValueCommands, sequential: keyValueModel() };
    const options = {
      model: MODELS[protocol],
      abstractStates: states,
      ...workload,
      ...(paced ? { pace: 'drawn' as const } : {}),
    };
    return { kind: 'simulate', report: simulate({ ...options, seed, schedules }), states: [...states], found: null };
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    const found = { what: `${protocol} seed ${error.seed}`, rule: error.message, scenario: error.scenario };
    return { kind: 'simulate', report: null, states: [], found };
  }
}

async function hostJob({ protocol, seed, schedules }: Extract<Job, { kind: 'host' }>): Promise<Answer> {
  const coverage: Record<string, number> = {};
  let [events, milliseconds, done] = [0, 0, 0];
  let found: Found | null = null;
  for (; done < schedules && found === null; done++) {
    try {
      // Every third with time and weight.
      const pace = (seed + done) % 3 === 0;
      const report = await simulateHost({ seed: seed + done, protocol: CHOICES[protocol], pace });
      events += report.events;
      milliseconds += report.milliseconds;
      for (const [point, count] of report.coverage) coverage[point] = (coverage[point] ?? 0) + count;
    } catch (error) {
      const how = (seed + done) % 3 === 0 ? ', with pace' : '';
      found = {
        what: `host of ${protocol}, seed ${seed + done}${how}`,
        rule: (error as Error).message,
        scenario: null,
      };
    }
  }
  return { kind: 'host', schedules: done, events, milliseconds, coverage, found };
}

function livesJob({ protocol, seed, lives }: Extract<Job, { kind: 'lives' }>): Answer {
  for (let at = 0; at < lives; at++) {
    const { problems } = lifeOf(CORES[protocol], seed + at, 1);
    const what = `life of ${protocol} at the bound, seed ${seed + at}`;
    if (problems.length > 0) {
      return { kind: 'lives', lives: at + 1, found: { what, rule: problems.join('; '), scenario: null } };
    }
  }
  return { kind: 'lives', lives, found: null };
}

/** A scope that was exhausted has as many states as ever, or the behaviour has changed. */
function otherCount(what: string, pinned: DeepScope, { complete, distinct, depth }: ModelCheckerResult): Found | null {
  if (!complete || pinned.distinct === undefined) return null;
  if (distinct === pinned.distinct && depth === pinned.depth) return null;
  const rule = `${distinct} states, ${depth} deep, instead of ${pinned.distinct}, ${pinned.depth} deep`;
  return { what, rule, scenario: null };
}

function checkJob({ scope, seconds }: Extract<Job, { kind: 'check' }>): Answer {
  const end = performance.now() + seconds * 1000;
  const given: DeepScope = deepScopes[scope as keyof typeof deepScopes];
  const result = checkModel({ scope: given.scope, stop: () => performance.now() > end });
  const { generated, distinct, depth, complete, violation } = result;
  const found =
    violation === null
      ? otherCount(scope, given, result)
      : { what: scope, rule: violation.rule, scenario: formatActions(headerOf(violation.world), violation.actions) };
  return { kind: 'check', scope, generated, distinct, depth, complete, found };
}

async function answerOf(job: Job): Promise<Answer> {
  switch (job.kind) {
    case 'simulate':
      return simulateJob(job);
    case 'host':
      return hostJob(job);
    case 'lives':
      return livesJob(job);
    case 'check':
      return checkJob(job);
  }
}

parentPort?.on('message', (job: Job) => {
  void answerOf(job).then((given) => parentPort?.postMessage(given));
});
