/**
 * Applies commands in slices of time. When the commands of a slice have taken `SLICE` milliseconds, the host lets
 * queued input in before the next one, so that a burst of slow commands keeps no message waiting for longer than a
 * slice, and deposes nobody.
 */

import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { Cancellable } from '../clock.js';
import type { StoredResult } from '../driver/session-table.js';
import type { Fault } from '../driver/state.js';
import type { MachineRunner } from './machine-runner.js';

/**
 * Milliseconds of applying after which input is let in. The machine cannot be interrupted, so a slice takes as much
 * longer as its last command does.
 */
export const SLICE = 12;

/** The part of the host that slices need. */
export interface SliceHost {
  readonly now: number;
  /** Runs it in a coming turn of the event loop, after input that is queued. */
  soon(callback: () => void): Cancellable | null;
  /** These are the results of the first of these entries, and the fault of the one after them. */
  applied(entries: readonly Entry[], results: readonly StoredResult[], fault: Fault | null): void;
  /** The machine was woken, or failed. */
  woken(fault: Fault | null): void;
}

export class ApplySlices {
  private readonly runner: MachineRunner;
  private readonly host: SliceHost;
  private rest: readonly Entry[] = [];
  /** How long the commands of this slice have taken. */
  private spent = 0;
  private waiting: Cancellable | null = null;

  constructor(runner: MachineRunner, host: SliceHost) {
    this.runner = runner;
    this.host = host;
  }

  /** When the machine asks to be woken. */
  get wakeAt(): Milliseconds {
    return this.runner.wakeAt ?? Infinity;
  }

  /** Wakes the machine. All entries before that one must be reported. */
  wake(index: Index, time: Milliseconds): void {
    const { host } = this;
    const before = host.now;
    const fault = this.runner.wake(index, time);
    this.spent += Math.max(0, host.now - before);
    host.woken(fault);
  }

  /** Applies these entries, as many as the slice has time for at once. All earlier ones must be reported. */
  apply(entries: readonly Entry[], wakeAt: Milliseconds | null): void {
    this.rest = entries;
    this.runner.wakeAt = wakeAt;
    this.go();
  }

  /** What is not yet applied never will be. */
  stop(): void {
    const { waiting } = this;
    this.rest = [];
    this.waiting = null;
    try {
      waiting?.cancel();
    } catch {
      // A clock that cannot cancel calls back for nothing.
    }
  }

  private go(): void {
    const { rest, host } = this;
    const results: StoredResult[] = [];
    let fault: Fault | null = null;
    let now = host.now;
    while (results.length < rest.length && this.spent < SLICE && fault === null) {
      const result = this.runner.apply(rest[results.length] as Entry);
      if ('code' in result) fault = result;
      else results.push(result);
      const before = now;
      now = host.now;
      this.spent += Math.max(0, now - before);
    }
    this.rest = fault === null ? rest.slice(results.length) : [];
    if (this.rest.length > 0) this.waiting = host.soon(() => this.nextSlice());
    host.applied(rest, results, fault);
  }

  private nextSlice(): void {
    this.waiting = null;
    this.spent = 0;
    this.go();
  }
}
