/** What a log that is written consists of, and what its writer is given. */

import type { BlockIndex } from './block-index.js';
import type { Disk, DiskFile } from './disk.js';
import type { SegmentHeader } from './format.js';
import type { Shortages } from './shortages.js';
import type { Spares } from './spares.js';
import type { WatermarkSlots } from './watermark.js';

/** An open log. `end` is where the next group goes, `writeGroup` its number. */
export interface LogState {
  readonly header: SegmentHeader;
  /** The path of the segment that is written. */
  readonly path: string;
  readonly file: DiskFile;
  /** The same file, opened so that a write is durable when it resolves; undefined where groups are synced. */
  readonly through: DiskFile | undefined;
  readonly boot: number;
  /** Where the segment's opening group ends: a group that does not fit behind it fits in no segment. */
  readonly start: number;
  readonly end: number;
  readonly writeGroup: number;
  /** The offset up to which the file has space. */
  readonly space: number;
  readonly index: BlockIndex;
  readonly values: Map<string, Uint8Array>;
  readonly slots: WatermarkSlots;
}

export interface WriterOptions {
  readonly disk: Disk;
  readonly dir: string;
  /** The size that a segment's file should not exceed. */
  readonly limit: number;
  readonly sync: boolean;
  /** Whether groups are written through where the disk can. */
  readonly writeThrough: boolean;
  readonly shortages: Shortages;
  readonly spares: Spares;
  /** The log goes on in the next segment; this one has so many bytes. */
  sealed(segment: number, bytes: number): void;
  /** The segments from one to the other are needed no longer, by what is durable. */
  trimmed(from: number, to: number): void;
}
