/** A caller's signal that counts who listens to it, so that a listener left behind is noticed. */

import type { PlatformSignal, Signal } from '../../replica/leadership.js';
import type { SimulatedProcess } from './clock.js';

export class SimulatedSignal implements Signal {
  aborted = false;
  reason: unknown = undefined;
  /** On the clock of the process; `null` while it has not. */
  abortedAt: number | null = null;
  private readonly process: SimulatedProcess;
  private readonly callbacks = new Set<() => void>();

  constructor(process: SimulatedProcess) {
    this.process = process;
  }

  /** As users pass it. */
  get given(): PlatformSignal {
    return this as unknown as PlatformSignal;
  }

  get listeners(): number {
    return this.callbacks.size;
  }

  addEventListener(_kind: 'abort', listener: () => void): void {
    this.callbacks.add(listener);
  }

  removeEventListener(_kind: 'abort', listener: () => void): void {
    this.callbacks.delete(listener);
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.abortedAt = this.process.now;
    this.reason = new Error('the caller has gone');
    const callbacks = [...this.callbacks];
    this.callbacks.clear(); // every listener of ours is `once`
    for (const callback of callbacks) callback();
  }
}
