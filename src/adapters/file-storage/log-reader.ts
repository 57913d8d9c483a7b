/**
 * Reads ranges of entries. A read takes the blocks that may hold its entries at the time of the call and replays them
 * from the files; later writes go behind them and change nothing. Each record is verified again, so damage since `open`
 * is found.
 */
import type { StoredEntry } from '../../replica/storage.js';
import { corrupt } from '../../replica/errors.js';
import { includes } from './block-index.js';
import type { Block, IndexRange } from './block-index.js';
import { readFully } from './disk-io.js';
import { peekRecord, RECORD_HEADER_SIZE, verifyRecord, viewOf } from './format.js';
import type { SegmentHeader } from './format.js';
import { walkItems, walkOps } from './ops.js';
import type { SharedFiles } from './shared-files.js';
import type { Shortages } from './shortages.js';

/** The most blocks that one stretch reads, and that are kept for the next one; a stretch with more is shortened. */
const MAX_BLOCKS = 32;

/** The live entries of a stretch of the log, by index. */
type FoundEntries = Map<number, StoredEntry>;

/** One call of `read`. */
export class LogRead {
  private readonly files: SharedFiles;
  private readonly shortages: Shortages;
  /** The log's name is the same in all headers, and the segment's number is the block's. */
  private readonly header: SegmentHeader;
  private readonly loaded = new Map<Block, Uint8Array>();

  constructor(files: SharedFiles, shortages: Shortages, header: SegmentHeader) {
    this.files = files;
    this.shortages = shortages;
    this.header = header;
  }

  /** @param blocks the blocks that may hold entries of the range, in log order */
  async read(blocks: readonly Block[], from: number, to: number, maxBytes: number): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = [];
    let left = maxBytes;
    let rest = blocks;
    let next = nextStretch(rest, from, to);
    while (next !== undefined) {
      const found = await this.stretch(rest, next.from, next.to);
      for (const index of [...found.keys()].sort((a, b) => a - b)) {
        const entry = found.get(index) as StoredEntry;
        if (entries.length > 0 && entry.data.length > left) return entries;
        left -= entry.data.length;
        entries.push(entry);
      }
      if (left <= 0 && entries.length > 0) return entries;
      const done = next.to;
      rest = rest.filter((block) => (block.ranges[block.ranges.length - 1]?.to ?? 0) > done);
      for (const block of this.loaded.keys()) if (!rest.includes(block)) this.loaded.delete(block);
      next = nextStretch(rest, done + 1, to);
    }
    return entries;
  }

  /** All live entries from `from` to `to`. */
  private async stretch(blocks: readonly Block[], from: number, to: number): Promise<FoundEntries> {
    const found: FoundEntries = new Map();
    for (const block of blocks) {
      if (!mayHold(block, from, to)) continue;
      const bytes = this.loaded.get(block) ?? (await this.load(block));
      if (this.loaded.size < MAX_BLOCKS) this.loaded.set(block, bytes);
      // A later truncate has shortened the block's ranges; one in the block itself takes effect in the replay.
      for (const [index, entry] of replay(bytes, block, from, to, this.files.pathOf(block.segment))) {
        if (includes(block.ranges, index)) found.set(index, entry);
      }
    }
    return found;
  }

  private async load(block: Block): Promise<Uint8Array> {
    const { segment, start, end } = block;
    const path = this.files.pathOf(segment);
    const bytes = new Uint8Array(end - start);
    const got = await this.files.use(segment, (file) =>
      this.shortages.outlast(`reading ${path}`, () => readFully(file, bytes, 0, bytes.length, start)),
    );
    const header = { ...this.header, segment };
    const view = viewOf(bytes);
    for (let at = 0; at < bytes.length; ) {
      const record = at + RECORD_HEADER_SIZE <= got ? peekRecord(view, at, header) : undefined;
      const size = RECORD_HEADER_SIZE + (record?.payload ?? 0);
      const offset = start + at;
      if (record === undefined || at + size > got || !verifyRecord(view, bytes, at, size, header, offset)) {
        throw corrupt(path, offset, 'a record does not verify any more');
      }
      at += size;
    }
    return bytes;
  }
}

/** The next stretch to read: the lowest indexes ≥ `from` that a block may hold. */
function nextStretch(blocks: readonly Block[], from: number, to: number): IndexRange | undefined {
  let best: IndexRange | undefined;
  for (const block of blocks) {
    for (const range of block.ranges) {
      if (range.to < from) continue;
      if (best === undefined || range.from < best.from) best = range;
      break; // ranges are ascending
    }
  }
  if (best === undefined || Math.max(best.from, from) > to) return undefined;
  const stretch = { from: Math.max(best.from, from), to: Math.min(best.to, to) };
  // Blocks whose indexes are in great disorder have wide ranges; the memory of one stretch stays bounded all the same.
  while (stretch.to > stretch.from && countHolding(blocks, stretch.from, stretch.to) > MAX_BLOCKS) {
    stretch.to = Math.floor((stretch.from + stretch.to) / 2);
  }
  return stretch;
}

function mayHold(block: Block, from: number, to: number): boolean {
  return block.ranges.some((range) => range.from <= to && range.to >= from);
}

function countHolding(blocks: readonly Block[], from: number, to: number): number {
  let count = 0;
  for (const block of blocks) if (mayHold(block, from, to)) count++;
  return count;
}

/** Replays a block; returns its live entries from `from` to `to`. */
function replay(bytes: Uint8Array, block: Block, from: number, to: number, path: string): FoundEntries {
  const found: FoundEntries = new Map();
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const end = at + RECORD_HEADER_SIZE + view.getUint32(at + 8, true);
    let sound = true;
    const walked = walkOps(bytes, view, at + RECORD_HEADER_SIZE, end, {
      run: (first, count, term, itemsFrom, itemsTo) => {
        if (first > to || first + count <= from) return;
        sound &&= walkItems(view, itemsFrom, itemsTo, count, (nth, dataFrom, dataTo) => {
          const index = first + nth;
          if (index < from || index > to) return;
          found.set(index, { index, term, data: bytes.subarray(dataFrom, dataTo) });
        });
      },
      truncate: (index) => {
        for (const stored of found.keys()) if (stored >= index) found.delete(stored);
      },
      trim: (through) => {
        for (const stored of found.keys()) if (stored <= through) found.delete(stored);
      },
    });
    if (!walked || !sound) throw corrupt(path, block.start + at, 'a record holds an operation that is none');
    at = end;
  }
  return found;
}
