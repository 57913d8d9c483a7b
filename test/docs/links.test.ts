/** Every relative link in the pages of the repository leads to a file or folder that exists. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pathsBelow, ROOT } from '../tidy/files.js';

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...pathsBelow('docs', '.md'),
  ...pathsBelow('examples', '.md'),
];

/** Where the links of a page lead to, as they stand there; code is no link. */
function targetsOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target as string);
}

/** The links of a page that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  return targetsOf(text)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !existsSync(join(ROOT, dirname(page), target.replace(/#.*/, ''))))
    .map((target) => `${page}: ${target}`);
}

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (page) => expect(brokenLinks(page, read(page))).toEqual([]));

  it('are found where they are', () => {
    expect(targetsOf(read('README.md'))).toContain('docs/architecture.md');
    const page = '[a](../README.md), [b](gone.md#part) and `[c](code.md)`; [d](https://example.org/), [e](#here)\n';
    expect(brokenLinks('docs/page.md', `${page}\`\`\`ts\n[0](1)\n\`\`\`\n`)).toEqual(['docs/page.md: gone.md#part']);
  });
});
