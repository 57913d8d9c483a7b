/**
 * Looks for killers, one process, each mutant that is named (by a pattern; all unless given):
 *
 * - `node test/mutants/load.mjs test/mutants/hunt.ts kills [names]`: each scenario and each small scope that kills it.
 * - `… hunt.ts seeds [names] [seconds]`: the first seed of the simulator that kills it, as a killer for the table, at
 *   most so many seconds for each. It is found anew after a change of what the simulator draws.
 */

import { readdirSync } from 'node:fs';
import type * as kinds from './kinds.js';
import type { Killer, ProtocolName, ScopeName, SimulateKiller } from './kinds.js';
import { load } from './load.mjs';
import type { Mutant } from './mutant.js';
import { mutants } from './mutants.js';

type Run = (killedBy: Killer) => Promise<string | null>;

const PROTOCOLS: readonly ProtocolName[] = ['raft', 'multipaxos'];
/** No cluster of the rig has it. */
const OUTSIDE = 'src/adapters/';
const CORES = ['src/raft/', 'src/multipaxos/'] as const;
/** Scopes that are exhausted in a moment. */
const SMALL_SCOPES = 20_000;

function say(...words: readonly (string | number)[]): void {
  process.stdout.write(`${words.join(' | ')}\n`);
}

function runOf({ edits }: Mutant): Run {
  return (load('test/mutants/kinds.ts', edits) as typeof kinds).run;
}

/** Whether a run of this protocol can tell the mutant from the source. */
function concerns({ edits }: Mutant, protocol: ProtocolName): boolean {
  return edits.every(({ file }) => CORES.every((core) => !file.startsWith(core)) || file.includes(`/${protocol}/`));
}

function scenarios(): readonly (readonly [ProtocolName, Killer])[] {
  const folder = new URL('../scenarios/', import.meta.url);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.scenario'));
  return names.map((name) => {
    const file = name.slice(0, -'.scenario'.length);
    return [file.startsWith('raft') ? 'raft' : 'multipaxos', { kind: 'scenario', file }];
  });
}

async function scopes(): Promise<readonly (readonly [ProtocolName, Killer])[]> {
  const { quickScopes } = await import('../testing/checker/scopes.js');
  const small = Object.entries(quickScopes).filter(([, { distinct }]) => distinct < SMALL_SCOPES);
  return small.map(([name, { scope }]) => {
    return [scope.model.protocol.name as ProtocolName, { kind: 'check', scope: name as ScopeName }];
  });
}

async function kills(chosen: readonly Mutant[]): Promise<void> {
  const all = [...scenarios(), ...(await scopes())];
  for (const mutant of chosen) {
    const run = runOf(mutant);
    let found = 0;
    for (const [protocol, killedBy] of all) {
      if (!concerns(mutant, protocol)) continue;
      const begun = performance.now();
      const rule = await run(killedBy);
      if (rule === null) continue;
      found++;
      say(mutant.name, JSON.stringify(killedBy), Math.round(performance.now() - begun), rule.slice(0, 100));
    }
    say(mutant.name, found, 'in all');
  }
}

/** The first seed of the simulator that shows the mutant. */
async function seedFor(mutant: Mutant, seconds: number): Promise<void> {
  const run = runOf(mutant);
  const protocols = PROTOCOLS.filter((protocol) => concerns(mutant, protocol));
  const end = performance.now() + seconds * 1000;
  for (let seed = 1; performance.now() < end; seed++) {
    for (const protocol of protocols) {
      const killedBy: SimulateKiller = { kind: 'simulate', protocol, seed };
      const rule = await run(killedBy);
      if (rule !== null) return say(mutant.name, JSON.stringify(killedBy), rule.slice(0, 100));
    }
  }
  say(mutant.name, `survives for ${seconds} s`);
}

async function main(mode = '', names = '.*', seconds = '30'): Promise<void> {
  const pattern = new RegExp(`^(?:${names})$`);
  const named = mutants.filter(({ name, equivalent }) => equivalent === undefined && pattern.test(name));
  const chosen = named.filter(({ edits }) => edits.every(({ file }) => !file.startsWith(OUTSIDE)));
  if (mode === 'kills') return kills(chosen);
  if (mode !== 'seeds') throw new Error('hunt for kills or for seeds?');
  for (const mutant of chosen) await seedFor(mutant, Number(seconds));
}

void main(...process.argv.slice(3));
