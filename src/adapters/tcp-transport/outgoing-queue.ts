/**
 * The queue of messages for one connection, first in, first out, cut into pieces for its socket.
 *
 * Invariants: the waiting bytes stay within the budget (an empty queue takes one message of any size); each message
 * counts for more than its bytes, so that empty ones are bounded, too; the pieces in order are exactly the frames in
 * order.
 */

import { FRAME_OVERHEAD, writeFrameHead } from './frames.js';

/** The largest piece in bytes, small enough that a slow socket shows progress. */
export const PIECE_BYTES = 64 * 1024;
/** Longer messages are not copied into a piece with others but written from their own array. */
const COPIED_BYTES = 16 * 1024;
/** Bytes that a waiting message counts for beside its own: the typed array and its place in the queue. */
const COST = 128;
/** Replaces a message that was written, so that its bytes are not kept alive. */
const OUT = new Uint8Array(0);

export class OutgoingQueue {
  private readonly budget: number;
  private waiting: Uint8Array[] = [];
  /** Index in `waiting` of the first message that is not written whole. */
  private first = 0;
  /** How many bytes of it are written; its head is written, too, if that is above 0 or `headOut` holds. */
  private taken = 0;
  private headOut = false;
  private used = 0;

  constructor(budget: number) {
    this.budget = budget;
  }

  get isEmpty(): boolean {
    return this.first === this.waiting.length;
  }

  /** Adds a message; false if it does not fit into the budget. */
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
      // This happens so rarely that each message is moved about once.
      this.waiting.splice(0, this.first);
      this.first = 0;
    }
  }
}
