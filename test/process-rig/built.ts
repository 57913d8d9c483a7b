/** The rig's programs as `npm run build` makes them. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Programs } from './cluster.js';

function built(name: string): string {
  const path = fileURLToPath(new URL(`../../.build/programs/${name}.js`, import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is not there: run \`npm run build\` first`);
  return path;
}

/** @throws when they are not built */
export function builtPrograms(): Programs {
  return { member: built('process-rig-member'), reaper: built('process-rig-reaper') };
}
