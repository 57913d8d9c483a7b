/** The gate by hand: `node test/mutants/load.mjs test/mutants/main.ts [names]`, names as a pattern. */

import { gate } from './gate.js';
import { mutants } from './mutants.js';

async function main(names = '.*'): Promise<void> {
  const pattern = new RegExp(`^(?:${names})$`);
  const begun = performance.now();
  const fates = await gate(mutants.filter(({ name }) => pattern.test(name)));
  for (const { mutant, problem, died, ms } of fates) {
    const by = mutant.witness === undefined ? 'argued' : JSON.stringify(mutant.witness);
    const fate = problem === '' ? `${died.split(/: [{[]/)[0] ?? ''} | ${by}` : `!! ${problem}`;
    process.stdout.write(`${mutant.name} | ${Math.round(ms)} ms | ${fate}\n`);
  }
  const bad = fates.filter(({ problem }) => problem !== '').length;
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`${fates.length} mutants, ${bad} with a problem, ${seconds} s\n`);
}

void main(process.argv[3]);
