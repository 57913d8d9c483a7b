/**
 * The machine under test: keys with values, and a ledger of what was applied in which order. The ledger makes every
 * question about a run decidable: it is the order in which commands took effect, told by the replicas themselves.
 */

/** A command. `op` names it: a second one of the same name is a command that took effect twice. */
export type Command =
  | { readonly op: string; readonly kind: 'set'; readonly key: string; readonly value: string }
  | { readonly op: string; readonly kind: 'append'; readonly key: string; readonly value: string }
  /** Sets `value` if the key has `expected`. */
  | {
      readonly op: string;
      readonly kind: 'cas';
      readonly key: string;
      readonly expected: string | null;
      readonly value: string;
    };

/** What a key had, how long it has become, or whether a compare-and-set took place. */
export type Output = string | number | boolean | null;

export interface Result {
  /** How many commands had been applied, this one included: its place in the ledger, 1-based. */
  readonly position: number;
  readonly output: Output;
}

export interface Contents {
  readonly values: readonly (readonly [key: string, value: string])[];
  /** The `op` of each command, in the order of application. */
  readonly ledger: readonly string[];
}

/** What a command does to values. Also the model against which a history is checked. */
export function execute(values: Map<string, string>, command: Command): Output {
  const before = values.get(command.key) ?? null;
  switch (command.kind) {
    case 'set':
      values.set(command.key, command.value);
      return before;
    case 'append': {
      const after = (before ?? '') + command.value;
      values.set(command.key, after);
      return after.length;
    }
    case 'cas':
      if (before !== command.expected) return false;
      values.set(command.key, command.value);
      return true;
  }
}

export class Keys {
  private readonly values = new Map<string, string>();
  private ledger: string[] = [];

  apply(command: Command): Result {
    const output = execute(this.values, command);
    return { position: this.ledger.push(command.op), output };
  }

  look(key: string): Result {
    return { position: this.ledger.length, output: this.values.get(key) ?? null };
  }

  snapshot(): Contents {
    return { values: [...this.values], ledger: [...this.ledger] };
  }

  restore({ values, ledger }: Contents): void {
    this.values.clear();
    for (const [key, value] of values) this.values.set(key, value);
    this.ledger = [...ledger];
  }
}
