/** The end of a plug-in that may not come: what hangs must not hold up whoever closes the replica. */

import type { Cancellable, Clock } from '../clock.js';
import { ConsensusError, type ErrorCode } from '../errors.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import { answered } from './plug-ins.js';

type PlugIns = Pick<CheckedOptions<AnyMachine>, 'clock' | 'transport' | 'storage'>;

/** Milliseconds that a transport may take to stop, and a storage to close. */
const CLOSE_TIME = 5000;

/** What ends, and how it is told that it does not. */
const ENDS = {
  transport: { code: 'ERR_TRANSPORT_FAILED', lacks: 'stopped' },
  storage: { code: 'ERR_STORAGE_FAILED', lacks: 'closed' },
} as const satisfies Record<string, { readonly code: ErrorCode; readonly lacks: string }>;

/** Resolves as `ended` does, or rejects with its code when that takes too long. */
export function endedInTime(clock: Clock, what: keyof typeof ENDS, ended: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const { code, lacks } = ENDS[what];
    const message = `the ${what} has not ${lacks} within ${CLOSE_TIME} ms`;
    const late = (): void => reject(new ConsensusError(message, { code }));
    let timer: Cancellable | null = null;
    const settle = (end: () => void): void => {
      try {
        timer?.cancel();
      } catch {
        // What a clock calls back that cannot cancel comes too late to matter.
      }
      end();
    };
    ended.then(
      () => settle(resolve),
      (error: unknown) => settle(() => reject(error as Error)),
    );
    try {
      timer = clock.after(CLOSE_TIME, late);
    } catch {
      // Without a clock it is waited for.
    }
  });
}

/**
 * Stops the transport, then closes the storage.
 * @throws ConsensusError ERR_TRANSPORT_FAILED, ERR_STORAGE_FAILED: it failed, or does not end
 */
export async function endPlugIns({ clock, transport, storage }: PlugIns): Promise<void> {
  try {
    const stopped = answered('ERR_TRANSPORT_FAILED', 'transport.stop', () => transport.stop());
    await endedInTime(clock, 'transport', stopped);
  } finally {
    const closed = answered('ERR_STORAGE_FAILED', 'storage.close', () => storage.close());
    await endedInTime(clock, 'storage', closed);
  }
}
