/** Sets of slots as ascending ranges that stay apart: what a peer has accepted, and what a promise covers. */

import { sameValue } from '../core/entries.js';
import type { Entry, Index } from '../core/protocol.js';

/** Slots `from` to `to`, both included. */
export interface SlotRange {
  readonly from: Index;
  readonly to: Index;
}

/** Above every slot: the end of a range that is open. */
export const NO_END: Index = Number.MAX_SAFE_INTEGER;

export const NO_RANGES: readonly SlotRange[] = [];

/** With the slots `from` to `to`; ranges that touch are joined. */
export function withRange(ranges: readonly SlotRange[], from: Index, to: Index): readonly SlotRange[] {
  const result: SlotRange[] = [];
  let first = from;
  let last = to;
  let at = 0;
  for (; at < ranges.length && (ranges[at] as SlotRange).to < from - 1; at++) result.push(ranges[at] as SlotRange);
  for (; at < ranges.length && (ranges[at] as SlotRange).from <= last + 1; at++) {
    const range = ranges[at] as SlotRange;
    first = Math.min(first, range.from);
    last = Math.max(last, range.to);
  }
  result.push({ from: first, to: last });
  for (; at < ranges.length; at++) result.push(ranges[at] as SlotRange);
  return result;
}

/** The lowest slots from `from` to `end` that are in none of these ranges; none if its `from` is above `end`. */
export function firstFree(ranges: readonly SlotRange[], from: Index, end: Index): SlotRange {
  let first = from;
  for (const range of ranges.slice().sort((a, b) => a.from - b.from)) {
    if (range.from > first) return { from: first, to: Math.min(end, range.from - 1) };
    first = Math.max(first, range.to + 1);
  }
  return { from: first, to: end };
}

/** Whether one of the ranges holds all of `from` to `to`. */
export function covers(ranges: readonly SlotRange[], from: Index, to: Index): boolean {
  return ranges.some((range) => range.from <= from && to <= range.to);
}

/** Whether one of these pages of chosen entries has this one. */
export function pagesHold(pages: readonly (readonly Entry[])[], entry: Entry): boolean {
  return pages.some((page) => page.some((each) => each.index === entry.index && sameValue(each, entry)));
}
