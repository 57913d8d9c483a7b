/**
 * What waits for one connection, first in, first out, and cut into pieces for its socket.
 *
 * Invariants: what waits stays within the budget (one message of any size is taken by an empty queue); each
 * message counts for more than its bytes, so that empty ones are bounded too; pieces in order are exactly the
 * frames in order.
 */

import { FRAME_OVERHEAD, writeFrameHead } from './frames.js';

/** The largest piece, small enough that a slow socket shows progress. */
export const PIECE_BYTES = 64 * 1024;
/** Longer messages are not copied into a piece with others; their bytes go out from where they lie. */
const COPIED_BYTES = 16 * 1024;
/** What a waiting message costs beside its bytes: the typed array and its place in the queue. */
const COST = 128;
/** In the place of what is out, so that its bytes are not kept alive. */
const OUT = new Uint8Array(0);

export class OutgoingQueue {
  private readonly budget: number;
  private waiting: Uint8Array[] = [];
  /** Index in `waiting` of the first that is not wholly out. */
  private first = 0;
  /** How many bytes of that one are out; its head is out too if above 0 or `headOut`. */
  private taken = 0;
  private headOut = false;
  private used = 0;

  constructor(budget: number) {
    this.budget = budget;
  }

  get isEmpty(): boolean {
    return this.first === this.waiting.length;
  }

  /** False when it does not fit. */
  push(message: Uint8Array): boolean {
    const cost = message.length + COST;
    if (this.used > 0 && this.used + cost > this.budget) return false;
    this.used += cost;
    this.waiting.push(message);
    return true;
  }

  clear(): void {
    this.waiting = [];
    this.first = this.taken = this.used = 0;
    this.headOut = false;
  }

  /**
   * The next piece of the stream, up to `PIECE_BYTES` long; null when nothing waits.
   * @param scratch gives a buffer of `PIECE_BYTES` to build in, if one is needed
   */
  next(scratch: () => Uint8Array): Uint8Array | null {
    const message = this.waiting[this.first];
    if (message === undefined) return null;
    if (this.headOut) return this.nextOfLong(message);
    return this.nextOfShort(scratch());
  }

  /** As many whole short frames as fit; a long one ends it with its head. */
  private nextOfShort(piece: Uint8Array): Uint8Array {
    let at = 0;
    for (;;) {
      const message = this.waiting[this.first];
      if (message === undefined) break;
      const isLong = message.length > COPIED_BYTES;
      if (at + FRAME_OVERHEAD + (isLong ? 0 : message.length) > piece.length) break;
      writeFrameHead(piece, at, message);
      at += FRAME_OVERHEAD;
      if (isLong) {
        this.headOut = true;
        break;
      }
      piece.set(message, at);
      at += message.length;
      this.shift(message);
    }
    return piece.subarray(0, at);
  }

  private nextOfLong(message: Uint8Array): Uint8Array {
    const end = Math.min(message.length, this.taken + PIECE_BYTES);
    const piece = message.subarray(this.taken, end);
    this.taken = end;
    if (end === message.length) this.shift(message);
    return piece;
  }

  private shift(message: Uint8Array): void {
    this.used -= message.length + COST;
    this.taken = 0;
    this.headOut = false;
    this.waiting[this.first] = OUT;
    this.first++;
    if (this.first === this.waiting.length) {
      this.waiting.length = 0;
      this.first = 0;
    } else if (this.first >= 1024 && this.first * 2 >= this.waiting.length) {
      // Rare enough that each message is moved about once.
      this.waiting.splice(0, this.first);
      this.first = 0;
    }
  }
}
