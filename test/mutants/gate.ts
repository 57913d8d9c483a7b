/**
 * The gate: every mutant must die by its killer, and the killer must find nothing on the source as it stands. A
 * patch that does not fit exactly once fails, as does a killer that ends in anything but a violation. (`main.ts` runs
 * it by hand, and prints who died of what.)
 */

import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Killer } from './kinds.js';
import type { Edit, Mutant } from './mutant.js';

export interface Job {
  readonly edits: readonly Edit[];
  readonly killedBy: Killer;
}

/** `hung`: it was stopped after the limit. */
export type Verdict =
  | { readonly kind: 'ran'; readonly violation: string | null; readonly ms: number }
  | { readonly kind: 'accident'; readonly error: string; readonly ms: number }
  | { readonly kind: 'hung'; readonly ms: number };

/** How the gate sees a mutant. */
export interface Fate {
  readonly mutant: Mutant;
  /** What is wrong, empty if nothing is. */
  readonly problem: string;
  /** The rule that its killer found broken. */
  readonly died: string;
  readonly ms: number;
}

const ROOT = new URL('../../', import.meta.url);
const PROCESSES = 2;
/** Every mutant is other code, which runs for a moment: it is hardly worth compiling. */
const EXEC_ARGV = ['--interrupt-budget=400000', '--max-inlined-bytecode-size-cumulative=200'];
/** Far more than any killer takes, on a slow machine too. */
const LIMIT_MS = 60_000;

/** Why a mutant cannot be applied; empty if it can. */
export function misfit({ edits }: Mutant): string {
  for (const { file, from, to } of edits) {
    const times = readFileSync(new URL(file, ROOT), 'utf8').split(from).length - 1;
    if (times !== 1) return `its patch of ${file} fits ${times} times: ${from}`;
    if (from === to) return `its patch of ${file} changes nothing: ${from}`;
  }
  return edits.length === 0 ? 'it has no patch' : '';
}

/** What the process says next. @throws when it ends, or says nothing in time */
function reply(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('late')), LIMIT_MS);
    const onExit = (code: number | null): void => reject(new Error(`it ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

/** One process, started when it is first needed and again after it was stopped. */
class Worker {
  #child: ChildProcess | null = null;

  async run(job: Job): Promise<Verdict> {
    try {
      if (this.#child === null) {
        const loader = fileURLToPath(new URL('load.mjs', import.meta.url));
        this.#child = fork(loader, ['test/mutants/worker.ts'], { execArgv: EXEC_ARGV });
        await reply(this.#child); // it listens: what is sent before is lost
      }
      this.#child.send(job);
      return (await reply(this.#child)) as Verdict;
    } catch (error) {
      this.stop();
      const { message } = error as Error;
      return message === 'late' ? { kind: 'hung', ms: LIMIT_MS } : { kind: 'accident', error: message, ms: 0 };
    }
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
    this.#child = null;
  }
}

/** Runs all jobs, two at a time. */
async function runAll(jobs: readonly Job[]): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    const worker = new Worker();
    try {
      for (let at = next++; at < jobs.length; at = next++) verdicts[at] = await worker.run(jobs[at] as Job);
    } finally {
      worker.stop();
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  return verdicts;
}

/** What is wrong with a killer on the source as it stands; empty if nothing is. */
function falseAlarm(verdict: Verdict): string {
  if (verdict.kind === 'hung') return 'its killer does not end on the source';
  if (verdict.kind === 'accident') return `its killer cannot run: ${verdict.error}`;
  return verdict.violation === null ? '' : `its killer fails on the source, too: ${verdict.violation}`;
}

function survival(verdict: Verdict): string {
  if (verdict.kind === 'hung') return 'its killer does not end';
  if (verdict.kind === 'accident') return `its killer ends by an accident: ${verdict.error}`;
  return verdict.violation === null ? 'it survives its killer' : '';
}

/** The fate of each mutant, in order. */
export async function gate(mutants: readonly Mutant[]): Promise<readonly Fate[]> {
  const keyOf = (killedBy: Killer): string => JSON.stringify(killedBy);
  const killers = new Map<string, Killer>();
  for (const { killedBy } of mutants) if (killedBy !== undefined) killers.set(keyOf(killedBy), killedBy);
  const misfits = mutants.map(misfit);
  const runs = mutants.flatMap((mutant, at) => {
    return mutant.killedBy === undefined || misfits[at] !== '' ? [] : [{ mutant, killedBy: mutant.killedBy }];
  });
  const sound = [...killers.values()].map((killedBy): Job => ({ edits: [], killedBy }));
  const mutated = runs.map(({ mutant, killedBy }): Job => ({ edits: mutant.edits, killedBy }));
  const verdicts = await runAll([...sound, ...mutated]);
  const alarms = new Map([...killers.keys()].map((key, at) => [key, falseAlarm(verdicts[at] as Verdict)]));
  return mutants.map((mutant, at): Fate => {
    const run = runs.findIndex((each) => each.mutant === mutant);
    if (run === -1) {
      const unargued = mutant.equivalent === undefined ? 'it has neither a killer nor an argument' : '';
      return { mutant, problem: (misfits[at] as string) || unargued, died: '', ms: 0 };
    }
    const verdict = verdicts[sound.length + run] as Verdict;
    const problem = (alarms.get(keyOf((runs[run] as (typeof runs)[0]).killedBy)) as string) || survival(verdict);
    const died = verdict.kind === 'ran' ? (verdict.violation ?? '') : '';
    return { mutant, problem, died, ms: verdict.ms };
  });
}

/** One line a mutant: its name, its fate, the kind of its killer, how long that took. */
export function table(fates: readonly Fate[]): readonly string[] {
  return fates.map(({ mutant, problem, died, ms }) => {
    const { name, killedBy } = mutant;
    const by = killedBy === undefined ? 'argued' : JSON.stringify(killedBy);
    const fate = died === '' ? 'equivalent' : `dead: ${died.split(/: [{[]/)[0] ?? ''}`;
    return [name, problem || fate, by, `${Math.round(ms)} ms`].join(' | ');
  });
}
