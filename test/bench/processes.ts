/** Each system in a process of its own: with two protocols in one, every call of a shared function has two shapes. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systems } from './core-trio.js';

/** Runs this part of the benchmark once for each system. */
export function eachAlone(part: string, quick: boolean): void {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  for (const [system] of systems) {
    const args = [main, part, `--system=${system}`, ...(quick ? ['--quick'] : [])];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) throw new Error(`${system}: the measurement failed`);
  }
}
