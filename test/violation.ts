/** How a test's own rules say that they are broken. */

/** A rule that is broken, by its message. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** @throws Violation unless it holds, with what `evidence` gives */
export function demand(holds: boolean, rule: string, evidence?: () => unknown): asserts holds {
  if (!holds) throw new Violation(evidence === undefined ? rule : `${rule}: ${JSON.stringify(evidence())}`);
}
