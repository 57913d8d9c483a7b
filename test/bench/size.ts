/** The bytes of what one import brings into a bundle: minified, and minified and gzipped; invariants included. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { line, note } from './output.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What a user writes, by the name of the figure. */
const IMPORTS: Readonly<Record<string, string>> = {
  'raft core': `export { raftProtocol } from '../src/raft/index.js';`,
  'multipaxos core': `export { multipaxosProtocol } from '../src/multipaxos/index.js';`,
  everything: `export * from '../src/index.js'; export * from '../src/node.js';`,
};

export function size(): void {
  const folder = mkdtempSync(join(ROOT, '.build-size-'));
  try {
    for (const [name, source] of Object.entries(IMPORTS)) {
      const entry = join(folder, 'entry.ts');
      writeFileSync(entry, source);
      const args = ['tsup', entry, '--no-config', '--format', 'esm', '--minify', '--silent', '--out-dir', folder];
      const { status, stderr } = spawnSync('npx', [...args, '--platform', 'node'], { cwd: ROOT, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
      const bytes = readFileSync(join(folder, 'entry.js'));
      const gzipped = gzipSync(bytes, { level: 9 }).length;
      line({ system: 'quorate', mode: 'size', of: name, bytes: bytes.length, gzipped });
      note(`${name}: ${bytes.length} bytes, ${gzipped} gzipped`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
