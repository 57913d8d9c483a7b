/** Citations resolve: what docs/rules.md lists is there, and what is cited is listed. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  areasOf,
  listProblems,
  namelessViolations,
  numberedCitations,
  rulesIn,
  unknownRules,
  type Text,
} from './citations.js';
import { pathsBelow, ROOT, sourcesBelow } from './files.js';
import { source } from './source.js';

const LIST = 'docs/rules.md';
const read = (path: string): Text => ({ path, text: readFileSync(join(ROOT, path), 'utf8') });
const rules = rulesIn(read(LIST).text);
const scenarios = pathsBelow('test/scenarios', '.scenario');
const scenarioNames = new Set(scenarios.map((path) => path.slice('test/scenarios/'.length, -'.scenario'.length)));
const code = sourcesBelow('src', 'test', 'examples').filter(({ path }) => !path.startsWith('test/tidy/'));
const root = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
const pages = [...root, ...pathsBelow('docs', '.md'), ...pathsBelow('examples', '.md'), ...scenarios].map(read);

/** Of a scenario the comments; the rest is a trace, in which `1.1` is a ballot. */
function commentsOf({ path, text }: Text): Text {
  return { path, text: text.replace(/^(?!#).*$/gm, '') };
}

describe('the house', () => {
  it('lists each rule once, with its source and with files that are there', () => {
    expect(rules.length).toBeGreaterThan(100);
    expect(listProblems(LIST, rules, (path) => existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('has the areas that the type of a rule allows', () => {
    const { text } = read('src/core/assert.ts');
    const areas = [...(/type RuleArea =([^;]*);/.exec(text)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, area]) => area);
    expect([...areasOf(rules)].sort()).toEqual([...areas].sort());
  });

  it('cites rules that are listed', () => {
    expect([...code, ...pages].flatMap((file) => unknownRules(file, rules, scenarioNames))).toEqual([]);
  });

  it('lists rules that are cited', () => {
    const all = [...code, ...pages.filter(({ path }) => path !== LIST)].map(({ text }) => text).join('\n');
    const cited = new Set(all.match(/[a-z]+\/[a-z0-9-]+/g));
    expect(rules.map(({ name }) => name).filter((name) => !cited.has(name))).toEqual([]);
  });

  it('names a rule in every violation', () => {
    const src = code.filter(({ path }) => path.startsWith('src/'));
    expect(src.flatMap((file) => namelessViolations(file, rules))).toEqual([]);
  });

  it('cites no numbers of pages that are elsewhere', () => {
    const files = [...code, ...pages.filter(({ path }) => path !== LIST)];
    const prose = files.map((file) => (file.path.endsWith('.scenario') ? commentsOf(file) : file));
    expect(prose.flatMap(numberedCitations)).toEqual([]);
  });
});

const entry = (name: string, source = '- Source: this library.'): string =>
  `### ${name}\n\nA sentence.\n\n${source}\n- Checked: \`src/a.ts\` (production).\n`;

describe('the list', () => {
  const there = (path: string): boolean => path === 'src/a.ts';

  it('is read with its files', () => {
    const read = rulesIn(`# Rules\n\n## raft\n\n${entry('raft/one')}\n${entry('paxos/two')}`);
    expect(read).toMatchObject([
      { name: 'raft/one', line: 5, files: ['src/a.ts'], hasSource: true },
      { name: 'paxos/two', files: ['src/a.ts'] },
    ]);
    expect(areasOf(read)).toEqual(['raft', 'paxos']);
    expect(listProblems(LIST, read, there)).toEqual([]);
  });

  it.each([
    ['a name of another form', entry('Raft/One'), 'is no name'],
    ['a name twice', entry('raft/one') + entry('raft/one'), 'is listed twice'],
    ['an entry without a source', entry('raft/one', ''), 'has no source'],
    ['an entry without a file', entry('raft/one').replace('src/a.ts', 'nowhere'), 'names no file'],
    ['a file that is gone', entry('raft/one').replace('src/a.ts', 'src/b.ts'), 'src/b.ts, which is not there'],
  ])('does without %s', (_, text, problem) => {
    const found = listProblems(LIST, rulesIn(text), there);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });
});

describe('a citation', () => {
  const known = rulesIn(entry('raft/one-vote') + entry('log/no-gap'));
  const among = new Set(['raft/deaf-leader']);

  it.each(['// raft/two-votes', `assert(a, 'raft/one: b');`, '(log/gap)', '`raft/one-vote-more`'])(
    'is wrong: %s',
    (text) => {
      expect(unknownRules({ path: 'a.ts', text }, known, among)).toHaveLength(1);
    },
  );

  it.each([
    '// raft/one-vote',
    'log/no-gap: a',
    `file: 'raft/deaf-leader'`,
    `import '../raft/step.js';`,
    'src/raft/step',
    '`raft/`',
    'paxos/other',
  ])('is right, or none: %s', (text) => {
    expect(unknownRules({ path: 'a.ts', text }, known, among)).toEqual([]);
  });

  it.each([
    `assert(a, 'one vote');`,
    `assert(a, 'raft/one-vote');`,
    `assert(a, 'raft/two-votes: b');`,
    'throw new InvariantViolation(`halted ${a.id}: ${b}`);',
    `throw new InvariantViolation('one vote', { a });`,
    `violated('X1 one vote', {});`,
  ])('is missing in %s', (text) => {
    expect(namelessViolations(source('src/a.ts', text), known)).toHaveLength(1);
  });

  it.each([
    `assert(a, 'raft/one-vote: b');`,
    'violated(`log/no-gap: ${a}`, {});',
    'violated(`${rule}: a`, {});',
    'f("a");',
  ])('is not missing in %s', (text) => {
    expect(namelessViolations(source('src/a.ts', text), known)).toEqual([]);
  });
});

describe('a number', () => {
  it.each([
    '// as R9 says',
    '/** (X4) */',
    `it('m21: a follower');`,
    '// see bug 24',
    '// raft-anchors',
    '// issue 3',
    '// law 5',
    '// invariant 12',
    '// (2.7)',
    '/** The quorum (2.11, 9). */',
    '// of section 3',
  ])('is of a page that is not here: %s', (text) => {
    expect(numberedCitations({ path: 'a.ts', text }).length).toBeGreaterThan(0);
  });

  it.each([
    'const R9 = m21(p3);',
    '// n1 and n2, t2, §5.4.2, Figure 8, thesis 6.4, rule 3',
    '// P2c of "Paxos Made Simple" (2.2)',
    `const scope = 'raft n3 E1 R1 C1 split';`,
    '// 2.5 times as much at p99, in 40 KiB, on Node 20',
  ])('is harmless: %s', (text) => {
    expect(numberedCitations({ path: 'a.ts', text })).toEqual([]);
  });
});
