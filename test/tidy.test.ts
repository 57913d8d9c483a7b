/** The rules of the house that a machine can check: `tidy/` holds them, this file says where each applies. */

import { describe, expect, it } from 'vitest';
import * as checks from './tidy/checks.js';
import { sourcesBelow } from './tidy/files.js';
import { evidenceLoads, importCycles, importProblems, partCycles } from './tidy/imports.js';
import { duplicateTypeNames, globalNames } from './tidy/names.js';

const src = sourcesBelow('src');
const examples = sourcesBelow('examples');
const tests = sourcesBelow('test');
const pure = src.filter(({ path }) => /^src\/(?:core|raft|multipaxos|replica\/driver)\//.test(path));
const messages = src.filter(({ path }) => /^src\/(?:[^/]+\/messages|core\/protocol)\.ts$/.test(path));
// The rules have to name what they forbid, and their tests show it.
const others = tests.filter(({ path }) => !path.startsWith('test/tidy/'));

const LARGE_FILES: readonly checks.Exception[] = [
  {
    of: 'src/core/protocol.ts',
    lines: 665,
    why: 'the contract is read from top to bottom as one page, and half of it is doc comments',
  },
  {
    of: 'src/core/draft.ts',
    lines: 450,
    why: 'a draft has one short verb for each thing that a step may do',
  },
  {
    of: 'src/replica/driver/state.ts',
    lines: 386,
    why: 'the events and effects of the driver are one list each, and most of it says what each means',
  },
];

const LARGE_FUNCTIONS: readonly checks.Exception[] = [];

describe('the house', () => {
  it('imports in the permitted directions only', () => {
    expect([...src, ...examples].flatMap(importProblems)).toEqual([]);
  });

  it('has no cycles of files that load each other, nor of parts of the source', () => {
    expect(importCycles(src)).toEqual([]);
    expect(partCycles()).toEqual([]);
  });

  it.each(['src/index.ts', 'src/node.ts'])('loads no evidence from %s', (entry) => {
    expect(evidenceLoads(src, entry)).toEqual([]);
  });

  it('loads evidence where it is handed on', () => {
    for (const protocol of ['raft', 'multipaxos']) {
      expect(evidenceLoads(src, `src/${protocol}/index.ts`)).not.toEqual([]);
    }
  });

  it('keeps time, chance, waiting and the world out of the pure folders', () => {
    expect(pure.flatMap(checks.impureWords)).toEqual([]);
  });
});

describe('names', () => {
  it('of types are used once', () => {
    expect(duplicateTypeNames(src)).toEqual([]);
  });

  it('hide nothing that is global', () => {
    expect(globalNames(src)).toEqual([]);
  });
});

describe('sizes', () => {
  it('of files are small, or argued for', () => {
    // Tests are lists: they are read one case at a time.
    const oversize = [...src, ...examples].flatMap(checks.oversizeFile);
    expect(checks.unexcused(oversize, LARGE_FILES)).toEqual([]);
  });

  it('of functions are small, or argued for', () => {
    const oversize = [...src, ...examples].flatMap(checks.oversizeFunctions);
    expect(checks.unexcused(oversize, LARGE_FUNCTIONS)).toEqual([]);
  });

  it('of lines fit side by side', () => {
    expect([...src, ...examples].flatMap(checks.longLines)).toEqual([]);
  });
});

describe('style', () => {
  it('opens every source file with what it is for', () => {
    expect(src.flatMap(checks.opensWithComment)).toEqual([]);
  });

  it('documents every kind of message', () => {
    expect(messages.flatMap(checks.undocumentedMessages)).toEqual([]);
  });

  it('can be erased: no enum, no namespace', () => {
    expect([...src, ...examples, ...tests].flatMap(checks.unerasable)).toEqual([]);
  });

  it('leaves no notes to oneself', () => {
    expect([...src, ...examples, ...others].flatMap(checks.leftovers)).toEqual([]);
  });

  it('sets no test aside', () => {
    expect(tests.flatMap(checks.asideTests)).toEqual([]);
  });
});
