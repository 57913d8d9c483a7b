/** `npm run bench -- [core|step|books|changes|memory|burst|trace|size|cluster|reads|rolling|restart|compaction|catch-up|catch-up-1g|all] [--quick]`: see output.ts for the lines. */

import { books } from './books.js';
import { burst } from './burst.js';
import { changes } from './changes.js';
import { core } from './core.js';
import { memory } from './memory-core.js';
import { note } from './output.js';
import { restart } from './restart.js';
import { size } from './size.js';
import { step } from './step.js';
import { trace } from './trace.js';

/** The durable cluster is a program of its own, with processes; it stands beside this one. */
async function durable(file: 'cluster' | 'snapshots', part: string, quick: boolean): Promise<void> {
  const { href } = new URL(`./${file}.js`, import.meta.url);
  const program = (await import(href)) as Record<string, (quick: boolean) => Promise<void>>;
  const run = program[part];
  if (run === undefined) throw new Error(`${file} has no part ${part}`);
  await run(quick);
}

const parts: Readonly<Record<string, (quick: boolean, system?: string) => void | Promise<void>>> = {
  core,
  step,
  books,
  changes,
  memory,
  burst,
  trace,
  size,
  cluster: (quick) => durable('cluster', 'cluster', quick),
  reads: (quick) => durable('cluster', 'reads', quick),
  rolling: (quick) => durable('cluster', 'rolling', quick),
  restart,
  compaction: (quick) => durable('snapshots', 'compaction', quick),
  'catch-up': (quick) => durable('snapshots', 'catchUp', quick),
  'catch-up-1g': (quick) => durable('snapshots', 'catchUpLarge', quick),
};

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const system = args.find((arg) => arg.startsWith('--system='))?.slice('--system='.length);
const named = args.filter((arg) => !arg.startsWith('--'));
const chosen = named.length === 0 || named.includes('all') ? Object.keys(parts) : named;
const unknown = chosen.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  note(`usage: bench [${Object.keys(parts).join('|')}|all] [--quick]; unknown: ${unknown.join(', ')}`);
  process.exitCode = 2;
} else {
  for (const name of chosen) await parts[name]?.(quick, system);
}
