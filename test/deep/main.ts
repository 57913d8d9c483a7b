/**
 * `npm run test:deep -- [--minutes N] [--seed S] [--workers W] [--out folder] [--pace]`: spends a time budget over the
 * simulator (with `--pace` in part with time and weight), the host, the model checker, silent outages, lengthy tests
 * and real processes, and writes `summary.txt`, `summary.json` and a scenario for each violation to the folder
 * (`.build/deep-run` unless given). Exits with 1 when a rule was broken, or when a coverage point or a fault was never
 * met: no pass is vacuous.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { outages } from './outages.js';
import { lengthy } from './lengthy.js';
import { jobsOf, LARGEST_SEED, type Answer, type Job } from './jobs.js';
import { Tally, tell } from './summary.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: '.build/deep-run' },
    pace: { type: 'boolean', default: false },
  },
});

function numberOf(name: 'minutes' | 'seed' | 'workers', min: number, whole: boolean): number {
  const number = Number(values[name]);
  const fits = number >= min && number <= LARGEST_SEED && (!whole || Number.isInteger(number));
  if (values[name].trim() !== '' && fits) return number;
  const what = `${whole ? 'whole ' : ''}number from ${min} to ${LARGEST_SEED}`;
  throw new RangeError(`--${name}: expected a ${what}, got "${values[name]}"`);
}

const minutes = numberOf('minutes', 0.1, false);
const seed = numberOf('seed', 0, true);
const workers = numberOf('workers', 1, true);
const { out } = values;
const started = performance.now();
const budget = minutes * 60_000;

/** Of the budget: until when workers get new jobs; real processes have the rest. */
const PROCESSES = 0.12;
/** Of the workers' time each scope may take so much at most. */
const SCOPE_SHARE = 0.06;

function left(): number {
  return budget * (1 - PROCESSES) - (performance.now() - started);
}

function work(queue: Generator<Job>, tally: Tally): Promise<void> {
  const worker = new Worker(new URL('./worker.js', import.meta.url));
  return new Promise((resolve, reject) => {
    let job: Job;
    const next = (): void => {
      if (left() <= 0) return void worker.terminate().then(() => resolve(), reject);
      job = queue.next().value as Job;
      worker.postMessage(job);
    };
    worker.on('message', (answer: Answer) => {
      tally.add('protocol' in job ? job.protocol : null, answer);
      if (answer.found !== null) process.stdout.write(`${answer.found.what}: ${answer.found.rule}\n`);
      next();
    });
    worker.on('error', reject);
    next();
  });
}

/** Real processes for the rest of the time. */
async function processes(tally: Tally): Promise<void> {
  const rest = Math.max(0.1, (budget - (performance.now() - started)) / 60_000);
  const file = join(out, 'processes.json');
  const program = fileURLToPath(new URL('./process-rig.js', import.meta.url));
  const args = [program, '--seed', String(seed), '--minutes', rest.toFixed(2), '--json', file, '--keep', out];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
  const summary = JSON.parse(readFileSync(file, 'utf8')) as { violations: { seed: number; problems: string[] }[] };
  tally.summary.processes = summary;
  for (const found of summary.violations) {
    const what = `processes, seed ${found.seed}`;
    tally.summary.violations.push({ what, rule: found.problems.join('; '), scenario: null });
  }
}

mkdirSync(out, { recursive: true });
const tally = new Tally(seed, minutes, workers);
const queue = jobsOf(seed, Math.max(1, (budget * SCOPE_SHARE) / 1000), values.pace);
const cuts = outages(left());
const tests = lengthy(seed, left);
await Promise.all(Array.from({ length: workers }, () => work(queue, tally)));
tally.addOutages(await cuts);
tally.addLengthy(await tests);
await processes(tally);
const summary = tally.finish();
writeFileSync(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
writeFileSync(join(out, 'summary.txt'), tell(summary));
for (const { what, scenario } of summary.violations) {
  if (scenario !== null) writeFileSync(join(out, `${what.replaceAll(/[^\w]+/g, '-')}.scenario`), scenario);
}
process.stdout.write(tell(summary));
process.exitCode = summary.violations.length + summary.missed.length > 0 ? 1 : 0;
