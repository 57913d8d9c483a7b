/**
 * Delivery of committed entries to the application: in order, once per start, without a gap, and never more than
 * `applyBytes` ahead of what the application reports as applied. Entries that are no longer in memory are loaded from
 * storage, after a restart the whole log page by page.
 *
 * Invariants: `applied` ≤ `delivered` ≤ commit index; `unapplied` covers exactly what lies between the first two.
 */

import { completeCommitted } from './attempts.js';
import type { AnyDraft } from './draft.js';
import { bytesOf } from './entries.js';
import { noteFreshlyApplied } from './freshness.js';
import { noteStamps } from './log-time.js';
import { agreeing, slice, type Log } from './log.js';
import type { Entry, Index, Limits, Loaded } from './protocol.js';

export interface Delivery {
  readonly delivered: Index;
  readonly applied: Index;
  /** The batches delivered and not yet applied, oldest first: the last index of each, and its bytes. */
  readonly unapplied: readonly { readonly through: Index; readonly bytes: number }[];
  readonly unappliedBytes: number;
  /** The number of the load under way for delivery; 0 for none. */
  readonly loading: number;
}

/** After a snapshot of a peer is installed: it is delivered in place of all entries up to `index`. */
export function deliveredAgain({ applied, unapplied, unappliedBytes }: Delivery, index: Index): Delivery {
  return { delivered: index, applied, unapplied, unappliedBytes, loading: 0 };
}

/** Of a start whose application has everything up to `index`, from a snapshot; 0 without one. */
export function deliveredTo(index: Index): Delivery {
  return { delivered: index, applied: index, unapplied: [], unappliedBytes: 0, loading: 0 };
}

/** The next entries to deliver, `'load'` when they must be loaded first, `null` when none are due. */
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

/** With these entries delivered. */
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

/** With everything up to `index` applied. @throws RangeError when that was never delivered */
export function noteApplied(delivery: Delivery, index: Index): Delivery {
  if (index > delivery.delivered) throw new RangeError(`applied: ${index} was never delivered`);
  if (index <= delivery.applied) return delivery;
  const unapplied = delivery.unapplied.filter((run) => run.through > index);
  let unappliedBytes = 0;
  for (const run of unapplied) unappliedBytes += run.bytes;
  return { ...delivery, applied: index, unapplied, unappliedBytes };
}

/** Delivers committed entries as far as `applyBytes` allows, and loads those that are not in memory. */
export function deliver(draft: AnyDraft): void {
  while (!draft.state.stopped) {
    const { delivery, log, options } = draft.state;
    const { limits } = options;
    const commit = draft.commitIndex;
    const due = nextDelivery(delivery, log, commit, limits);
    if (due === null) return;
    if (due !== 'load') {
      deliverEntries(draft, due);
      continue;
    }
    const room = Math.min(limits.loadBytes, limits.applyBytes - delivery.unappliedBytes);
    const loading = draft.load(delivery.delivered + 1, Math.min(commit, log.tailFrom - 1), room);
    draft.setDelivery({ ...delivery, loading });
    return;
  }
}

function deliverEntries(draft: AnyDraft, entries: readonly Entry[]): void {
  const { delivery, attempts } = draft.state;
  draft.setDelivery(noteDelivered(delivery, entries));
  draft.commit(entries);
  if (attempts !== null) draft.endAttempts(completeCommitted(attempts, entries));
}

/**
 * Delivers loaded entries, if the load was for delivery. Gives whether it was. If the storage does not hold a committed
 * entry, it has lost it, and the replica halts.
 */
export function onDeliveryLoaded(draft: AnyDraft, { id, entries }: Loaded): boolean {
  const { delivery, log } = draft.state;
  if (delivery.loading !== id) return false;
  draft.setDelivery({ ...delivery, loading: 0 });
  const usable = agreeing(log, entries, delivery.delivered + 1, draft.commitIndex);
  if (usable.length === 0) draft.halt('the storage lost committed entries');
  else {
    noteStamps(draft, usable);
    deliverEntries(draft, usable);
  }
  return true;
}

/** The application has applied everything up to `index`. @throws RangeError when that was never delivered */
export function onApplied(draft: AnyDraft, index: Index): void {
  draft.setDelivery(noteApplied(draft.state.delivery, index));
  noteFreshlyApplied(draft);
}
