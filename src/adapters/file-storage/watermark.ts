/**
 * Watermarks: what a segment says about itself, away from the groups that it speaks of. A watermark names a group (its
 * number, where it ends, the checksum of its last record) whose sync has returned. Two slots hold watermarks in turn,
 * each in a sector of its own and bound to its segment and slot by its CRC (integers are little-endian):
 *
 * ```
 * slot = CRC u32, mark u32 (low half of log), group u64, end u64, checksum u32, 0 u32, zeros up to 4096
 * ```
 *
 * Invariants:
 * - A watermark is a lower bound: it may be lost or late, and is never early. It is written after the sync of its group
 *   has returned and synced with a later group or alone, never with the group that it names: a power cut could keep the
 *   watermark and lose the group (storage/watermark-is-never-early).
 * - A slot is overwritten only when the other one's watermark is known to be synced, or when neither holds a synced
 *   one, as in a new segment. So a torn write of a slot leaves the other one (storage/one-slot-at-a-time).
 * - So of the two at most one is torn. Both blank: a new segment. One valid: it counts. One blank, one invalid: the
 *   first watermark of a segment was torn. Two that are neither valid nor blank: damage.
 */
import { crc32c } from '../../core/crc32c.js';
import { corrupt } from '../../replica/errors.js';
import { getU64, PHYSICAL_SECTOR, placeOf, setU64, SLOT_OFFSETS, viewOf } from './format.js';
import type { SegmentHeader } from './format.js';

/** The bytes of a slot that are not always zero. */
export const SLOT_SIZE = 32;

/** A group whose sync has returned. */
export interface Watermark {
  readonly writeGroup: number;
  /** Where it ends in its segment. */
  readonly end: number;
  /** The CRC of its last record. */
  readonly checksum: number;
}

/** What a slot holds. */
type SlotContents = Watermark | 'blank' | 'invalid';

/** The bytes for a slot, to be written at `SLOT_OFFSETS[slot]` of the segment. */
export function encodeWatermark(header: SegmentHeader, slot: 0 | 1, watermark: Watermark): Uint8Array {
  const bytes = new Uint8Array(SLOT_SIZE);
  const view = viewOf(bytes);
  view.setUint32(4, header.logLow, true);
  setU64(view, 8, watermark.writeGroup);
  setU64(view, 16, watermark.end);
  view.setUint32(24, watermark.checksum, true);
  view.setUint32(0, checksumOf(bytes, header, slot), true);
  return bytes;
}

function checksumOf(bytes: Uint8Array, header: SegmentHeader, slot: 0 | 1): number {
  return (crc32c(bytes, 4, SLOT_SIZE) ^ placeOf(header, SLOT_OFFSETS[slot])) >>> 0;
}

function decodeSlot(bytes: Uint8Array, header: SegmentHeader, slot: 0 | 1): SlotContents {
  if (bytes.every((byte) => byte === 0)) return 'blank';
  const view = viewOf(bytes);
  const verifies =
    bytes.length === PHYSICAL_SECTOR &&
    view.getUint32(4, true) === header.logLow &&
    view.getUint32(0, true) === checksumOf(bytes, header, slot);
  if (!verifies) return 'invalid';
  return { writeGroup: getU64(view, 8), end: getU64(view, 16), checksum: view.getUint32(24, true) };
}

function isWatermark(contents: SlotContents): contents is Watermark {
  return typeof contents === 'object';
}

/**
 * The newest watermark of a segment; undefined if it has none yet.
 * @param slots the bytes of both slots
 * @throws ConsensusError ERR_STORAGE_CORRUPT when neither slot verifies and neither is blank
 */
export function newestWatermark(slots: Uint8Array, header: SegmentHeader, path: string): Watermark | undefined {
  const found = slotsIn(slots, header);
  if (found.every((contents) => contents === 'invalid')) {
    throw corrupt(path, SLOT_OFFSETS[0], 'neither of the two watermarks verifies');
  }
  return found.filter(isWatermark).sort((a, b) => b.writeGroup - a.writeGroup)[0];
}

function slotsIn(slots: Uint8Array, header: SegmentHeader): readonly SlotContents[] {
  return ([0, 1] as const).map((slot) => {
    const at = SLOT_OFFSETS[slot] - SLOT_OFFSETS[0];
    return decodeSlot(slots.subarray(at, at + PHYSICAL_SECTOR), header, slot);
  });
}

/** The groups that the slots name; undefined for a slot that names none. */
export function groupsNamed(slots: Uint8Array, header: SegmentHeader): readonly (number | undefined)[] {
  return slotsIn(slots, header).map((contents) => (isWatermark(contents) ? contents.writeGroup : undefined));
}

/** A watermark to be written, and where. */
export interface DueWatermark {
  readonly bytes: Uint8Array;
  readonly position: number;
}

/** What is known of a slot of the open segment. */
interface SlotState {
  /** 0 for a blank slot. */
  readonly writeGroup: number;
  readonly synced: boolean;
}

const BLANK: SlotState = { writeGroup: 0, synced: false };

/** The slots of the segment that is written: which watermark is due, and where it goes. */
export class WatermarkSlots {
  private readonly header: SegmentHeader;
  private readonly slots: [SlotState, SlotState];
  private due: Watermark | undefined;

  /** @param synced the groups that the slots name, durably; undefined for a slot that names none */
  constructor(header: SegmentHeader, synced: readonly (number | undefined)[] = []) {
    this.header = header;
    const state = (slot: 0 | 1): SlotState => {
      const writeGroup = synced[slot];
      return writeGroup === undefined ? BLANK : { writeGroup, synced: true };
    };
    this.slots = [state(0), state(1)];
  }

  /** The sync of the group has returned. */
  reached(watermark: Watermark): void {
    this.due = watermark;
  }

  get isDue(): boolean {
    return this.due !== undefined;
  }

  /** Takes the watermark that is due; it counts as written. */
  take(): DueWatermark | undefined {
    const { due } = this;
    if (due === undefined) return undefined;
    this.due = undefined;
    const slot = this.free();
    this.slots[slot] = { writeGroup: due.writeGroup, synced: false };
    return { bytes: encodeWatermark(this.header, slot, due), position: SLOT_OFFSETS[slot] };
  }

  /** The slot that may be overwritten. */
  private free(): 0 | 1 {
    const [first, second] = this.slots;
    if (first.synced && second.synced) return first.writeGroup < second.writeGroup ? 0 : 1;
    return first.synced ? 1 : 0;
  }

  /** All that was written is synced. */
  synced(): void {
    for (const slot of [0, 1] as const) {
      if (this.slots[slot].writeGroup > 0) this.slots[slot] = { ...this.slots[slot], synced: true };
    }
  }

  /** Whether a watermark was written that is not known to be synced. */
  get isUnsynced(): boolean {
    return this.slots.some(({ writeGroup, synced }) => writeGroup > 0 && !synced);
  }
}
