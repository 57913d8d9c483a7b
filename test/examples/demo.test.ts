/**
 * The demo is a test too: three real processes over files and TCP, killed with SIGKILL while clients write. It is run as
 * a user runs it, from what `npm run build` made.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const DEMO = fileURLToPath(new URL('../../.build/demo/main.js', import.meta.url));

function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [DEMO, ...args],
      { env: { ...process.env, NO_COLOR: '1' } },
      (_, out, errors) => {
        resolve({ code: child.exitCode, output: out + errors });
      },
    );
  });
}

describe('the demo', () => {
  it('is built', () => expect(existsSync(DEMO), 'run `npm run build` first').toBe(true));

  it.each(['raft', 'multipaxos'])(
    'loses nothing and applies nothing twice with %s',
    async (protocol) => {
      const { code, output } = await run(['--protocol', protocol]);
      expect(output).toMatch(/writes acknowledged +\| +[1-9]\d\d/);
      expect(output).toMatch(/lost +\| +0 /);
      expect(output).toMatch(/duplicates +\| +0 /);
      expect(output.match(/SIGKILL/g)).toHaveLength(3);
      expect(code).toBe(0);
    },
    120_000,
  );

  it('refuses what it does not know', async () => {
    expect((await run(['--protocol', 'zab'])).code).toBe(2);
  });
});
