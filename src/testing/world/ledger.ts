/**
 * An append-only list as a value. Forks share their common part: appending to the longest one writes in place, to a
 * shorter one copies, and nobody sees beyond their own length.
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
