/**
 * Shortages: trouble of the platform that passes by itself. No descriptor left (EMFILE, ENFILE), no memory (ENOMEM) or
 * no space (ENOSPC, EDQUOT) is no fault of the data. What meets one before a byte of a group was written is tried again
 * after 10 ms, then after twice as long, up to a second, without end; the listener hears when it begins and when it is
 * over (storage/shortage-is-no-fault). Any other error goes to the caller at once.
 *
 * Invariants: `waiting` or `full` is told once when the first call meets such a shortage, `resumed` once when no call
 * waits any more; after `close` nothing is tried again.
 */
import type { StorageNotice, StorageListener } from '../../replica/storage.js';
import type { Disk } from './disk.js';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1000;

/** The shortages of descriptors, which say that nothing at all was done. */
export const NO_DESCRIPTOR: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE']);
const NO_SPACE: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);
const SHORTAGES: ReadonlySet<unknown> = new Set([...NO_DESCRIPTOR, ...NO_SPACE, 'ENOMEM']);

type Shortage = 'waiting' | 'full';

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

export function isNoSpace(error: unknown): boolean {
  return NO_SPACE.has(codeOf(error));
}

export class Shortages {
  private readonly disk: Disk;
  private readonly listener: StorageListener | undefined;
  /** What each call that waits is short of. */
  private readonly waiting = new Map<object, Shortage>();
  private readonly pauses = new Set<() => void>();
  private closed = false;

  constructor(disk: Disk, listener: StorageListener | undefined) {
    this.disk = disk;
    this.listener = listener;
  }

  /** The listener is the caller's: what it throws is its own trouble. */
  tell(event: StorageNotice): void {
    try {
      this.listener?.(event);
    } catch {
      // A storage that works does not stop for it.
    }
  }

  /** What this storage is short of: space before anything else. */
  get state(): Shortage | undefined {
    const all = [...this.waiting.values()];
    return all.includes('full') ? 'full' : all[0];
  }

  get isFull(): boolean {
    return this.waiting.size > 0 && this.state === 'full';
  }

  /**
   * The result of `work`, which is tried again while there is a shortage. Rejects with any other error of it, and once
   * closed with every one.
   * @param work may call back before it ends, when what was short is there
   * @param isShortage which errors are one; those of the platform by default
   */
  async outlast<T>(
    what: string,
    work: (isThere: () => void) => Promise<T>,
    isShortage = (error: unknown) => SHORTAGES.has(codeOf(error)),
  ): Promise<T> {
    const call = {};
    let met: unknown;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        const isThere = (): void => this.over(call, what, met);
        const result = await work(isThere);
        isThere();
        return result;
      } catch (error) {
        met = error;
        if (this.closed || !isShortage(error)) {
          this.waiting.delete(call);
          throw error;
        }
        this.meet(call, what, error);
        await this.pause(pause);
      }
    }
  }

  private meet(call: object, what: string, cause: unknown): void {
    const kind = isNoSpace(cause) ? 'full' : 'waiting';
    const told = [...this.waiting.values()].includes(kind);
    this.waiting.set(call, kind);
    if (!told) this.tell({ kind, reason: `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause });
  }

  private over(call: object, what: string, cause: unknown): void {
    if (!this.waiting.delete(call) || this.waiting.size > 0) return;
    this.tell({ kind: 'resumed', reason: `${what}: it works again`, cause });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.pauses.delete(end);
        cancel();
        resolve();
      };
      const cancel = this.disk.after(ms, end);
      this.pauses.add(end);
    });
  }

  /** Every call that waits tries once more, and then no more. */
  close(): void {
    this.closed = true;
    for (const end of [...this.pauses]) end();
  }
}
