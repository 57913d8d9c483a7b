/**
 * Golden files hold what the code makes: bytes of messages and records, traces of scenarios. A test that compares with
 * one imports this file. After a change that is meant, `npm run golden:update` writes all of them anew, by running the
 * tests that import this file with `UPDATE_GOLDEN=1`; the difference is to be read before it is committed.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

const updating = process.env['UPDATE_GOLDEN'] === '1';

/** Expects the file to hold this text. */
export function expectGolden(file: string | URL, text: string): void {
  const held = existsSync(file) ? readFileSync(file, 'utf8') : null;
  if (updating && held !== text) return writeFileSync(file, text);
  expect(text, 'if this change is meant: npm run golden:update').toBe(held);
}

/** The form in which values stand in a golden file. */
export function goldenJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
