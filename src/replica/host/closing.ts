/** The end of a storage that may not come: a disk that hangs must not hold up whoever closes the replica. */

import type { Cancellable, Clock } from '../clock.js';
import { ConsensusError } from '../errors.js';

/** Milliseconds that a storage may take to close. */
const CLOSE_TIME = 5000;

/** Resolves as `closed` does, or rejects with ERR_STORAGE_FAILED when that takes too long. */
export function closedInTime(clock: Clock, closed: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const message = `the storage has not closed within ${CLOSE_TIME} ms: a write of it does not end`;
    const late = (): void => reject(new ConsensusError(message, { code: 'ERR_STORAGE_FAILED' }));
    let timer: Cancellable | null = null;
    const settle = (end: () => void): void => {
      try {
        timer?.cancel();
      } catch {
        // What a clock calls back that cannot cancel comes too late to matter.
      }
      end();
    };
    closed.then(
      () => settle(resolve),
      (error: unknown) => settle(() => reject(error as Error)),
    );
    try {
      timer = clock.after(CLOSE_TIME, late);
    } catch {
      // Without a clock the storage is waited for.
    }
  });
}
