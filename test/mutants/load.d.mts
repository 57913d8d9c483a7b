import type { Edit } from './mutant.js';

/**
 * What a file exports, with these edits in it and in whatever it imports: fresh copies of the files that are edited, and
 * of all that import them. The others are loaded once for all calls.
 * @param entry from the root of the repository
 */
export function load(entry: string, edits: readonly Edit[]): unknown;
