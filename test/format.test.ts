/** Prettier has nothing to change. Its version stands in one place, package.json; `npm run format` lays out everything. */

import { exec } from 'node:child_process';
import { expect, it } from 'vitest';
import { ROOT } from './tidy/files.js';

it('is laid out by Prettier', { timeout: 180_000 }, async () => {
  // Of npm, only its errors: what Prettier says is what is read here.
  const env = { ...process.env, npm_config_loglevel: 'error', NO_COLOR: '1' };
  const said = await new Promise<string>((resolve) => {
    exec('npm run --silent format:check', { cwd: ROOT, env }, (error, out, errors) => {
      resolve(`${out}${errors}`.trim() || (error === null ? '' : error.message));
    });
  });
  expect(said, '`npm run format` mends it').toBe('');
});
