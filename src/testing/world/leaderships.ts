/**
 * What replicas tell their applications about leading, and whether it can be so: `leading` and `fence` as
 * `docs/embedding.md` and `replica/leadership.ts` promise them.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Index, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';

/** A replica says that it leads. */
export interface RecordedLeadership {
  readonly replica: ReplicaId;
  readonly term: Term;
  readonly fence: Index;
}

/** An election that was won; `seen`: everything up to there had been acknowledged, or seen by a read. */
interface TermWin {
  readonly term: Term;
  readonly seen: Index;
}

export interface RecordedLeaderships {
  /** Who says so now. */
  readonly standing: ReadonlyMap<ReplicaId, RecordedLeadership>;
  /** Of the highest term so far. */
  readonly highest: RecordedLeadership | null;
  /** The last election that each has won. */
  readonly wins: ReadonlyMap<ReplicaId, TermWin>;
}

export const noLeaderships: RecordedLeaderships = { standing: new Map(), highest: null, wins: new Map() };

export function withWin(leaderships: RecordedLeaderships, replica: ReplicaId, win: TermWin): RecordedLeaderships {
  return { ...leaderships, wins: new Map(leaderships.wins).set(replica, win) };
}

/** Of two leaderships the one of the later term has the larger fence; a term has one leader, with one fence. */
function checkOrder(leadership: RecordedLeadership, other: RecordedLeadership): void {
  const [early, late] = leadership.term < other.term ? [leadership, other] : [other, leadership];
  const ordered = early.term < late.term ? early.fence < late.fence : early.fence === late.fence;
  if (ordered && (early.term < late.term || early.replica === late.replica)) return;
  const rule = 'leadership/fences-rise: fences rise with terms';
  throw new InvariantViolation(`${rule}: ${leadership.replica} leads from ${leadership.fence}`, {
    leadership,
    other,
  });
}

/**
 * @param position up to where its machine has come
 * @throws InvariantViolation when it cannot be so
 */
export function withLeadership(
  leaderships: RecordedLeaderships,
  leadership: RecordedLeadership,
  position: Index,
): RecordedLeaderships {
  const { replica, term, fence } = leadership;
  if (fence < 1 || position < fence) {
    const rule = 'leadership/after-own-entry: a replica that says it leads has applied its own entry';
    throw new InvariantViolation(`${rule}: ${replica} leads from ${fence}, and has applied ${position}`, leadership);
  }
  const win = leaderships.wins.get(replica);
  if (win?.term !== term || fence <= win.seen) {
    const rule =
      'leadership/fence-above-acknowledged: a fence lies above all that was acknowledged before the election';
    throw new InvariantViolation(`${rule}: ${replica} leads from ${fence}`, { leadership, win });
  }
  const { highest } = leaderships;
  if (highest !== null) checkOrder(leadership, highest);
  const standing = new Map(leaderships.standing).set(replica, leadership);
  return { ...leaderships, standing, highest: highest === null || highest.term < term ? leadership : highest };
}

/** It does not say so any more, or has ended. */
export function withoutLeadership(leaderships: RecordedLeaderships, replica: ReplicaId): RecordedLeaderships {
  if (!leaderships.standing.has(replica)) return leaderships;
  const standing = new Map(leaderships.standing);
  standing.delete(replica);
  return { ...leaderships, standing };
}
