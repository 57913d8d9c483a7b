/**
 * The oracle by hand, for as many seeds as there is time for: `node test/mutants/load.mjs test/oracle/main.ts
 * [raft|multipaxos|both] [timed|untimed|bound|quarter] [seeds] [first seed] [idle]`. `timed` and `untimed` are storms with
 * and without time and weight; `bound` and `quarter` are lives without faults, at the bound of the timing assumption and
 * at a quarter of it. Prints what is wrong and a summary; exits with 1 if anything is.
 */

import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import type { Core } from './core.js';
import { lifeOf } from './liveness.js';
import { findViolation } from './run.js';
import { STORMS } from './storms.js';

const CORES: Readonly<Record<string, Core>> = { raft: raftProtocol as Core, multipaxos: multipaxosProtocol as Core };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function storms(core: Core, name: string, seed: number, timed: boolean): number {
  const found = STORMS.map((storm) => [storm, findViolation(core, seed, storm, timed)] as const);
  const bad = found.filter(([, violation]) => violation !== null);
  for (const [storm, violation] of bad) say(`${name} ${storm} ${timed ? 'timed ' : ''}seed ${seed}: ${violation}`);
  return bad.length;
}

function main(protocol = 'both', kind = 'timed', seeds = '100', first = '1', idle = ''): void {
  for (const [name, core] of Object.entries(CORES)) {
    if (protocol !== 'both' && protocol !== name) continue;
    let found = 0;
    const leaders: number[] = [];
    for (let seed = Number(first); seed < Number(first) + Number(seeds); seed++) {
      if (kind === 'timed' || kind === 'untimed') {
        found += storms(core, name, seed, kind === 'timed');
        continue;
      }
      const { firstLeader, problems } = lifeOf(core, seed, kind === 'bound' ? 1 : 0.25, idle === 'idle');
      leaders.push(firstLeader);
      if (problems.length > 0) found++;
      if (problems.length > 0) say(`${name} ${kind} seed ${seed}: ${problems.join('; ')}`);
    }
    leaders.sort((a, b) => a - b);
    const median = leaders[leaders.length >> 1];
    const elections = median === undefined ? '' : `, first leader: median ${median} ms, last ${leaders.at(-1)} ms`;
    say(`${name}, ${kind}, ${seeds} seeds from ${first}: ${found} with something wrong${elections}`);
    if (found > 0) process.exitCode = 1;
  }
}

main(...process.argv.slice(3));
