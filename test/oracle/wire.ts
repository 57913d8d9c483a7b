/**
 * One direction of a link with a bandwidth. Messages wait in two lanes, each first in, first out, and go out in frames;
 * at the end of each frame `control` goes first, so that it waits for one frame of `bulk` at most. A lane takes no more
 * than its budget, and what a process has not given to its socket goes when it crashes.
 */

import type { OracleAgenda } from './agenda.js';
import type { Send } from './core.js';

const KIB = 1024;
/** Bytes: the largest frame, what a socket holds, and what may wait in each lane. */
const FRAME = 64 * KIB;
const SOCKET = 128 * KIB;
const BUDGET = { control: 4096 * KIB, bulk: 16384 * KIB };

type LaneName = Send['lane'];

interface Packet {
  left: number;
  readonly sent: () => void;
}

export class OracleWire {
  private readonly agenda: OracleAgenda;
  private readonly lanes: Record<LaneName, Packet[]> = { control: [], bulk: [] };
  private isSending = false;
  /** When the frame under way has left. */
  private free = 0;
  /** When the last message of each lane arrives. */
  private readonly last = { control: 0, bulk: 0 };

  constructor(agenda: OracleAgenda) {
    this.agenda = agenda;
  }

  /**
   * @param rate bytes a millisecond
   * @param sent called when the last byte has left; never, if the lane is full
   */
  put(lane: LaneName, bytes: number, rate: number, sent: () => void): void {
    const waiting = this.lanes[lane];
    const total = waiting.reduce((sum, { left }) => sum + left, 0);
    if (total > 0 && total + bytes > BUDGET[lane]) return;
    waiting.push({ left: bytes, sent });
    if (!this.isSending) this.send(rate, Math.max(this.free, this.agenda.now));
  }

  private send(rate: number, from: number): void {
    const { control, bulk } = this.lanes;
    const lane = control.length > 0 ? control : bulk;
    const [packet] = lane;
    this.isSending = packet !== undefined;
    if (packet === undefined) return;
    const frame = Math.min(packet.left, FRAME);
    this.free = from + frame / rate;
    this.agenda.schedule(Math.max(0, Math.ceil(this.free - this.agenda.now)), () => {
      packet.left -= frame;
      if (packet.left === 0 && lane[0] === packet) {
        lane.shift();
        packet.sent();
      }
      this.send(rate, this.free);
    });
  }

  /** A message that has left travels for so long. @param inOrder whether none of its lane overtakes another */
  travel(lane: LaneName, delay: number, inOrder: boolean, arrived: () => void): void {
    const { agenda, last } = this;
    const at = inOrder ? Math.max(last[lane], agenda.now + delay) : agenda.now + delay;
    last[lane] = Math.max(last[lane], at);
    agenda.schedule(at - agenda.now, arrived);
  }

  /** The sender has crashed: what its sockets hold still arrives. */
  crash(): void {
    for (const lane of Object.values(this.lanes)) {
      let held = 0;
      const kept = lane.filter(({ left }) => (held += left) <= SOCKET);
      lane.splice(0, lane.length, ...kept);
    }
  }
}
