/**
 * The member that a leader prefers to itself: the one of the highest priority above its own that answers and holds what
 * was there when this leadership began. It is handed the leadership once that was so for long without a break, so that
 * a member that comes and goes does not take the leadership with it (liveness/higher-priority-leads).
 *
 * The leader does not know whom else that member reaches. So it asks first, and the other one asks all members for
 * pre-votes: only if a majority would let it lead does the transfer begin (liveness/preferred-could-win).
 */

import type { AnyDraft } from './draft.js';
import { priorityOf, type Member, type ReplicaId } from './members.js';
import type { Milliseconds } from './protocol.js';
import type { CoreOptions } from './state.js';

/** Who could lead instead. */
export interface Preferred {
  readonly id: ReplicaId;
  /** Since when it could; after a question the time of that question. */
  readonly since: Milliseconds;
  /** The number of the question whether it could, which waits for an answer; 0 for none. */
  readonly asked: number;
}

/** For how many of the longest election timeouts it must have been so. */
const STEADY_TIMEOUTS = 4;

/** For how long a member must have been able to lead before it is preferred. */
export function steadyTime({ timing }: Pick<CoreOptions, 'timing'>): Milliseconds {
  return STEADY_TIMEOUTS * timing.electionMax;
}

/**
 * At a leader's tick: takes note of who could lead instead, and asks it when it is due. If nothing comes of that, it is
 * asked again after as long.
 * @param couldLead whether the peer at this place could
 */
export function askPreferred(draft: AnyDraft, couldLead: (at: number) => boolean): void {
  const { options } = draft.state;
  const { preferred } = draft.leaderRole;
  let best: Member | null = null;
  options.others.forEach((member, at) => {
    if (priorityOf(member) > (best === null ? options.priority : priorityOf(best)) && couldLead(at)) best = member;
  });
  const id = (best as Member | null)?.id ?? null;
  const isDue = preferred !== null && preferred.id === id && draft.now >= preferred.since + steadyTime(options);
  const isNew = preferred?.id !== id && (preferred !== null || id !== null);
  if (!isNew && !isDue) return;
  const asked = isDue ? draft.freshNumber() : 0;
  draft.editLeader().preferred = id === null ? null : { id, since: draft.now, asked };
  if (id === null || !isDue) return;
  draft.send(id, { kind: 'askTakeOver', term: draft.termOf(draft.state), number: asked }, 0, 'control');
}
