/** The example of a client that outlives its process: killed in the middle, it pays everything once. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../.build/sessions/main.js', import.meta.url));

describe('sessions', () => {
  it('is built', () => expect(existsSync(PROGRAM), 'run `npm run build` first').toBe(true));

  it.each(['raft', 'multipaxos'])(
    'over %s a client that is killed again and again pays each invoice once',
    async (protocol) => {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, protocol]);
      expect(stdout).toMatch(/^the client was killed 4 times, and starts again$/m);
      expect(stdout).toMatch(/^60 of 60 invoices were paid once, 1830 in all$/m);
    },
  );
});
