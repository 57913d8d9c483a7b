/** A process of the gate: runs one killer after another, each on a fresh copy of the library with a mutant's patch. */

import type { Job, Verdict } from './gate.js';
import type * as kinds from './kinds.js';
import { load } from './load.mjs';

async function judge({ edits, killedBy }: Job): Promise<Verdict> {
  const begun = performance.now();
  const spent = (): number => performance.now() - begun;
  try {
    const { run } = load('test/mutants/kinds.ts', edits) as typeof kinds;
    return { kind: 'ran', violation: await run(killedBy), ms: spent() };
  } catch (error) {
    return { kind: 'accident', error: (error as Error).stack ?? String(error), ms: spent() };
  }
}

process.on('message', (job: Job) => {
  void judge(job).then((verdict) => process.send?.(verdict));
});
process.send?.('listening');
