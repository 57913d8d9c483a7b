/** The source files of the repository. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { source, type Source } from './source.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Paths of the files below a folder, from the root of the repository, with `/`, in order. */
export function pathsBelow(folder: string, extension: string): string[] {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith(extension))
    .sort();
}

export function sourcesBelow(...folders: readonly string[]): Source[] {
  return folders
    .flatMap((folder) => pathsBelow(folder, '.ts'))
    .map((path) => source(path, readFileSync(join(ROOT, path), 'utf8')));
}
