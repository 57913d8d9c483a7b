/** Every block of docs/ that opens with ```scenario runs, and its trace is the one that stands there. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { runScenario } from 'quorate/testing';
import { pathsBelow, ROOT } from '../tidy/files.js';

const blocks = pathsBelow('docs', '.md').flatMap((page) => {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```scenario\n([\s\S]*?)^```$/gm)].map(({ 1: scenario = '', index }) => {
    return { place: `${page}:${text.slice(0, index).split('\n').length}`, scenario };
  });
});

describe('scenarios in the documentation', () => {
  it('are there', () => expect(blocks.length).toBeGreaterThan(0));

  it.each(blocks)('$place', ({ scenario }) => {
    const { trace, failure } = runScenario(scenario, [raftModel, multipaxosModel]);
    expect(failure).toBeNull();
    expect(trace).toBe(scenario);
  });
});
