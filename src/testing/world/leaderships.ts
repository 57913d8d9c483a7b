/**
 * Checks the leadership that replicas report to their applications: `leading` and `fence` must be as
 * `docs/embedding.md` and `replica/leadership.ts` promise.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Index, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';

/** The report of a replica that it leads. */
export interface RecordedLeadership {
  readonly replica: ReplicaId;
  readonly term: Term;
  readonly fence: Index;
}

/** An election that was won; `seen`: the highest index that had been acknowledged or seen by a read by then. */
interface TermWin {
  readonly term: Term;
  readonly seen: Index;
}

export interface RecordedLeaderships {
  /** The leaderships in force, by replica. */
  readonly standing: ReadonlyMap<ReplicaId, RecordedLeadership>;
  /** The leadership of the highest term so far. */
  readonly highest: RecordedLeadership | null;
  /** The last election that each has won. */
  readonly wins: ReadonlyMap<ReplicaId, TermWin>;
}

export const noLeaderships: RecordedLeaderships = { standing: new Map(), highest: null, wins: new Map() };

export function withWin(leaderships: RecordedLeaderships, replica: ReplicaId, win: TermWin): RecordedLeaderships {
  return { ...leaderships, wins: new Map(leaderships.wins).set(replica, win) };
}

/** Checks two leaderships: the later term has the larger fence, and a term has one leader with one fence. */
function checkOrder(leadership: RecordedLeadership, other: RecordedLeadership): void {
  const [early, late] = leadership.term < other.term ? [leadership, other] : [other, leadership];
  const ordered = early.term < late.term ? early.fence < late.fence : early.fence === late.fence;
  if (ordered && (early.term < late.term || early.replica === late.replica)) return;
  const rule = 'leadership/fences-rise: fences rise with terms';
  throw new InvariantViolation(`${rule}: ${leadership.replica} leads with fence ${leadership.fence}`, {
    leadership,
    other,
  });
}

/**
 * @param position the index up to which its machine has applied
 * @throws InvariantViolation when a rule about leadership is broken
 */
export function withLeadership(
  leaderships: RecordedLeaderships,
  leadership: RecordedLeadership,
  position: Index,
): RecordedLeaderships {
  const { replica, term, fence } = leadership;
  if (fence < 1 || position < fence) {
    const rule = 'leadership/after-own-entry: a replica that says it leads has applied its own entry';
    throw new InvariantViolation(`${rule}: ${replica} leads with fence ${fence}, applied ${position}`, leadership);
  }
  const win = leaderships.wins.get(replica);
  if (win?.term !== term || fence <= win.seen) {
    const rule =
      'leadership/fence-above-acknowledged: a fence lies above all that was acknowledged before the election';
    throw new InvariantViolation(`${rule}: ${replica} leads with fence ${fence}`, { leadership, win });
  }
  const { highest } = leaderships;
  if (highest !== null) checkOrder(leadership, highest);
  const standing = new Map(leaderships.standing).set(replica, leadership);
  return { ...leaderships, standing, highest: highest === null || highest.term < term ? leadership : highest };
}

/** The leaderships after this replica has ceased to lead, or ended. */
export function withoutLeadership(leaderships: RecordedLeaderships, replica: ReplicaId): RecordedLeaderships {
  if (!leaderships.standing.has(replica)) return leaderships;
  const standing = new Map(leaderships.standing);
  standing.delete(replica);
  return { ...leaderships, standing };
}
