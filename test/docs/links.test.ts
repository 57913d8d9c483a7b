/** What the pages of the repository name is there: where their links lead, files, functions of files, npm scripts. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pathsBelow, ROOT } from '../tidy/files.js';

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...pathsBelow('docs', '.md'),
  ...pathsBelow('examples', '.md'),
];
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };

/** Where the links of a page lead to, as they stand there; code is no link. */
function targetsOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target as string);
}

/** The names by which the headings of a page can be linked to. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The links of a page that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  const isBroken = (target: string): boolean => {
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? page : join(dirname(page), file);
    if (file !== '' && !existsSync(join(ROOT, path))) return true;
    return anchor !== undefined && !anchorsOf(file === '' ? text : read(path)).has(anchor);
  };
  return targetsOf(text)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter(isBroken)
    .map((target) => `${page}: ${target}`);
}

/** The files and folders of the repository that a page names in code, alone or in a command; `<name>` is any name. */
function missingPaths(page: string, text: string): string[] {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = '']) => code.split(/\s+/));
  return words
    .filter((word) => /^(?:src|test|docs|examples)\//.test(word))
    .filter((word) => !existsSync(join(ROOT, word.replace(/[^/]*[<*].*$/, ''))))
    .map((word) => `${page}: ${word}`);
}

/** Whether a source file declares a function, a method, a class or a constant of that name. */
function declares(source: string, name: string): boolean {
  const kinds = '(?:function|class|interface|type|const|get) ';
  const method = '^ +(?:(?:private|protected|override|static|async) )*';
  return new RegExp(`${kinds}${name}\\b|${method}${name}(?:<.*>)?\\(`, 'm').test(source);
}

/** Names that follow a file in parentheses and are not declared in it: `src/raft/step.ts` (`init`, `step`). */
function missingNames(page: string, text: string): string[] {
  const places = [...text.matchAll(/`((?:src|test|examples)\/[^`\s]+\.ts)`,?\s+\(((?:`\w+`(?:,\s+)?)+)\)/g)];
  const asides = [...text.matchAll(/\(`((?:src|test|examples)\/[^`\s]+\.ts)`,\s+((?:`\w+`(?:,\s+)?)+)\)/g)];
  return [...places, ...asides].flatMap(([, path = '', names = '']) => {
    const source = existsSync(join(ROOT, path)) ? read(path) : '';
    const all = [...names.matchAll(/\w+/g)].map(([name]) => name);
    return all.filter((name) => !declares(source, name)).map((name) => `${page}: ${path} ${name}`);
  });
}

/** The npm scripts that a page names and package.json does not have. */
function missingScripts(page: string, text: string): string[] {
  const named = [...text.matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g)].map(([, name]) => name as string);
  return named.filter((name) => !(name in scripts)).map((name) => `${page}: npm run ${name}`);
}

describe.each(pages)('%s', (page) => {
  const text = read(page);
  it('has links that lead somewhere', () => expect(brokenLinks(page, text)).toEqual([]));
  it('names files that are there', () => expect(missingPaths(page, text)).toEqual([]));
  it('names what those files declare', () => expect(missingNames(page, text)).toEqual([]));
  it('names scripts that package.json has', () => expect(missingScripts(page, text)).toEqual([]));
});

describe('the check itself', () => {
  it('finds links that lead nowhere', () => {
    expect(targetsOf(read('README.md'))).toContain('docs/architecture.md');
    const page =
      '# A page, short\n[a](../README.md), [b](gone.md#part) and `[c](code.md)`; [d](https://example.org/), ' +
      '[e](#a-page-short), [f](#gone), [g](../README.md#quorate), [h](../README.md#gone)\n';
    expect(brokenLinks('docs/page.md', `${page}\`\`\`ts\n[0](1)\n\`\`\`\n`)).toEqual([
      'docs/page.md: gone.md#part',
      'docs/page.md: #gone',
      'docs/page.md: ../README.md#gone',
    ]);
  });

  it('finds files that are not there', () => {
    const page = '`src/index.ts`, `src/gone.ts`, `npx vitest run test/gone`, `test/scenarios/<x>/y`, `docs/gone/*.md`';
    expect(missingPaths('page.md', page)).toEqual([
      'page.md: src/gone.ts',
      'page.md: test/gone',
      'page.md: docs/gone/*.md',
    ]);
  });

  it('finds names that their file does not declare', () => {
    const page =
      '`src/raft/step.ts` (`init`,\n`gone`), and (`src/raft/step.ts`, `step`, `onPropose`), `src/a.ts` (`b`)';
    expect(missingNames('page.md', page)).toEqual([
      'page.md: src/raft/step.ts gone',
      'page.md: src/a.ts b',
      'page.md: src/raft/step.ts onPropose',
    ]);
  });

  it('finds scripts that are not there', () => {
    expect(missingScripts('page.md', '`npm run check`, `npm run -s gone -- x`')).toEqual(['page.md: npm run gone']);
  });
});
