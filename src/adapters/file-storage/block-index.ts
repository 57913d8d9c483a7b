/**
 * The index of the log in memory: the log is cut into blocks of about 64 KiB of consecutive records, and each block
 * knows the ranges of indexes that it may hold. To read an index the reader replays, in log order, the blocks that may
 * hold it. So entries may be written in any order of indexes, and memory grows by one block per 64 KiB of log.
 *
 * Invariants: blocks are in log order and do not overlap; a block's ranges are ascending and disjoint,
 * include every live entry that it holds, and no index that a truncate or a trim after the block removed (one within
 * the block is found when the block is replayed). Ranges are replaced, never changed, so that a reader's ranges stay as
 * they were.
 */
import { RECORD_TARGET } from './format.js';
import { walkOps } from './ops.js';

/** A range of indexes, both ends included. */
export interface IndexRange {
  readonly from: number;
  readonly to: number;
}

/** Whole records of one segment, from `start` to `end`, and the indexes that may be found there. */
export interface Block {
  readonly segment: number;
  readonly start: number;
  readonly end: number;
  readonly ranges: readonly IndexRange[];
}

/**
 * The most disjoint ranges of a block. Beyond it the two with the smallest gap are merged, which costs the reader
 * time and is still correct.
 */
const MAX_RANGES = 8;

export class BlockIndex {
  private blocks: { segment: number; start: number; end: number; ranges: readonly IndexRange[] }[] = [];

  /** Adds the record at `[start, end)`, whose payload is `bytes[from, to)`. Records come in log order. */
  addRecord(
    segment: number,
    start: number,
    end: number,
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
  ): boolean {
    let block = this.blocks[this.blocks.length - 1];
    if (
      block === undefined ||
      block.segment !== segment ||
      block.end !== start ||
      block.end - block.start >= RECORD_TARGET
    ) {
      block = { segment, start, end, ranges: [] };
      this.blocks.push(block);
    }
    block.end = end;
    const open = block;
    return walkOps(bytes, view, from, to, {
      run: (first, count) => {
        open.ranges = withRange(open.ranges, first, first + count - 1);
      },
      truncate: (index) => this.truncate(index),
      trim: (through) => this.trim(through),
    });
  }

  private truncate(index: number): void {
    for (const block of this.blocks) {
      const last = block.ranges[block.ranges.length - 1];
      if (last !== undefined && last.to >= index) block.ranges = below(block.ranges, index);
    }
    this.dropEmpty();
  }

  private trim(through: number): void {
    for (const block of this.blocks) {
      if (block.ranges.some((range) => range.from <= through)) block.ranges = above(block.ranges, through);
    }
    this.dropEmpty();
  }

  /** The first segment with entries; `otherwise` if none has any. */
  oldestNeeded(otherwise: number): number {
    return this.blocks.find(({ ranges }) => ranges.length > 0)?.segment ?? otherwise;
  }

  /** A block without entries need not be replayed; the last one may still get entries. */
  private dropEmpty(): void {
    const last = this.blocks.length - 1;
    this.blocks = this.blocks.filter((block, at) => at === last || block.ranges.length > 0);
  }

  /** The blocks that may hold entries of the range at this moment, in log order. */
  find(from: number, to: number): Block[] {
    const found: Block[] = [];
    for (const block of this.blocks) {
      const { segment, start, end, ranges } = block;
      if (!ranges.some((range) => range.from <= to && range.to >= from)) continue;
      found.push({ segment, start, end, ranges });
    }
    return found;
  }

  /** The number of blocks, to which the index's memory is proportional. */
  get size(): number {
    return this.blocks.length;
  }
}

export function includes(ranges: readonly IndexRange[], index: number): boolean {
  return ranges.some((range) => range.from <= index && index <= range.to);
}

function below(ranges: readonly IndexRange[], index: number): IndexRange[] {
  const kept: IndexRange[] = [];
  for (const { from, to } of ranges) if (from < index) kept.push({ from, to: Math.min(to, index - 1) });
  return kept;
}

function above(ranges: readonly IndexRange[], index: number): IndexRange[] {
  const kept: IndexRange[] = [];
  for (const { from, to } of ranges) if (to > index) kept.push({ from: Math.max(from, index + 1), to });
  return kept;
}

function withRange(ranges: readonly IndexRange[], from: number, to: number): readonly IndexRange[] {
  const last = ranges[ranges.length - 1];
  // The usual case: the log goes on where it ended.
  if (last !== undefined && from >= last.from && from <= last.to + 1) {
    return to <= last.to ? ranges : [...ranges.slice(0, -1), { from: last.from, to }];
  }
  const merged: IndexRange[] = [];
  let [low, high] = [from, to];
  for (const range of ranges) {
    if (range.to + 1 < low) merged.push(range);
    else if (range.from <= high + 1) [low, high] = [Math.min(low, range.from), Math.max(high, range.to)];
  }
  merged.push({ from: low, to: high }, ...ranges.filter((range) => range.from > high + 1));
  if (merged.length > MAX_RANGES) mergeClosest(merged);
  return merged;
}

function mergeClosest(ranges: IndexRange[]): void {
  let closest = 1;
  const gap = (at: number) => (ranges[at] as IndexRange).from - (ranges[at - 1] as IndexRange).to;
  for (let at = 2; at < ranges.length; at++) if (gap(at) < gap(closest)) closest = at;
  const [left, right] = [ranges[closest - 1] as IndexRange, ranges[closest] as IndexRange];
  ranges.splice(closest - 1, 2, { from: left.from, to: right.to });
}
