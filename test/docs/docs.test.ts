/** Every block of TypeScript in the pages compiles, against the public names, and runs if it says so. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, typeProblems, type Block } from './blocks.js';
import { pathsBelow, ROOT } from '../tidy/files.js';

const pages = ['README.md', 'CONTRIBUTING.md', ...pathsBelow('docs', '.md')];
const blocks = pages.flatMap((page) => blocksOf(page, readFileSync(join(ROOT, page), 'utf8')));
const built = join(ROOT, '.build');
let scratch = '';
let home = '';

beforeAll(() => {
  mkdirSync(built, { recursive: true });
  // Inside the repository, so that the package's name is resolved as in every other test.
  scratch = mkdtempSync(join(built, 'docs-'));
  home = process.cwd();
  // What a sample writes to './data' shall not stay.
  const working = join(scratch, 'working');
  mkdirSync(working);
  process.chdir(working);
});

afterAll(() => {
  process.chdir(home);
  rmSync(scratch, { recursive: true, force: true });
});

async function run({ code, page, line }: Block): Promise<void> {
  const path = join(scratch, `${page.replace(/\W/g, '-')}-${line}.ts`);
  writeFileSync(path, code);
  await import(pathToFileURL(path).href);
}

describe('documentation', () => {
  it('compiles', () => {
    expect(typeProblems(blocks, ROOT)).toEqual([]);
  });

  const runnable = blocks.filter((block) => block.run);
  for (const block of runnable) it(`runs ${block.page}:${block.line}`, () => run(block));
});

describe('the check itself', () => {
  const page = [
    'Text',
    '```ts',
    `import { join } from 'node:path';`,
    `const path: string = join('a', 'b');`,
    '```',
    '```ts continued run',
    `if (path !== 'a/b') throw new Error('not run in order');`,
    'const wrong: number = path;',
    '```',
    '```sh',
    'not code',
    '```',
    '```ts run',
    `throw new Error('was run');`,
    '```',
    '```ts',
    `import { noSuchName } from 'quorate/raft';`,
    'void path;',
    '```',
    '',
  ].join('\n');
  const samples = blocksOf('page.md', page);

  it('finds the blocks', () => {
    expect(samples.map(({ line, run, before }) => ({ line, run, before }))).toEqual([
      { line: 3, run: false, before: 0 },
      { line: 7, run: true, before: 2 },
      { line: 14, run: true, before: 0 },
      { line: 17, run: false, before: 0 },
    ]);
  });

  it('reports what does not compile, once and where it stands', () => {
    const problems = typeProblems(samples, ROOT).map((problem) => problem.slice(0, 70));
    expect(problems).toEqual([
      expect.stringMatching(/^page\.md:8: Type 'string' is not assignable to type 'number'/),
      expect.stringMatching(/^page\.md:17: .*noSuchName/),
      expect.stringMatching(/^page\.md:18: Cannot find name 'path'/),
    ]);
  });

  it('fails when a block that runs throws, and only then', async () => {
    await run(samples[1] as Block);
    await expect(run(samples[2] as Block)).rejects.toThrow('was run');
  });

  it('refuses fences that would go unchecked', () => {
    expect(() => blocksOf('page.md', '```js\na();\n```\n')).toThrow('page.md:1');
    expect(() => blocksOf('page.md', '```ts rum\na();\n```\n')).toThrow('unknown word rum');
  });
});
