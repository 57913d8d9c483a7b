/**
 * What one member sends to another: two lanes, each a connection of its own, that share a link with a bandwidth. Each
 * lane is first in, first out, and leaves in frames; at the end of each frame `control` goes first. A lane has no room
 * for more than its budget, and what a sender has not given to its socket is lost when it ends.
 */

import type { TransportLane } from '../../replica/transport.js';
import type { Schedule } from './clock.js';

const KIB = 1024;
/** Bytes, as in the shipped transport: the largest frame, what a socket holds unsent, what may wait in each lane. */
export const FRAME = 64 * KIB;
const SOCKET = 128 * KIB;
const BUDGET: Readonly<Record<TransportLane, number>> = { control: 4096 * KIB, bulk: 16_384 * KIB };

const LANES: readonly TransportLane[] = ['control', 'bulk'];

interface LeavingMessage {
  left: number;
  /** Called once: whether its last byte has left, or it never will. */
  readonly done: (isSent: boolean) => void;
}

export class SimulatedConnections {
  /** How often a `control` message came while one of `bulk` was waiting. */
  passed = 0;
  private readonly schedule: Schedule;
  /** Bytes a millisecond. */
  private readonly bandwidth: number;
  private readonly lanes: Record<TransportLane, LeavingMessage[]> = { control: [], bulk: [] };
  private isSending = false;

  constructor(schedule: Schedule, bandwidth: number) {
    this.schedule = schedule;
    this.bandwidth = bandwidth;
  }

  get isBusy(): boolean {
    return this.isSending;
  }

  /** An empty lane takes a message of any size. Returns false if there is no room: then `done` is never called. */
  put(lane: TransportLane, bytes: number, done: LeavingMessage['done']): boolean {
    if (this.bandwidth === Infinity) {
      done(true);
      return true;
    }
    const waiting = this.lanes[lane];
    const before = waiting.reduce((sum, { left }) => sum + left, 0);
    if (before > 0 && before + bytes > BUDGET[lane]) return false;
    if (lane === 'control' && this.lanes.bulk.length > 0) this.passed += 1;
    waiting.push({ left: Math.max(1, bytes), done });
    if (!this.isSending) this.sendFrame();
    return true;
  }

  private sendFrame(): void {
    const lane = this.lanes.control.length > 0 ? this.lanes.control : this.lanes.bulk;
    const [first] = lane;
    this.isSending = first !== undefined;
    if (first === undefined) return;
    const frame = Math.min(first.left, FRAME);
    this.schedule.after(frame / this.bandwidth, () => {
      first.left -= frame;
      if (first.left === 0 && lane[0] === first) {
        lane.shift();
        first.done(true);
      }
      this.sendFrame();
    });
  }

  /** The connection of this lane is gone, with all that waited for it. */
  lose(lane: TransportLane): void {
    for (const each of this.lanes[lane].splice(0)) each.done(false);
  }

  /** The sender has ended: what its sockets hold still leaves. */
  end(): void {
    for (const lane of LANES) {
      let held = 0;
      const kept = this.lanes[lane].filter(({ left }) => (held += left) <= SOCKET);
      for (const each of this.lanes[lane].splice(kept.length)) each.done(false);
    }
  }
}
