/**
 * The gate by hand: `node test/mutants/load.mjs test/mutants/main.ts [--json] [names]`, names as a pattern. Prints one
 * line a mutant, or everything as JSON.
 */

import { gate, table } from './gate.js';
import { mutants } from './mutants.js';

async function main(json: boolean, names = '.*'): Promise<void> {
  const pattern = new RegExp(`^(?:${names})$`);
  const begun = performance.now();
  const fates = await gate(mutants.filter(({ name }) => pattern.test(name)));
  if (json) {
    const rows = fates.map(({ mutant: { name, breaks, killedBy }, problem, died, ms }) => {
      const fate = problem !== '' ? 'problem' : died === '' ? 'equivalent' : 'dead';
      return { name, breaks, fate, problem, died, killedBy, ms };
    });
    process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
    return;
  }
  const bad = fates.filter(({ problem }) => problem !== '').length;
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`${table(fates).join('\n')}\n${fates.length} mutants, ${bad} with a problem, ${seconds} s\n`);
}

const given = process.argv.slice(3);
void main(
  given.includes('--json'),
  given.find((each) => each !== '--json'),
);
