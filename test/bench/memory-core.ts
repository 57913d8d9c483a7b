/** What three replicas in one process hold after a million commits of 256 bytes, their tails bounded. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systems, Trio } from './core-trio.js';
import { line, note, rounded } from './output.js';

const MIB = 1024 * 1024;

function collected(): NodeJS.MemoryUsage {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  gc();
  return process.memoryUsage();
}

export function memory(quick: boolean): void {
  const commits = quick ? 200_000 : 1_000_000;
  for (const [system, protocol] of systems) {
    const before = collected();
    const trio = new Trio(protocol);
    let peak = 0;
    for (let part = 1; part <= 10; part++) {
      trio.work(64, 256, 4, () => trio.made >= (commits / 10) * part);
      const { heapUsed, arrayBuffers, rss } = collected();
      peak = Math.max(peak, rss);
      note(`${system} ${trio.made} commits: heap ${rounded(heapUsed / MIB)} MiB, rss ${rounded(rss / MIB)} MiB`);
      if (part !== 1 && part !== 10) continue;
      line({
        system,
        mode: 'memory',
        replicas: 3,
        commits: trio.made,
        payload: 256,
        heap_mib: rounded((heapUsed - before.heapUsed) / MIB),
        buffers_mib: rounded((arrayBuffers - before.arrayBuffers) / MIB),
        rss_mib: rounded(rss / MIB),
        peak_rss_mib: rounded(peak / MIB),
      });
    }
  }
}
