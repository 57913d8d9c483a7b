/** Three kinds of trouble have three forms: outcomes are values, misuse throws RangeError, a broken law throws this. */

/** Safety is broken, or the code is: the replica that throws this halts for good. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  /** What proves it, as plain data. */
  readonly evidence: unknown;

  constructor(rule: string, evidence?: unknown) {
    super(rule);
    this.evidence = evidence;
  }
}

/** @throws InvariantViolation naming the rule unless the condition holds */
export function assert(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new InvariantViolation(rule);
}

/** For the default arm of an exhaustive switch: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new InvariantViolation('an exhaustive switch met an unknown kind', value);
}
