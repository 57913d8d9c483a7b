/**
 * The links of a paced run. What is sent waits in two lanes, each first in, first out, and leaves in frames; at the end
 * of each frame `control` goes first. A lane takes no more than its budget, and what a process has not given to its
 * socket is lost when it crashes.
 */

import type { Lane, Milliseconds } from '../../core/protocol.js';
import { FRAME_BYTES } from '../world/timing-assumption.js';
import type { Agenda } from './agenda.js';

const KIB = 1024;
/** What a lane's socket holds unsent, and what may wait in each lane; bytes, as in the shipped transport. */
const SOCKET_BYTES = 128 * KIB;
const LANE_BYTES: Readonly<Record<Lane, number>> = { control: 4096 * KIB, bulk: 16_384 * KIB };

/** A message on its way out. */
export interface Leaving {
  left: number;
  readonly sent: () => void;
  readonly lost: () => void;
}

/** One direction of a link. */
interface Wire {
  readonly control: Leaving[];
  readonly bulk: Leaving[];
  busy: boolean;
  /** When the frame under way has left. */
  free: Milliseconds;
}

export class Wires {
  /** How often a `control` message passed one of `bulk`. */
  passed = 0;
  private readonly wires: readonly Wire[];
  private readonly agenda: Agenda<() => void>;
  private readonly bandwidth: number;

  constructor(links: number, agenda: Agenda<() => void>, bandwidth: number) {
    this.agenda = agenda;
    this.bandwidth = bandwidth;
    this.wires = Array.from({ length: links }, () => ({ control: [], bulk: [], busy: false, free: 0 }));
  }

  /** `sent` is called when the last byte has left, `lost` if it never will. */
  put(now: Milliseconds, link: number, lane: Lane, bytes: number, done: Omit<Leaving, 'left'>): void {
    if (this.bandwidth === Infinity) return done.sent();
    const wire = this.wires[link] as Wire;
    const waiting = wire[lane];
    const before = waiting.reduce((sum, { left }) => sum + left, 0);
    if (before > 0 && before + bytes > LANE_BYTES[lane]) return done.lost();
    if (lane === 'control' && wire.bulk.length > 0) this.passed += 1;
    waiting.push({ left: bytes, ...done });
    if (!wire.busy) this.send(wire, Math.max(now, wire.free));
  }

  private send(wire: Wire, from: Milliseconds): void {
    const lane = wire.control.length > 0 ? wire.control : wire.bulk;
    const [first] = lane;
    wire.busy = first !== undefined;
    if (first === undefined) return;
    const frame = Math.min(first.left, FRAME_BYTES);
    wire.free = from + frame / this.bandwidth;
    this.agenda.add(Math.ceil(wire.free), () => {
      first.left -= frame;
      if (first.left === 0 && lane[0] === first) {
        lane.shift();
        first.sent();
      }
      this.send(wire, wire.free);
    });
  }

  /** The sender of these links has crashed. */
  crash(links: readonly number[]): void {
    for (const link of links) {
      const { control, bulk } = this.wires[link] as Wire;
      for (const lane of [control, bulk]) {
        let bytes = 0;
        const lost = lane.filter(({ left }) => (bytes += left) > SOCKET_BYTES);
        lane.splice(lane.length - lost.length);
        for (const each of lost) each.lost();
      }
    }
  }
}
