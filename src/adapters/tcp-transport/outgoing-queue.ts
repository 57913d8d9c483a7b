/**
 * The messages that wait for one connection, cut into frames for its socket.
 *
 * On the lane `bulk` they leave in the order of `push`. On `control`, those that need one frame leave in order and go
 * first; a larger one gives way to them at each of its frames. So that a steady stream does not hold it up for ever, a
 * part also goes after `PATIENCE_BYTES` of small messages, ahead of none that has already waited for a part.
 *
 * Invariants: the waiting bytes stay within the budget, except that an empty queue takes one message of any size, and
 * count until the socket has passed them on; the larger messages of `control` leave half of the budget to the small
 * ones; each message counts for more than its bytes, so that empty ones are bounded, too; at most `MOST_UNSENT` are
 * taken at a time, which end with a whole frame; on `control` a small message waits for at most one part
 * (transport/lanes-apart).
 */

import type { TransportLane } from '../../replica/transport.js';
import { FRAME_BYTES, LARGEST_WHOLE, PART_BYTES, PART_OVERHEAD, WHOLE_OVERHEAD } from './frames.js';
import { writePartHead, writeWholeHead } from './frames.js';

/** The size of the buffer that frames are built in. */
export const SCRATCH_BYTES = FRAME_BYTES;
/** How many bytes a socket is given at a time: a frame of a large message, and as much again. */
export const MOST_UNSENT = 2 * FRAME_BYTES;
/** Longer messages are not copied to others but written from their own array. */
const COPIED_BYTES = 16 * 1024;
/** Bytes that a waiting message counts for beside its own: the typed array and its place in the queue. */
const COST = 128;
const PATIENCE_BYTES = 4 * FRAME_BYTES;
/** Replaces a message that was taken, so that its bytes are not kept alive. */
const OUT = new Uint8Array(0);
const NOTHING: readonly Uint8Array[] = [];

function costOf(message: Uint8Array): number {
  return message.length + COST;
}

/** Messages, first in, first out. */
class MessageLine {
  private waiting: Uint8Array[] = [];
  /** Index in `waiting` of the first message. */
  private first = 0;
  /** How many bytes of the first message were taken, if it goes in parts. */
  taken = 0;
  /** What the messages count for, and how much of it is of those that were taken whole and may not have left. */
  used = 0;
  private leaving = 0;

  get head(): Uint8Array | undefined {
    return this.waiting[this.first];
  }

  get size(): number {
    return this.waiting.length - this.first;
  }

  push(message: Uint8Array): void {
    this.used += costOf(message);
    this.waiting.push(message);
  }

  left(): void {
    this.used -= this.leaving;
    this.leaving = 0;
  }

  shift(message: Uint8Array): void {
    this.leaving += costOf(message);
    this.taken = 0;
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

export class OutgoingQueue {
  private readonly budget: number;
  /** On `control` the messages of one frame; on `bulk` all of them. */
  private line = new MessageLine();
  /** The larger messages of `control`. */
  private large = new MessageLine();
  private readonly lane: TransportLane;
  /** A part of a message in `large` was taken, and is not known to have left the socket. */
  private isPartOut = false;
  /** How many of the first in `line` have waited for a part. */
  private delayed = 0;
  /** Bytes taken from `line` since the last part. */
  private passed = 0;

  constructor(lane: TransportLane, budget: number) {
    this.lane = lane;
    this.budget = budget;
  }

  get isEmpty(): boolean {
    return this.line.size === 0 && this.large.size === 0;
  }

  /** How many bytes it counts, those that are on their way through the socket included. */
  get bytes(): number {
    return this.line.used + this.large.used;
  }

  /** Adds a message; false if it does not fit into the budget. */
  push(message: Uint8Array): boolean {
    const isLarge = message.length > LARGEST_WHOLE && this.lane === 'control';
    if (!this.hasRoom(costOf(message), isLarge)) return false;
    (isLarge ? this.large : this.line).push(message);
    return true;
  }

  private hasRoom(cost: number, isLarge: boolean): boolean {
    const { line, large, budget } = this;
    const small = line.used;
    if (small + large.used + cost <= budget) return !isLarge || large.used === 0 || large.used + cost <= budget / 2;
    if (isLarge) return large.used === 0 && small <= budget / 2;
    return small + cost <= budget / 2 || small + large.used === 0;
  }

  clear(): void {
    this.line = new MessageLine();
    this.large = new MessageLine();
    this.delayed = this.passed = 0;
    this.isPartOut = false;
  }

  /** The socket has passed on everything that was taken. */
  left(): void {
    this.line.left();
    this.large.left();
    if (!this.isPartOut) return;
    this.isPartOut = false;
    this.delayed = this.line.size;
  }

  /**
   * The next bytes of the stream, in pieces, at most `MOST_UNSENT` in all; none when nothing may go. The caller writes
   * them all, and takes no more before it has called `left`.
   * @param scratch `SCRATCH_BYTES` to build in, unchanged until then
   */
  take(scratch: Uint8Array): readonly Uint8Array[] {
    let line = this.next();
    if (line === null) return NOTHING;
    const pieces: Uint8Array[] = [];
    // The bytes of scratch up to `to` are built, and those up to `from` are in pieces.
    let from = 0;
    let to = 0;
    let size = 0;
    for (; line !== null; line = this.next()) {
      const message = line.head as Uint8Array;
      const isWhole = message.length <= LARGEST_WHOLE;
      const end = isWhole ? message.length : Math.min(message.length, line.taken + PART_BYTES);
      const length = end - line.taken;
      const head = isWhole ? WHOLE_OVERHEAD : PART_OVERHEAD;
      const isCopied = length <= COPIED_BYTES;
      if (to + head + (isCopied ? length : 0) > scratch.length || size + head + length > MOST_UNSENT) break;
      size += head + length;
      if (isWhole) writeWholeHead(scratch, to, message);
      else writePartHead(scratch, to, message, line.taken, end);
      to += head;
      const body = isWhole ? message : message.subarray(line.taken, end);
      if (isCopied) {
        scratch.set(body, to);
        to += length;
      } else {
        pieces.push(scratch.subarray(from, to), body);
        from = to;
      }
      this.advance(line, message, end);
    }
    if (to > from) pieces.push(scratch.subarray(from, to));
    return pieces;
  }

  /** The line whose first message is next; null if nothing may go. */
  private next(): MessageLine | null {
    const { line, large } = this;
    const isLargeDue = line.size === 0 || (this.delayed === 0 && this.passed >= PATIENCE_BYTES);
    if (large.size > 0 && !this.isPartOut && isLargeDue) return large;
    return line.size > 0 ? line : null;
  }

  /** The bytes of the message up to `end` were taken. */
  private advance(line: MessageLine, message: Uint8Array, end: number): void {
    if (line === this.large) {
      this.isPartOut = true;
      this.passed = 0;
    } else {
      this.passed += end - line.taken;
      if (this.delayed > 0) this.delayed--;
    }
    if (end < message.length) {
      line.taken = end;
      return;
    }
    line.shift(message);
  }
}
