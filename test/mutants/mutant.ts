/**
 * What a mutant is: a rule of a protocol or of the driver, taken out of the shipped source by a patch that is applied
 * while the source is loaded; and the witness, the cheapest run that shows that the rule was needed.
 */

import type { Killer } from './kinds.js';

/** One replacement. `from` occurs exactly once in the file, or the mutant no longer applies. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Mutant {
  /** In words: `raft-vote-before-durable`. */
  readonly name: string;
  /** What it does wrong, in one sentence. */
  readonly about: string;
  /** Which rules of docs/rules.md it breaks. */
  readonly breaks: readonly string[];
  readonly edits: readonly Edit[];
  /** What kills it. None only in a mutant that is `equivalent`. */
  readonly killedBy?: Killer;
  /** Why no execution can tell it from the source. */
  readonly equivalent?: string;
}

/** An edit of a file below `src`. */
export function edit(file: string, from: string, to: string): Edit {
  return { file: `src/${file}`, from, to };
}
