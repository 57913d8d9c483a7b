/**
 * An append-only list as a value. Forks share their common part: appending to the longest list writes in place,
 * appending to a shorter one copies; a list never shows items beyond its own length.
 */

export interface Ledger<T> {
  readonly items: readonly T[];
  readonly length: number;
}

export function emptyLedger<T>(): Ledger<T> {
  return { items: [], length: 0 };
}

/** The list with one more item. */
export function appended<T>(ledger: Ledger<T>, item: T): Ledger<T> {
  const { length } = ledger;
  const items = ledger.items.length === length ? (ledger.items as T[]) : ledger.items.slice(0, length);
  items.push(item);
  return { items, length: length + 1 };
}
