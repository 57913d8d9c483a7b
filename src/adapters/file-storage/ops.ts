/**
 * The encoding of operations in a record's payload, one after another (little-endian):
 *
 * ```
 * set      = 1 u8, key bytes u32, value bytes u32, key (UTF-8), value
 * run      = 2 u8, entries u32, bytes of the items u32, first index u64, term u64, item*
 * item     = data bytes u32, data
 * truncate = 3 u8, from u64
 * boot     = 4 u8, boot u32
 * trim     = 5 u8, through u64
 * ```
 *
 * A run gives the size of its items before them, so that a reader that needs only the indexes can skip them.
 */
import { getU64 } from './format.js';

export const SET = 1;
export const RUN = 2;
export const TRUNCATE = 3;
export const BOOT = 4;
export const TRIM = 5;

export const SET_HEAD = 9;
export const RUN_HEAD = 25;
export const ITEM_HEAD = 4;
export const TRUNCATE_SIZE = 9;
export const BOOT_SIZE = 5;
export const TRIM_SIZE = 9;

/** Callbacks for the operations, in order. Offsets are into the bytes walked over. */
export interface OpVisitor {
  set?(key: string, valueFrom: number, valueTo: number): void;
  run?(first: number, count: number, term: number, itemsFrom: number, itemsTo: number): void;
  truncate?(from: number): void;
  boot?(boot: number): void;
  trim?(through: number): void;
}

/** @returns the end of the operation at `at`, or 0 if there is no well-formed operation that ends by `to` */
function walkOne(bytes: Uint8Array, view: DataView, at: number, to: number, visitor: OpVisitor): number {
  const left = to - at;
  switch (bytes[at]) {
    case SET: {
      if (left < SET_HEAD) return 0;
      const valueFrom = at + SET_HEAD + view.getUint32(at + 1, true);
      const end = valueFrom + view.getUint32(at + 5, true);
      if (end > to) return 0;
      visitor.set?.(new TextDecoder().decode(bytes.subarray(at + SET_HEAD, valueFrom)), valueFrom, end);
      return end;
    }
    case RUN: {
      if (left < RUN_HEAD) return 0;
      const end = at + RUN_HEAD + view.getUint32(at + 5, true);
      const count = view.getUint32(at + 1, true);
      const first = getU64(view, at + 9);
      const term = getU64(view, at + 17);
      if (end > to || count === 0 || !Number.isSafeInteger(first + count) || Number.isNaN(term)) return 0;
      visitor.run?.(first, count, term, at + RUN_HEAD, end);
      return end;
    }
    case TRUNCATE: {
      const from = left < TRUNCATE_SIZE ? Number.NaN : getU64(view, at + 1);
      if (Number.isNaN(from)) return 0;
      visitor.truncate?.(from);
      return at + TRUNCATE_SIZE;
    }
    case BOOT: {
      if (left < BOOT_SIZE) return 0;
      visitor.boot?.(view.getUint32(at + 1, true));
      return at + BOOT_SIZE;
    }
    case TRIM: {
      const through = left < TRIM_SIZE ? Number.NaN : getU64(view, at + 1);
      if (Number.isNaN(through)) return 0;
      visitor.trim?.(through);
      return at + TRIM_SIZE;
    }
    default:
      return 0;
  }
}

/** Walks over the operations in `bytes[from, to)`. @returns whether they are well-formed up to the end */
export function walkOps(bytes: Uint8Array, view: DataView, from: number, to: number, visitor: OpVisitor): boolean {
  let at = from;
  while (at < to) {
    at = walkOne(bytes, view, at, to, visitor);
    if (at === 0) return false;
  }
  return true;
}

/** Walks over a run's items. @returns whether there are `count`, no more and no less */
export function walkItems(
  view: DataView,
  from: number,
  to: number,
  count: number,
  item: (nth: number, dataFrom: number, dataTo: number) => void,
): boolean {
  let at = from;
  for (let nth = 0; nth < count; nth++) {
    if (at + ITEM_HEAD > to) return false;
    const dataFrom = at + ITEM_HEAD;
    at = dataFrom + view.getUint32(at, true);
    if (at > to) return false;
    item(nth, dataFrom, at);
  }
  return at === to;
}
