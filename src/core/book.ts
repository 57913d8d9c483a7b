/**
 * A book: an immutable collection of items by key, each with a deadline and, once it is known, a place in the log.
 * Every change costs the logarithm of the size, older versions stay valid, and the earliest deadline is known without a
 * search, so a replica may wait for many things at once.
 *
 * It is a treap (Aragon and Seidel, "Randomized Search Trees"). Each node holds the items of one span of keys, and its
 * priority is a hash of that span. So the shape follows from the set of the keys alone: two books with the same items
 * are deeply equal, however they came about; and items whose keys follow one another share a node.
 *
 * Invariants: keys ascend from left to right; no child's priority is above its parent's; `deadline` and `at` of a node
 * are the lowest of its subtree; no node is without an item.
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
  /** The items of one span, ascending. */
  readonly items: readonly T[];
  readonly left: Book<T>;
  readonly right: Book<T>;
  readonly deadline: Milliseconds;
  readonly at: Index;
}

/** `null` is the empty book. */
export type Book<T extends BookItem> = BookNode<T> | null;

/** How many keys make a span. */
const SPAN = 4;

function spanOf(key: number): number {
  return Math.floor(key / SPAN);
}

function spanOfNode({ items }: BookNode<BookItem>): number {
  return spanOf((items[0] as BookItem).key);
}

/** The priority of a span: well mixed, so that rising keys give a balanced tree (MurmurHash3, finalizer). */
function priorityOf(span: number): number {
  let hash = (span ^ (span / 2 ** 32)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function outranks(a: number, b: number): boolean {
  const first = priorityOf(a);
  const second = priorityOf(b);
  return first > second || (first === second && a > b);
}

function node<T extends BookItem>(items: readonly T[], left: Book<T>, right: Book<T>): BookNode<T> {
  let deadline = Infinity;
  let at = Infinity;
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as T;
    if (item.deadline < deadline) deadline = item.deadline;
    if (item.at < at) at = item.at;
  }
  if (left !== null) {
    if (left.deadline < deadline) deadline = left.deadline;
    if (left.at < at) at = left.at;
  }
  if (right !== null) {
    if (right.deadline < deadline) deadline = right.deadline;
    if (right.at < at) at = right.at;
  }
  return { items, left, right, deadline, at };
}

/** The place of the first of these ascending items whose key is not below `key`. */
function placeIn(items: readonly BookItem[], key: number): number {
  let at = 0;
  while (at < items.length && (items[at] as BookItem).key < key) at++;
  return at;
}

/** The items below `key`, and the others. */
function split<T extends BookItem>(book: Book<T>, key: number): readonly [Book<T>, Book<T>] {
  if (book === null) return [null, null];
  const { items, left, right } = book;
  const at = placeIn(items, key);
  if (at === items.length) {
    const [below, above] = split(right, key);
    return [node(items, left, below), above];
  }
  if (at > 0) return [node(items.slice(0, at), left, null), node(items.slice(at), null, right)];
  const [below, above] = split(left, key);
  return [below, node(items, above, right)];
}

/** Both in one; every span of `left` is below every span of `right`. */
function joined<T extends BookItem>(left: Book<T>, right: Book<T>): Book<T> {
  if (left === null) return right;
  if (right === null) return left;
  if (outranks(spanOfNode(left), spanOfNode(right))) return node(left.items, left.left, joined(left.right, right));
  return node(right.items, joined(left, right.left), right.right);
}

/** With this item, in place of the one of its key if there is one. */
export function withItem<T extends BookItem>(book: Book<T>, item: T): Book<T> {
  if (book === null) return node([item], null, null);
  const { items, left, right } = book;
  const span = spanOf(item.key);
  const own = spanOfNode(book);
  if (span === own) {
    const at = placeIn(items, item.key);
    const after = items[at]?.key === item.key ? at + 1 : at;
    return node([...items.slice(0, at), item, ...items.slice(after)], left, right);
  }
  if (outranks(span, own)) return node([item], ...split(book, item.key));
  if (span > own) return node(items, left, withItem(right, item));
  return node(items, withItem(left, item), right);
}

/** With these items, in place of those with their keys. */
export function withItems<T extends BookItem>(book: Book<T>, items: readonly T[]): Book<T> {
  let result = book;
  for (const item of items) result = withItem(result, item);
  return result;
}

/** With these items in the highest node, whose span is theirs; they ascend and lie above all others. */
function withTop<T extends BookItem>(book: Book<T>, items: readonly T[]): Book<T> {
  if (book === null) return null;
  if (book.right === null) return node(book.items.concat(items), book.left, null);
  return node(book.items, book.left, withTop(book.right, items));
}

/** The spans from the place `from` on, up to `to`, which ascend, as one book. */
function bookOf<T extends BookItem>(spans: readonly (readonly T[])[], from: number, to: number): Book<T> {
  if (from === to) return null;
  let top = from;
  for (let at = from + 1; at < to; at++) {
    if (outranks(spanOf((spans[at] as readonly [T])[0].key), spanOf((spans[top] as readonly [T])[0].key))) top = at;
  }
  return node(spans[top] as readonly T[], bookOf(spans, from, top), bookOf(spans, top + 1, to));
}

/** With these items, which ascend and lie above all others. */
export function withNewest<T extends BookItem>(book: Book<T>, items: readonly T[]): Book<T> {
  if (items.length === 0) return book;
  const spans: (readonly T[])[] = [];
  let result = book;
  let span = spanOf((items[0] as T).key);
  const isShared = book !== null && span === spanOf(highestKey(book));
  for (let from = 0, to = 0; from < items.length; from = to) {
    span = spanOf((items[from] as T).key);
    while (to < items.length && (items[to] as T).key < (span + 1) * SPAN) to++;
    const own = to - from === items.length ? items : items.slice(from, to);
    if (from === 0 && isShared) result = withTop(book, own);
    else spans.push(own);
  }
  return joined(result, bookOf(spans, 0, spans.length));
}

/** Without the item of this key; the same book if there is none. */
export function withoutItem<T extends BookItem>(book: Book<T>, key: number): Book<T> {
  return withoutItems(book, [key]);
}

/** Without the items of these ascending keys; the same book if there are none. */
export function withoutItems<T extends BookItem>(book: Book<T>, keys: readonly number[]): Book<T> {
  return without(book, keys, 0, keys.length);
}

/** Without the items of the keys from the place `from` on, up to `to`. */
function without<T extends BookItem>(book: Book<T>, keys: readonly number[], from: number, to: number): Book<T> {
  if (book === null || from === to) return book;
  const span = spanOfNode(book);
  const low = placeOf(keys, span * SPAN, from, to);
  const high = placeOf(keys, (span + 1) * SPAN, low, to);
  const left = without(book.left, keys, from, low);
  const right = without(book.right, keys, high, to);
  const items = low === high ? book.items : itemsWithout(book.items, keys, low, high);
  if (items.length === 0) return joined(left, right);
  const same = items.length === book.items.length && left === book.left && right === book.right;
  return same ? book : node(items, left, right);
}

/** These items of one span without those of the keys from the place `from` on, up to `to`. */
function itemsWithout<T extends BookItem>(
  items: readonly T[],
  keys: readonly number[],
  from: number,
  to: number,
): readonly T[] {
  const left: T[] = [];
  let at = from;
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as T;
    while (at < to && (keys[at] as number) < item.key) at++;
    if (at === to || keys[at] !== item.key) left.push(item);
  }
  return left;
}

