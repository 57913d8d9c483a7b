/**
 * Every scenario runs through, and its trace is the one that stands in its file. After a change of behaviour that is
 * meant: `npm run golden:update`, and read the difference.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import { runScenario } from '../../../src/testing/scenario/scenario.js';
import { expectGolden } from '../../golden.js';

const FOLDER = fileURLToPath(new URL('../../scenarios/', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.scenario'));

describe('scenarios', () => {
  test.each(files)('%s', (name) => {
    const text = readFileSync(FOLDER + name, 'utf8');
    const run = runScenario(text, [raftModel, multipaxosModel]);
    const failure = run.failure === null ? null : `${name}:${run.failure.line} ${run.failure.reason}`;
    expect(failure).toBe(null);
    expectGolden(FOLDER + name, run.trace);
    expect(text).toMatch(/^expect /m); // a golden trace alone kills no mutant
    expect(text.startsWith('# ')).toBe(true);
    expect(run.trace).not.toContain('    no such message'); // a line that does nothing
  });

  test('there are some for each protocol', () => {
    const headers = files.map((name) => /^protocol: (\w+)$/m.exec(readFileSync(FOLDER + name, 'utf8'))?.[1]);
    expect(new Set(headers)).toEqual(new Set(['raft', 'multipaxos']));
  });
});
