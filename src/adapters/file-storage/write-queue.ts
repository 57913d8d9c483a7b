/**
 * The groups that wait for their write, in the order of the calls. Calls share a group until it is large; on a full
 * disk each has its own, so that one that only trims can go before those that wait for space.
 */
import type { StorageOp } from '../../replica/storage.js';
import { mayPass, WriteGroup } from './group.js';

/** Calls share a group until it has this many bytes. */
const FLUSH_TARGET = 4 * 1024 * 1024;

export class WriteQueue {
  private readonly groups: WriteGroup[] = [];
  private spare: WriteGroup | undefined;

  get isEmpty(): boolean {
    return this.groups.length === 0;
  }

  /** @returns when the call is durable */
  add(ops: readonly StorageOp[], alone: boolean): Promise<void> {
    let group = this.groups[this.groups.length - 1];
    if (group === undefined || group.length >= FLUSH_TARGET || alone) {
      group = this.spare ?? new WriteGroup();
      this.spare = undefined;
      this.groups.push(group);
    }
    group.add(ops);
    const { waiters } = group;
    return new Promise<void>((resolve, reject) => waiters.push({ resolve, reject }));
  }

  /** Takes the next one. */
  take(): WriteGroup | undefined {
    return this.groups.shift();
  }

  /** Takes one of at most so many bytes that may go before the given one, and before all that are queued before it. */
  takePassing(group: WriteGroup, mostBytes: number): WriteGroup | undefined {
    const at = this.groups.findIndex(({ trimsOnly }) => trimsOnly);
    const later = this.groups[at];
    if (later === undefined || later.length > mostBytes) return undefined;
    if (![group, ...this.groups.slice(0, at)].every((earlier) => mayPass(later, earlier))) return undefined;
    this.groups.splice(at, 1);
    return later;
  }

  /** The group is durable. */
  release(group: WriteGroup): void {
    for (const waiter of group.waiters) waiter.resolve();
    group.clear();
    this.spare = group;
  }

  /** Nothing that waits is written. */
  refuse(refusal: () => Error): void {
    for (const { waiters } of this.groups.splice(0)) for (const waiter of waiters) waiter.reject(refusal());
  }
}
