/**
 * A book: an immutable collection of items by key, each with a deadline and, once it is known, a place in the log.
 * Every change costs the logarithm of the size, older versions stay valid, and the earliest deadline is known without a
 * search, so a replica may wait for many things at once.
 *
 * It is a treap (Aragon and Seidel, "Randomized Search Trees") whose priorities are a hash of the keys. So its shape
 * follows from the set of its keys alone: two books with the same items are deeply equal, however they came about.
 *
 * Invariants: keys ascend from left to right; no child's priority is above its parent's; `deadline` and `at` of a node
 * are the lowest of its subtree.
 */

import type { Index, Milliseconds } from './protocol.js';

/** What a book holds. */
export interface BookItem {
  /** A safe integer, unique in the book. */
  readonly key: number;
  /** `Infinity` for none. */
  readonly deadline: Milliseconds;
  /** The lowest index of the log that concerns it; `Infinity` while none is known. */
  readonly at: Index;
}

interface BookNode<T extends BookItem> {
  readonly item: T;
  readonly left: Book<T>;
  readonly right: Book<T>;
  readonly deadline: Milliseconds;
  readonly at: Index;
}

/** `null` is the empty book. */
export type Book<T extends BookItem> = BookNode<T> | null;

/** The priority of a key: well mixed, so that rising keys give a balanced tree (MurmurHash3, finalizer). */
function priorityOf(key: number): number {
  let hash = (key ^ (key / 2 ** 32)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function outranks(a: number, b: number): boolean {
  const first = priorityOf(a);
  const second = priorityOf(b);
  return first > second || (first === second && a > b);
}

function node<T extends BookItem>(item: T, left: Book<T>, right: Book<T>): BookNode<T> {
  let { deadline, at } = item;
  if (left !== null) {
    if (left.deadline < deadline) deadline = left.deadline;
    if (left.at < at) at = left.at;
  }
  if (right !== null) {
    if (right.deadline < deadline) deadline = right.deadline;
    if (right.at < at) at = right.at;
  }
  return { item, left, right, deadline, at };
}

/** The items below `key` and those above it; none has this key. */
function split<T extends BookItem>(book: Book<T>, key: number): readonly [Book<T>, Book<T>] {
  if (book === null) return [null, null];
  if (book.item.key < key) {
    const [below, above] = split(book.right, key);
    return [node(book.item, book.left, below), above];
  }
  const [below, above] = split(book.left, key);
  return [below, node(book.item, above, book.right)];
}

/** Both in one; every key of `left` is below every key of `right`. */
function joined<T extends BookItem>(left: Book<T>, right: Book<T>): Book<T> {
  if (left === null) return right;
  if (right === null) return left;
  if (outranks(left.item.key, right.item.key)) return node(left.item, left.left, joined(left.right, right));
  return node(right.item, joined(left, right.left), right.right);
}

/** With this item, in place of the one of its key if there is one. */
export function withItem<T extends BookItem>(book: Book<T>, item: T): Book<T> {
  if (book === null) return node(item, null, null);
  const { key } = book.item;
  if (item.key === key) return node(item, book.left, book.right);
  if (outranks(item.key, key)) return node(item, ...split(book, item.key));
  if (item.key < key) return node(book.item, withItem(book.left, item), book.right);
  return node(book.item, book.left, withItem(book.right, item));
}

/** With these items, which ascend and lie above all others: at the cost of their number. */
export function withNewest<T extends BookItem>(book: Book<T>, items: readonly T[]): Book<T> {
  return joined(book, builtFrom(items));
}

/** A book of ascending items, built in one pass: each is the right child of the next higher priority before it. */
function builtFrom<T extends BookItem>(items: readonly T[]): Book<T> {
  const left = new Array<number>(items.length).fill(-1);
  const right = new Array<number>(items.length).fill(-1);
  const spine: number[] = [];
  for (let at = 0; at < items.length; at++) {
    let below = -1;
    while (spine.length > 0 && outranks(keyAt(items, at), keyAt(items, spine[spine.length - 1] as number))) {
      below = spine.pop() as number;
    }
    left[at] = below;
    if (spine.length > 0) right[spine[spine.length - 1] as number] = at;
    spine.push(at);
  }
  const build = (at: number): Book<T> =>
    at < 0 ? null : node(items[at] as T, build(left[at] as number), build(right[at] as number));
  return build(spine[0] ?? -1);
}

function keyAt(items: readonly BookItem[], at: number): number {
  return (items[at] as BookItem).key;
}

/** Without the item of this key; the same book if there is none. */
export function withoutItem<T extends BookItem>(book: Book<T>, key: number): Book<T> {
  if (book === null) return null;
  if (book.item.key === key) return joined(book.left, book.right);
  if (key < book.item.key) {
    const left = withoutItem(book.left, key);
    return left === book.left ? book : node(book.item, left, book.right);
  }
  const right = withoutItem(book.right, key);
  return right === book.right ? book : node(book.item, book.left, right);
}

/** The items up to `key`, and those above it. */
export function splitAfter<T extends BookItem>(
  book: Book<T>,
  key: number,
): readonly [through: Book<T>, above: Book<T>] {
  return split(book, key + 0.5);
}

/** The item of the lowest key. */
export function lowestItem<T extends BookItem>(book: Book<T>): T | undefined {
  let here = book;
  while (here !== null && here.left !== null) here = here.left;
  return here?.item;
}

/** The highest key; `-Infinity` if there is no item. */
export function highestKey(book: Book<BookItem>): number {
  let here = book;
  while (here !== null && here.right !== null) here = here.right;
  return here?.item.key ?? -Infinity;
}

/** The item of the highest key that is not above `key`. */
export function itemAtOrBelow<T extends BookItem>(book: Book<T>, key: number): T | undefined {
  let found: T | undefined;
  for (let here = book; here !== null; ) {
    if (here.item.key > key) here = here.left;
    else {
      found = here.item;
      here = here.right;
    }
  }
  return found;
}

/** The item whose number is `number`, in a book where numbers ascend with the keys. */
export function itemNumbered<T extends BookItem>(
  book: Book<T>,
  numberOf: (item: T) => number,
  number: number,
): T | undefined {
  for (let here = book; here !== null; ) {
    const own = numberOf(here.item);
    if (own === number) return here.item;
    here = number < own ? here.left : here.right;
  }
  return undefined;
}

/** The items with these keys. */
export function itemsKeyed<T extends BookItem>(book: Book<T>, keys: readonly number[]): readonly T[] {
  const found: T[] = [];
  if (book === null) return found;
  for (const key of keys) {
    const item = itemAtOrBelow(book, key);
    if (item?.key === key) found.push(item);
  }
  return found;
}

/** The lowest items, at most so many. */
export function lowestItems<T extends BookItem>(book: Book<T>, most: number): readonly T[] {
  const found: T[] = [];
  const walk = (here: Book<T>): void => {
    if (here === null || found.length >= most) return;
    walk(here.left);
    if (found.length < most) found.push(here.item);
    walk(here.right);
  };
  walk(book);
  return found;
}

/** Without the items of these ascending keys. Those that are the lowest of the book are dropped in one piece. */
export function withoutItems<T extends BookItem>(book: Book<T>, keys: readonly number[]): Book<T> {
  const lowest = lowestItems(book, keys.length);
  if (lowest.length === keys.length && lowest.every(({ key }, at) => key === keys[at])) {
    return keys.length === 0 ? book : splitAfter(book, keys[keys.length - 1] as number)[1];
  }
  let left = book;
  for (const key of keys) left = withoutItem(left, key);
  return left;
}

/** All items, in the order of their keys. */
export function itemsOf<T extends BookItem>(book: Book<T>): readonly T[] {
  return collect(book, () => true, []);
}

/** The items whose deadline has come. */
export function itemsDue<T extends BookItem>(book: Book<T>, now: Milliseconds): readonly T[] {
  return collect(book, ({ deadline }) => deadline <= now, []);
}

/** The items whose place in the log is at or below `index`. */
export function itemsThrough<T extends BookItem>(book: Book<T>, index: Index): readonly T[] {
  return collect(book, ({ at }) => at <= index, []);
}

/** Those for which `wanted` holds, which holds for a subtree if it does for one of its items. */
function collect<T extends BookItem>(
  book: Book<T>,
  wanted: (lowest: { readonly deadline: Milliseconds; readonly at: Index }) => boolean,
  found: T[],
): readonly T[] {
  if (book === null || !wanted(book)) return found;
  collect(book.left, wanted, found);
  if (wanted(book.item)) found.push(book.item);
  collect(book.right, wanted, found);
  return found;
}

/** The earliest deadline of all items; `Infinity` when there is none. */
export function earliestDeadline(book: Book<BookItem>): Milliseconds {
  return book === null ? Infinity : book.deadline;
}
