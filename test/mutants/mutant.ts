/**
 * What a mutant is: a rule of a protocol or of the driver, taken out of the shipped source by a patch that is applied
 * while the source is loaded; and the killer, the cheapest run that shows that the rule was needed.
 */

import type { ProtocolName, ScopeName, ScriptKiller, Killer } from './kinds.js';

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

/** Why no execution can tell a mutant from the source. */
export interface Equivalent {
  readonly equivalent: string;
}

export function equivalent(argument: string): Equivalent {
  return { equivalent: argument };
}

/** A scenario of test/scenarios, by its name. */
export function scenario(file: string): Killer {
  return { kind: 'scenario', file };
}

/** A scope of test/testing/checker/scopes.ts, by its name. */
export function scope(name: ScopeName): Killer {
  return { kind: 'check', scope: name };
}

/** A schedule of the simulator. */
export function schedule(protocol: ProtocolName, seed: number): Killer {
  return { kind: 'simulate', protocol, seed };
}

/** A run of the host simulation. */
export function hostRun(protocol: ProtocolName, seed: number): Killer {
  return { kind: 'host', protocol, seed };
}

/** A run of one of the files named scripts. */
export function script(name: ScriptKiller['script']): Killer {
  return { kind: 'script', script: name };
}

/** An entry of the tables. @param by what kills it, or why nothing can */
export function mutant(
  name: string,
  about: string,
  breaks: readonly string[],
  by: Killer | Equivalent,
  ...edits: readonly Edit[]
): Mutant {
  return { name, about, breaks, edits, ...('kind' in by ? { killedBy: by } : by) };
}