/** The place of the first of these ascending keys, from `from` on and up to `to`, that is not below `key`. */
function placeOf(keys: readonly number[], key: number, from: number, to: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as number) < key) low = middle + 1;
    else high = middle;
  }
  return low;
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
  return here?.items[0];
}

/** The highest key; `-Infinity` if there is no item. */
export function highestKey(book: Book<BookItem>): number {
  let here = book;
  while (here !== null && here.right !== null) here = here.right;
  return here?.items[here.items.length - 1]?.key ?? -Infinity;
}

/** The item of the highest key that is not above `key`. */
export function itemAtOrBelow<T extends BookItem>(book: Book<T>, key: number): T | undefined {
  return lastUpTo(book, (item) => item.key, key);
}

/** The item whose number is `number`, in a book where numbers ascend with the keys. */
export function itemNumbered<T extends BookItem>(
  book: Book<T>,
  numberOf: (item: T) => number,
  number: number,
): T | undefined {
  const item = lastUpTo(book, numberOf, number);
  return item !== undefined && numberOf(item) === number ? item : undefined;
}

/** The items whose numbers are from `low` to `high`, in a book where numbers ascend with the keys. */
export function itemsInRange<T extends BookItem>(
  book: Book<T>,
  numberOf: (item: T) => number,
  low: number,
  high: number,
): readonly T[] {
  const found: T[] = [];
  const walk = (here: Book<T>): void => {
    if (here === null) return;
    const { items, left, right } = here;
    if (numberOf(items[0] as T) > low) walk(left);
    for (let at = 0; at < items.length; at++) {
      const number = numberOf(items[at] as T);
      if (number >= low && number <= high) found.push(items[at] as T);
    }
    if (numberOf(items[items.length - 1] as T) < high) walk(right);
  };
  walk(book);
  return found;
}

/** The last item whose number is not above `number`, where numbers ascend with the keys. */
function lastUpTo<T extends BookItem>(book: Book<T>, numberOf: (item: T) => number, number: number): T | undefined {
  let found: T | undefined;
  for (let here = book; here !== null; ) {
    const { items } = here;
    let at = items.length - 1;
    while (at >= 0 && numberOf(items[at] as T) > number) at--;
    if (at >= 0) found = items[at];
    if (at >= 0 && at < items.length - 1) break; // the next one is above, and in this node
    here = at < 0 ? here.left : here.right;
  }
  return found;
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
    for (let at = 0; at < here.items.length && found.length < most; at++) found.push(here.items[at] as T);
    walk(here.right);
  };
  walk(book);
  return found;
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
  for (const item of book.items) if (wanted(item)) found.push(item);
  collect(book.right, wanted, found);
  return found;
}

/** The earliest deadline of all items; `Infinity` when there is none. */
export function earliestDeadline(book: Book<BookItem>): Milliseconds {
  return book === null ? Infinity : book.deadline;
}
