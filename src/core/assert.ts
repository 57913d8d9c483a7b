/**
 * Broken invariants. An expected outcome is a value, misuse by the caller throws a RangeError, and what proves that
 * safety or the code is broken throws an `InvariantViolation`, which names the rule.
 */

/** The subjects of rules: the first half of a rule's name, and the sections of docs/rules.md, which lists them all. */
export type RuleArea =
  | 'core'
  | 'durability'
  | 'history'
  | 'host'
  | 'identity'
  | 'law'
  | 'leadership'
  | 'limits'
  | 'liveness'
  | 'log'
  | 'machine'
  | 'paxos'
  | 'raft'
  | 'reads'
  | 'replication'
  | 'requests'
  | 'sessions'
  | 'snapshots'
  | 'storage'
  | 'time'
  | 'transport';

/** The name of a rule, a colon, and what the rule says: `raft/one-vote-per-term: one vote a term`. */
export type RuleText = `${RuleArea}/${string}`;

/** Safety is broken, or the code is: the replica that throws this halts for good. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  /** The name of the rule that is broken, as in docs/rules.md. */
  readonly rule: string;
  /** What proves it, as plain data. */
  readonly evidence: unknown;

  constructor(text: RuleText, evidence?: unknown) {
    super(text);
    this.rule = text.split(':', 1)[0] as string;
    this.evidence = evidence;
  }
}

/** @throws InvariantViolation naming the rule unless the condition holds */
export function assert(condition: boolean, text: RuleText): asserts condition {
  if (!condition) throw new InvariantViolation(text);
}

/** For the default arm of an exhaustive switch: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new InvariantViolation('core/known-kinds: an exhaustive switch met an unknown kind', value);
}
