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
    const complete = (end: () => void): void => {
      try {
        timer?.cancel();
      } catch {
        // What a clock calls back that cannot cancel comes too late to matter.
      }
      end();
    };
    ended.then(
      () => complete(resolve),
      (error: unknown) => complete(() => reject(error as Error)),
    );
    try {
      timer = clock.after(CLOSE_TIME, late);
    } catch {
      // Without a clock it is waited for.
    }
  });
}

/** @throws ConsensusError ERR_TRANSPORT_FAILED: it failed, or does not stop */
export function stopTransport({ clock, transport }: Omit<PlugIns, 'storage'>): Promise<void> {
  const stopped = answered('ERR_TRANSPORT_FAILED', 'transport.stop', () => transport.stop());
  return endedInTime(clock, 'transport', stopped);
}

/** @throws ConsensusError ERR_STORAGE_FAILED: it failed, or does not close */
export function closeStorage({ clock, storage }: Omit<PlugIns, 'transport'>): Promise<void> {
  const closed = answered('ERR_STORAGE_FAILED', 'storage.close', () => storage.close());
  return endedInTime(clock, 'storage', closed);
}

/**
 * Stops the transport, then closes the storage, whatever became of the transport.
 * @throws ConsensusError ERR_STORAGE_FAILED, else ERR_TRANSPORT_FAILED: it failed, or does not end
 */
export async function endPlugIns(plugIns: PlugIns): Promise<void> {
  try {
    await stopTransport(plugIns);
  } finally {
    await closeStorage(plugIns);
  }
}
