/**
 * Looks for witnesses: `node test/mutants/load.mjs test/mutants/hunt.ts [names] [seconds] [seed]` runs
 * random schedules on each mutant that is named (by a pattern; by default on those without a witness) until one finds
 * a violation, at most so many seconds, and prints it with the number of schedules that it took. One process.
 */

import { driverMutants } from './driver-mutants.js';
import type * as kinds from './kinds.js';
import type { ProtocolName, Witness } from './kinds.js';
import type { Mutant } from './mutant.js';
import { multipaxosMutants } from './multipaxos-mutants.js';
import { raftMutants } from './raft-mutants.js';
import { load } from './load.mjs';

type Run = (witness: Witness) => Promise<string | null>;
type Draw = (seed: number) => Witness;

const [, , , names, seconds = '20', first = '1'] = process.argv;
const pattern = names === undefined ? null : new RegExp(`^(?:${names})$`);

function runOf(mutant: Mutant | null): Run {
  return (load('test/mutants/kinds.ts', mutant?.edits ?? []) as typeof kinds).run;
}

/** Sizes and lengths by turns: most die at three, some rules need one, four, five or seven members. */
const SIZES = [3, 5, 3, 4, 1, 5, 2, 7] as const;
const LENGTHS = [150, 400] as const;

function coreDraw(protocol: ProtocolName): Draw {
  return (seed) => {
    const size = SIZES[seed % SIZES.length] as number;
    const length = LENGTHS[(seed >> 3) % LENGTHS.length] as number;
    return { kind: 'schedule', protocol, size, seed, length };
  };
}

function driverDraw(seed: number): Witness {
  const protocol = seed % 2 === 0 ? 'raft' : 'multipaxos';
  const size = [3, 5, 3, 2][(seed >> 1) % 4] as number;
  return { kind: 'driver', protocol, size, seed, length: seed % 3 === 0 ? 120 : 300 };
}

async function hunt(mutant: Mutant, draw: Draw, baseline: Run): Promise<void> {
  const run = runOf(mutant);
  const end = performance.now() + Number(seconds) * 1000;
  let tried = 0;
  for (let seed = Number(first); performance.now() < end; seed++) {
    const witness = draw(seed);
    tried++;
    let found: string | null;
    try {
      found = await run(witness);
    } catch (error) {
      process.stdout.write(`${mutant.name}: an accident: ${JSON.stringify(witness)} ${(error as Error).stack}\n`);
      return;
    }
    if (found === null || (await baseline(witness)) !== null) continue;
    const after = `${tried} schedules`;
    process.stdout.write(`${mutant.name}: ${JSON.stringify(witness)} after ${after}: ${found.slice(0, 100)}\n`);
    return;
  }
  process.stdout.write(`${mutant.name}: survives ${tried} schedules\n`);
}

const tables: readonly (readonly [readonly Mutant[], Draw])[] = [
  [raftMutants, coreDraw('raft')],
  [multipaxosMutants, coreDraw('multipaxos')],
  [driverMutants, driverDraw],
];

async function main(): Promise<void> {
  const baseline = runOf(null);
  for (const [mutants, draw] of tables) {
    for (const mutant of mutants) {
      const open = mutant.witness === undefined && mutant.equivalent === undefined;
      if (pattern === null ? open : pattern.test(mutant.name)) await hunt(mutant, draw, baseline);
    }
  }
}

void main();
