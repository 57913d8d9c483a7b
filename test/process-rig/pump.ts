/** One direction of one proxied connection: reads, holds back, spoils and writes, as the policy of the moment says. */

import type { Socket } from 'node:net';
import type { Connection } from './proxy.js';

interface Piece {
  readonly bytes: Buffer;
  readonly arrived: number;
  /** In [0, 1): its share of the jitter. */
  readonly luck: number;
}

/** What may wait here; above it the source is not read on, and TCP tells the sender. */
const MOST_WAITING = 256 * 1024;
/** A piece is at most this, so that a slow link is slow and not jerky. */
const PIECE = 1024;

export class Pump {
  private readonly source: Socket;
  private readonly target: Socket;
  private readonly owner: Connection;
  private readonly way: 'forward' | 'back';
  private queue: Piece[] = [];
  private waiting = 0;
  private passed = 0;
  /** When the latest piece left. */
  private nextFree = 0;
  private sourceEnded = false;
  private isOver = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, target: Socket, owner: Connection, way: 'forward' | 'back') {
    this.source = source;
    this.target = target;
    this.owner = owner;
    this.way = way;
    source.on('data', (chunk: Buffer) => this.take(chunk));
    source.on('end', () => {
      this.sourceEnded = true;
      this.look();
    });
    target.on('drain', () => this.look());
  }

  take(chunk: Uint8Array): void {
    const { policy } = this.owner;
    if (this.way === 'forward' ? policy.way === 'hole' : policy.mute === true) {
      this.owner.isHoled = true;
      this.owner.counts.swallowed += chunk.length;
      return;
    }
    const isPlain = this.way === 'back' || (policy.delay ?? policy.rate) === undefined;
    const size = isPlain ? chunk.length : PIECE;
    const arrived = performance.now();
    for (let at = 0; at < chunk.length; at += size) {
      const bytes = Buffer.from(chunk.subarray(at, at + size));
      this.queue.push({ bytes, arrived, luck: this.owner.random.real() });
      this.waiting += bytes.length;
    }
    if (this.waiting > MOST_WAITING) this.source.pause();
    this.look();
  }

  /** When this piece may leave, once those before it have left. */
  private due({ bytes, arrived, luck }: Piece): number {
    if (this.way === 'back') return 0;
    const { delay = 0, jitter = 0, rate } = this.owner.policy;
    const due = arrived + delay + jitter * luck;
    return rate === undefined ? due : Math.max(due, this.nextFree) + (bytes.length * 1000) / rate;
  }

  /** Lets go of what is due; called whenever something changes. */
  look(): void {
    clearTimeout(this.timer);
    if (this.isOver || (this.way === 'forward' && this.owner.policy.way === 'freeze')) return;
    for (let piece = this.queue[0]; piece !== undefined; piece = this.queue[0]) {
      const due = this.due(piece);
      const now = performance.now();
      if (due > now) {
        this.timer = setTimeout(() => this.look(), Math.ceil(due - now));
        return;
      }
      if (this.target.writableNeedDrain) return;
      this.queue.shift();
      this.waiting -= piece.bytes.length;
      this.nextFree = now;
      if (!this.write(piece.bytes)) return;
    }
    if (this.source.isPaused() && this.waiting < MOST_WAITING / 2) this.source.resume();
    if (this.sourceEnded) this.target.end();
  }

  /** False when the connection is at its end. */
  private write(bytes: Buffer): boolean {
    const { policy, counts, random } = this.owner;
    let kept = bytes;
    if (this.way === 'forward') {
      if (policy.corrupt !== undefined) this.spoil(bytes, policy.corrupt);
      if (policy.truncate !== undefined && this.passed + bytes.length > policy.truncate) {
        kept = bytes.subarray(0, Math.max(0, policy.truncate - this.passed, random.below(bytes.length)));
        counts.truncations++;
      }
    }
    this.passed += kept.length;
    counts.bytes += kept.length;
    if (kept.length === bytes.length) {
      this.target.write(kept);
      return true;
    }
    // The torn piece has to arrive: an orderly end behind it, then nothing more.
    this.target.end(kept, () => this.owner.reset());
    this.end();
    return false;
  }

  private spoil(bytes: Buffer, oneIn: number): void {
    const { counts, random } = this.owner;
    for (let at = 0; at < bytes.length; at++) {
      if (random.below(oneIn) !== 0) continue;
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      counts.flips++;
    }
  }

  end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    this.queue = [];
  }
}
