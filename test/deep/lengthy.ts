/**
 * The tests that take a part of their seeds or of a sweep for every change (`test/amount.ts`) take all of it here: one file
 * after the other, in an order that the seed turns, for as long as there is time. They run beside the workers.
 */

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Found } from './jobs.js';

export interface LengthyReport {
  /** The files that ran to their end. */
  readonly done: readonly string[];
  /** The files for which there was no time. */
  readonly leftOut: readonly string[];
  readonly found: readonly Found[];
}

/** Below the folder of the repository. */
export function lengthyTests(): readonly string[] {
  const paths = readdirSync('test', { recursive: true, encoding: 'utf8' }).map((path) => path.replaceAll('\\', '/'));
  const tests = paths.filter((path) => path.endsWith('.test.ts')).map((path) => `test/${path}`);
  return tests.filter((path) => readFileSync(path, 'utf8').includes("/amount.js';")).sort();
}

/** Runs one file. Gives what it says of a failure, `''` if there is none, `null` if the time was over first. */
async function run(path: string, milliseconds: number): Promise<string | null> {
  const args = [join('node_modules', 'vitest', 'vitest.mjs'), 'run', path, '--mode', 'deep', '--maxWorkers', '1'];
  const env = { ...process.env, NO_COLOR: '1' };
  // In a group of their own, so that Vitest ends together with its worker, however busy that is.
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kill = (): boolean => process.kill(-(child.pid as number), 'SIGKILL');
  const interrupted = (): never => {
    kill();
    process.exit(1);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    kill();
  }, milliseconds);
  const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  clearTimeout(timer);
  process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  if (isOver) return null;
  return code === 0 ? '' : said;
}

/** @param left gives how many milliseconds there still are */
export async function lengthy(seed: number, left: () => number): Promise<LengthyReport> {
  const tests = lengthyTests();
  const turn = seed % tests.length;
  const waiting = [...tests.slice(turn), ...tests.slice(0, turn)];
  const done: string[] = [];
  const found: Found[] = [];
  while (waiting.length > 0) {
    const time = left();
    const [path] = waiting as [string, ...string[]];
    const said = time > 0 ? await run(path, time) : null;
    if (said === null) break;
    waiting.shift();
    done.push(path);
    if (said !== '') found.push({ what: path, rule: said, scenario: null });
  }
  return { done, leftOut: waiting, found };
}
