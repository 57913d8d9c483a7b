/** The states of `Replica.leadership`. A consumer that is slow gets the latest state and skips those between. */

import type { Status } from '../../core/protocol.js';
import type { Leadership, PlatformSignal } from '../leadership.js';

interface Controller {
  readonly signal: PlatformSignal;
  abort(): void;
}

function newController(): Controller {
  return new (globalThis as unknown as { AbortController: new () => Controller }).AbortController();
}

/** The current state, and the consumers that wait for the next. */
export class LeadershipView {
  private controller = newController();
  private current: Leadership;
  private waiting: (() => void)[] = [];
  private ended = false;

  constructor() {
    this.current = { leading: false, leader: null, term: 0, fence: 0, signal: this.controller.signal };
  }

  /** The known leader or the term changed. That this replica leads is reported by `led`. */
  followed(event: Pick<Status, 'role' | 'term' | 'leader'>): void {
    const { role, term, leader } = event;
    if (role !== 'leader' || !this.current.leading) this.update({ leading: false, leader, term, fence: 0 });
  }

  /** This replica began or ceased to lead. */
  led(event: { readonly leading: boolean; readonly term: number; readonly fence: number }, self: string): void {
    const { leading, term, fence } = event;
    const leader = leading ? self : this.current.leader;
    this.update({ leading, leader, term, fence: leading ? fence : 0 });
  }

  private update(state: Omit<Leadership, 'signal'>): void {
    const { leading, leader, term, fence } = this.current;
    const same = leading === state.leading && leader === state.leader && term === state.term && fence === state.fence;
    if (this.ended || same) return;
    const before = this.controller;
    this.controller = newController();
    this.current = { ...state, signal: this.controller.signal };
    before.abort();
    this.wake();
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.controller.abort();
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resume of waiting) resume();
  }

  /** Yields the current state, then the latest one after each change, until the replica is closed. */
  async *follow(): AsyncGenerator<Leadership, void, undefined> {
    let seen: Leadership | null = null;
    while (!this.ended) {
      if (this.current !== seen) {
        seen = this.current;
        yield seen;
      } else {
        await new Promise<void>((resume) => this.waiting.push(resume));
      }
    }
  }
}
