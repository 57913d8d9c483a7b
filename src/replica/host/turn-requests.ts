/** The requests of one turn of the event loop, which go to the driver together. */

import type { PendingCall, PendingCommand, ReadWay } from '../driver/state.js';
import type { Signal } from '../leadership.js';
import type { Host } from './host.js';

/** A request of this turn. Its deadline is 0 until the turn's requests go to the driver. */
export interface NewCall extends PendingCall {
  deadline: number;
}

/** Requests with a signal have no deadline. */
export function deadlineOf(signal: Signal | undefined): number {
  return signal === undefined ? 0 : Infinity;
}

export class TurnRequests {
  private readonly host: Host;
  private readonly requestTimeout: number;
  private commands: (NewCall & PendingCommand)[] = [];
  private readonly reads: Record<ReadWay, NewCall[]> = { leader: [], lease: [], quorum: [] };
  private gone: number[] = [];
  private flushing = false;

  /** @param requestTimeout milliseconds, for requests without a signal */
  constructor(host: Host, requestTimeout: number) {
    this.host = host;
    this.requestTimeout = requestTimeout;
  }

  propose(command: NewCall & PendingCommand): void {
    this.commands.push(command);
    this.flushSoon();
  }

  read(call: NewCall, by: ReadWay): void {
    this.reads[by].push(call);
    this.flushSoon();
  }

  /** Cancels in batches, since one signal may belong to thousands of callers. */
  cancel(call: number): void {
    this.gone.push(call);
    this.flushSoon();
  }

  /**
   * Requests may follow in this turn. They go to the driver in the coming one, before what a transport that is asked
   * to send from now on hands over then, if both use `setImmediate`, as the shipped clock and transport do: so the next
   * command travels in one write with the commit index that tells of the one before. Elsewhere it takes a write more.
   * The price: what was sent in this turn waits until those requests are encoded.
   */
  expect(): void {
    this.flushSoon();
  }

  /** In a coming turn; at once if the clock has failed, for which the replica halts. */
  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    if (this.host.soon(() => this.flush()) === null) this.flush();
  }

  /**
   * Each batch is taken when it is dispatched, after the clock was read: whatever other code does meanwhile, no batch
   * is overtaken by a later one, and no cancelling by the request that it cancels.
   */
  flush(): void {
    this.flushing = false;
    const { host, gone } = this;
    this.gone = [];
    this.flushCommands();
    for (const by of ['leader', 'lease', 'quorum'] as const) this.flushReads(by);
    if (gone.length > 0) host.dispatch({ kind: 'cancel', calls: gone });
  }

  private flushCommands(): void {
    if (this.commands.length === 0) return;
    const { now } = this.host;
    const commands = this.timed(this.commands, now);
    this.commands = [];
    this.host.dispatch({ kind: 'propose', commands }, now);
  }

  private flushReads(by: ReadWay): void {
    if (this.reads[by].length === 0) return;
    const { now } = this.host;
    const calls = this.timed(this.reads[by], now);
    this.reads[by] = [];
    this.host.dispatch({ kind: 'read', calls, minIndex: null, by }, now);
  }

  /** Requests without a signal end when their time is over, which begins now. */
  timed<C extends NewCall>(calls: readonly C[], now: number): readonly C[] {
    const deadline = now + this.requestTimeout;
    for (const call of calls) if (call.deadline === 0) call.deadline = deadline;
    return calls;
  }
}
