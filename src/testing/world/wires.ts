/**
 * The links of a paced run. What is sent waits in two lanes, each first in, first out, and leaves in frames; at the end
 * of each frame `control` goes first. A lane takes no more than its budget: what is too much for it is lost, and its
 * sender refuses more until half of it is free again. What a process has not given to its socket is lost when it
 * crashes, and what waits for a connection goes with it.
 */

import type { Lane, Milliseconds } from '../../core/protocol.js';
import { FRAME_BYTES } from './timing-assumption.js';
import type { Agenda } from './agenda.js';
import type { Payload } from './process.js';
import type { Rules } from './state.js';

const KIB = 1024;
/** What a lane's socket holds unsent, and what may wait in each lane; bytes, as in the shipped transport. */
const SOCKET_BYTES = 128 * KIB;
const LANE_BYTES: Readonly<Record<Lane, number>> = { control: 4096 * KIB, bulk: 16_384 * KIB };

const LANES: readonly Lane[] = ['control', 'bulk'];

/** A message on its way out. */
export interface OnItsWay {
  left: number;
  readonly sent: () => void;
  readonly lost: () => void;
}

/** One direction of a link. */
interface Wire {
  readonly control: OnItsWay[];
  readonly bulk: OnItsWay[];
  readonly full: Record<Lane, boolean>;
  busy: boolean;
  /** When the frame under way has left. */
  free: Milliseconds;
}

/** Bytes around a message on a connection. */
const FRAMING = 16;

/** What a message takes on a connection. */
export function bytesOnWire({ model }: Rules, payload: Payload): number {
  return FRAMING + (payload instanceof Uint8Array ? payload.length : model.protocol.codec.sizeOf(payload));
}

function bytesOf(lane: readonly OnItsWay[]): number {
  return lane.reduce((sum, { left }) => sum + left, 0);
}

export class Wires {
  /** How often a `control` message passed one of `bulk`. */
  passed = 0;
  /** Called when a lane is full, and when it has room again. */
  onFull: (link: number, lane: Lane, isFull: boolean) => void = () => undefined;
  private readonly wires: readonly Wire[];
  private readonly agenda: Agenda<() => void>;
  private readonly bandwidth: number;

  constructor(links: number, agenda: Agenda<() => void>, bandwidth: number) {
    this.agenda = agenda;
    this.bandwidth = bandwidth;
    this.wires = Array.from({ length: links }, () => ({
      control: [],
      bulk: [],
      full: { control: false, bulk: false },
      busy: false,
      free: 0,
    }));
  }

  /** `sent` is called when the last byte has left, `lost` if it never will. */
  put(now: Milliseconds, link: number, lane: Lane, bytes: number, done: Omit<OnItsWay, 'left'>): void {
    if (this.bandwidth === Infinity) return done.sent();
    const wire = this.wires[link] as Wire;
    const waiting = wire[lane];
    const before = bytesOf(waiting);
    if (before > 0 && before + bytes > LANE_BYTES[lane]) {
      wire.full[lane] = true;
      this.onFull(link, lane, true);
      return done.lost();
    }
    if (lane === 'control' && wire.bulk.length > 0) this.passed += 1;
    waiting.push({ left: bytes, ...done });
    if (!wire.busy) this.send(link, Math.max(now, wire.free));
  }

  private drained(link: number, lane: Lane): void {
    const wire = this.wires[link] as Wire;
    if (!wire.full[lane] || bytesOf(wire[lane]) > LANE_BYTES[lane] / 2) return;
    wire.full[lane] = false;
    this.onFull(link, lane, false);
  }

  private send(link: number, from: Milliseconds): void {
    const wire = this.wires[link] as Wire;
    const name: Lane = wire.control.length > 0 ? 'control' : 'bulk';
    const lane = wire[name];
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
      this.drained(link, name);
      this.send(link, wire.free);
    });
  }

  /** The sender of these links has crashed. */
  crash(links: readonly number[]): void {
    for (const link of links) {
      const wire = this.wires[link] as Wire;
      for (const name of LANES) {
        const lane = wire[name];
        let bytes = 0;
        const lost = lane.filter(({ left }) => (bytes += left) > SOCKET_BYTES);
        lane.splice(lane.length - lost.length);
        for (const each of lost) each.lost();
        this.drained(link, name);
      }
    }
  }

  /** The connection of this lane is lost, with what waited for it: its sender knows that already. */
  lose(link: number, lane: Lane): void {
    (this.wires[link] as Wire)[lane].length = 0;
    this.drained(link, lane);
  }
}
