/** Whether a replica is fit to lead and to vote: it stays, and its disk takes what it writes. */

import type { AnyDraft } from './draft.js';
import type { Milliseconds } from './protocol.js';
import type { CoreState } from './state.js';

/** Whether this replica's disk has made nothing durable for twice as long as the timing assumption allows. */
export function isStalled({ unsyncedSince, options }: CoreState, now: Milliseconds): boolean {
  return now >= unsyncedSince + options.timing.electionMin;
}

/** Whether this replica must not lead: it leaves, or its disk has stalled or has no space. */
export function isUnfit(draft: AnyDraft): boolean {
  return draft.state.leaving || hasIllDisk(draft.state, draft.now);
}

/** Whether its disk keeps it from leading. */
export function hasIllDisk(state: CoreState, now: Milliseconds): boolean {
  return state.storageFull || isStalled(state, now);
}

/**
 * Whether a vote of this replica would stay here: its disk has no space, and not even room for what it was given last
 * (liveness/full-disk-votes-if-it-can).
 */
export function cannotVote({ state, now }: AnyDraft): boolean {
  return state.storageFull && isStalled(state, now);
}
