/**
 * Lists in ascending order of a number, searched by bisection: an event that concerns one of thousands of requests
 * does not visit the others.
 */

/** The position of the first item whose number is above `limit`; the length if there is none. */
export function firstAbove<T>(list: readonly T[], numberOf: (item: T) => number, limit: number): number {
  let from = 0;
  let to = list.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (numberOf(list[middle] as T) > limit) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The position of the item with this number; -1 if there is none. */
export function positionOf<T>(list: readonly T[], numberOf: (item: T) => number, number: number): number {
  const at = firstAbove(list, numberOf, number) - 1;
  return at >= 0 && numberOf(list[at] as T) === number ? at : -1;
}

/** Merges two lists. The usual case, in which the second follows the first, only joins them. */
export function merged<T>(a: readonly T[], b: readonly T[], numberOf: (item: T) => number): readonly T[] {
  const first = b[0];
  if (first === undefined) return a;
  const at = firstAbove(a, numberOf, numberOf(first));
  if (at === a.length) return a.length === 0 ? b : a.concat(b);
  const tail = a.slice(at).concat(b);
  return a.slice(0, at).concat(tail.sort((x, y) => numberOf(x) - numberOf(y)));
}

/** For `sort`. */
export function ascending(a: number, b: number): number {
  return a - b;
}

/** The list without the items at these positions, which ascend. */
export function without<T>(list: readonly T[], positions: readonly number[]): readonly T[] {
  if (positions.length === 0) return list;
  const left: T[] = [];
  let from = 0;
  for (const position of positions) {
    while (from < position) left.push(list[from++] as T);
    from = position + 1;
  }
  return left.length === 0 ? list.slice(from) : left.concat(list.slice(from));
}
