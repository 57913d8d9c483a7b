/**
 * How fresh the applied state is, for stale reads with a bound on their age: when the newest message of a leader
 * arrived whose commit index is applied here. Of the messages that came while one waits to be applied, none is noted:
 * under load the time given may be older than it need be, by as long as applying takes.
 *
 * Nothing in a step depends on it. A leader takes for such a message that a majority has answered.
 */

import type { AnyDraft } from './draft.js';
import { majorityAnsweredAt } from './election-timer.js';
import type { Index, Milliseconds } from './protocol.js';
import type { CoreState } from './state.js';

/** @see freshAt */
export interface Freshness {
  /** The newest such time; `-Infinity` when there was none since the start. */
  readonly at: Milliseconds;
  /** A later message: when it arrived, and the commit index that it brought; 0 for none. */
  readonly heardAt: Milliseconds;
  readonly commit: Index;
}

export const neverFresh: Freshness = { at: -Infinity, heardAt: -Infinity, commit: 0 };

/** A message of the leader that this replica follows brings its commit index. */
export function noteLeaderCommit(draft: AnyDraft, commit: Index, at: Milliseconds = draft.now): void {
  const { freshness, delivery } = draft.state;
  if (delivery.applied >= commit) draft.setFreshness({ at, heardAt: -Infinity, commit: 0 });
  else if (freshness.commit === 0) draft.setFreshness({ at: freshness.at, heardAt: at, commit });
}

/** At a leader's heartbeat: when a majority had last answered, nobody else had committed anything. */
export function noteOwnCommit(draft: AnyDraft): void {
  const { leaderRole, commitIndex, now } = draft;
  if (commitIndex >= leaderRole.noopIndex) noteLeaderCommit(draft, commitIndex, majorityAnsweredAt(leaderRole, now));
}

/** More was applied. */
export function noteFreshlyApplied(draft: AnyDraft): void {
  const { freshness, delivery } = draft.state;
  if (freshness.commit === 0 || delivery.applied < freshness.commit) return;
  draft.setFreshness({ at: freshness.heardAt, heardAt: -Infinity, commit: 0 });
}

/**
 * When the newest message of a leader arrived whose commit index is applied here; `-Infinity` for none.
 * @param commit the own commit index
 */
export function freshAt(state: CoreState, commit: Index, now: Milliseconds): Milliseconds {
  const { freshness, role, delivery } = state;
  if (role.kind !== 'leader' || commit < role.noopIndex || delivery.applied < commit) return freshness.at;
  return Math.max(freshness.at, majorityAnsweredAt(role, now));
}
