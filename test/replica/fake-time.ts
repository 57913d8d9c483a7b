/** A virtual clock for several hosts in one process: time passes when told to, and a host can be stalled. */

import type { Cancellable, Clock } from '../../src/replica/clock.js';
import type { Transport } from '../../src/replica/transport.js';

interface Timer {
  readonly host: string;
  readonly at: number;
  readonly callback: () => void;
}

/** Real turns of the event loop between two virtual moments, so that messages and microtasks get through. */
const TURNS = 4;
const STEP = 5;

export class FakeTime {
  private now = 0;
  private readonly timers = new Set<Timer>();
  private readonly stalled = new Set<string>();
  /** What arrived at a stalled host, in order. */
  private readonly arrived = new Map<string, (() => void)[]>();

  clock(host: string): Clock {
    const after = (delay: number, callback: () => void): Cancellable => {
      const timer = { host, at: this.now + Math.max(0, delay), callback };
      this.timers.add(timer);
      return { cancel: () => void this.timers.delete(timer) };
    };
    return { now: () => this.now, after, soon: (callback) => after(0, callback) };
  }

  /** The same transport, but a stalled host hears of nothing. */
  stallable(host: string, transport: Transport): Transport {
    return {
      maxMessageBytes: transport.maxMessageBytes,
      send: (to, bytes, lane) => transport.send(to, bytes, lane),
      setPeers: (peers) => transport.setPeers(peers),
      stop: () => transport.stop(),
      start: (identity, self, peers, handler) =>
        transport.start(identity, self, peers, {
          ...handler,
          onMessage: (from, bytes) => {
            const waiting = this.arrived.get(host) ?? [];
            this.arrived.set(host, waiting);
            waiting.push(() => handler.onMessage(from, bytes));
            if (!this.stalled.has(host)) this.letIn(host);
          },
        }),
    };
  }

  private letIn(host: string): void {
    const waiting = this.arrived.get(host)?.splice(0) ?? [];
    for (const arrive of waiting) arrive();
  }

  /** Its timers fire only after `resume`, and before anything that has arrived is looked at: as in a real loop. */
  stall(host: string): void {
    this.stalled.add(host);
  }

  resume(host: string): void {
    this.stalled.delete(host);
  }

  private async turn(): Promise<void> {
    for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
    const due = [...this.timers].filter((timer) => timer.at <= this.now && !this.stalled.has(timer.host));
    for (const timer of due.sort((a, b) => a.at - b.at)) if (this.timers.delete(timer)) timer.callback();
    for (const host of this.arrived.keys()) if (!this.stalled.has(host)) this.letIn(host);
  }

  async pass(milliseconds: number): Promise<void> {
    for (const end = this.now + milliseconds; this.now < end; this.now += STEP) await this.turn();
    await this.turn();
  }

  async until(done: () => boolean): Promise<void> {
    for (let steps = 0; !done(); steps++) {
      if (steps > 10_000) throw new Error('waited in vain');
      await this.pass(STEP);
    }
  }
}
