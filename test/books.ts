/** Counting what is looked at in a book. */

import type { Book, BookItem } from '../src/core/book.js';

/** The same book, whose nodes go into `seen` when anybody looks at their items or goes down from them. */
export function watched<T extends BookItem>(book: Book<T>, seen: Set<object>): Book<T> {
  if (book === null) return null;
  const { items, left, right, deadline, at } = book;
  const [below, above] = [watched(left, seen), watched(right, seen)];
  const node: NonNullable<Book<T>> = {
    deadline,
    at,
    get items() {
      seen.add(node);
      return items;
    },
    get left() {
      seen.add(node);
      return below;
    },
    get right() {
      seen.add(node);
      return above;
    },
  };
  return node;
}
