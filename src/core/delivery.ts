/**
 * Handing committed entries to the application: in order, once per start, without a gap, and never more than
 * `applyBytes` ahead of what it reports as applied. What is no longer in memory is loaded, at a restart the whole
 * log page by page.
 *
 * Invariants: `applied` ≤ `delivered` ≤ commit index; `unapplied` covers exactly what lies between the first two.
 */

import type { Entry, Index, Limits } from './protocol.js';
import { slice, type Log } from './log.js';
import { bytesOf } from './entries.js';

export interface Delivery {
  readonly delivered: Index;
  readonly applied: Index;
  /** What was handed over and not applied, oldest first: up to which index, how many bytes. */
  readonly unapplied: readonly { readonly through: Index; readonly bytes: number }[];
  readonly unappliedBytes: number;
  /** The number of the load that is under way for it; 0 for none. */
  readonly loading: number;
}

export const noDelivery: Delivery = { delivered: 0, applied: 0, unapplied: [], unappliedBytes: 0, loading: 0 };

/** The next entries to hand over, `'load'` when they must be loaded first, `null` when nothing is due. */
export function nextDelivery(
  delivery: Delivery,
  log: Log,
  commit: Index,
  limits: Limits,
): readonly Entry[] | 'load' | null {
  if (delivery.delivered >= commit || delivery.loading !== 0) return null;
  const room = limits.applyBytes - delivery.unappliedBytes;
  if (room <= 0) return null;
  return slice(log, delivery.delivered + 1, commit, room) ?? 'load';
}

/** With these handed over. */
export function noteDelivered(delivery: Delivery, entries: readonly Entry[]): Delivery {
  const bytes = bytesOf(entries);
  const delivered = delivery.delivered + entries.length;
  return {
    delivered,
    applied: delivery.applied,
    unapplied: [...delivery.unapplied, { through: delivered, bytes }],
    unappliedBytes: delivery.unappliedBytes + bytes,
    loading: 0,
  };
}

/** With everything up to `index` applied. @throws RangeError when that was never handed over */
export function noteApplied(delivery: Delivery, index: Index): Delivery {
  if (index > delivery.delivered) throw new RangeError(`applied: ${index} was never handed over`);
  if (index <= delivery.applied) return delivery;
  const unapplied = delivery.unapplied.filter((run) => run.through > index);
  let unappliedBytes = 0;
  for (const run of unapplied) unappliedBytes += run.bytes;
  return { ...delivery, applied: index, unapplied, unappliedBytes };
}
