/** A key-value machine and a workload for it, as `keyValueModel` understands them. */

import type { KeyValueInput, MachineSpec, Random } from 'quorate/testing';

/** `apply` in place of the right one. */
export function keyValue(
  apply?: (values: Map<string, unknown>, input: KeyValueInput) => unknown,
): MachineSpec<KeyValueInput> {
  return {
    create() {
      const values = new Map<string, unknown>();
      return {
        apply(input) {
          if (apply !== undefined) return apply(values, input);
          const [verb, key, a, b] = input;
          const before = values.get(key) ?? null;
          if (verb === 'get') return before;
          if (verb === 'delete') return values.delete(key);
          if (verb === 'cas' && before !== a) return false;
          values.set(key, verb === 'cas' ? b : a);
          return verb === 'cas' ? true : null;
        },
        snapshot: () => [...values].sort(),
        restore(snapshot: [string, unknown][]) {
          values.clear();
          for (const [key, value] of snapshot) values.set(key, value);
        },
      };
    },
  };
}

/** Any of the four verbs on one of a few keys. */
export function keyValueCommands(random: Random, call: number): KeyValueInput {
  const key = random.pick(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  switch (random.between(0, 3)) {
    case 0:
      return ['get', key];
    case 1:
      return ['cas', key, random.between(0, 3), call];
    case 2:
      return ['delete', key];
    default:
      return ['put', key, random.between(0, 3)];
  }
}
