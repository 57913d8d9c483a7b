/**
 * What replicas tell their applications about leading, and whether it can be so: `leading` and `fence` as
 * `docs/embedding.md` and `replica/leadership.ts` promise them.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Index, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';

/** A replica says that it leads. */
export interface Claim {
  readonly replica: ReplicaId;
  readonly term: Term;
  readonly fence: Index;
}

/** An election that was won; `seen`: everything up to there had been acknowledged, or seen by a read. */
interface Win {
  readonly term: Term;
  readonly seen: Index;
}

export interface Claims {
  /** Who says so now. */
  readonly standing: ReadonlyMap<ReplicaId, Claim>;
  /** Of the highest term so far. */
  readonly highest: Claim | null;
  /** The last election that each has won. */
  readonly wins: ReadonlyMap<ReplicaId, Win>;
}

export const noClaims: Claims = { standing: new Map(), highest: null, wins: new Map() };

export function withWin(claims: Claims, replica: ReplicaId, win: Win): Claims {
  return { ...claims, wins: new Map(claims.wins).set(replica, win) };
}

/** Of two claims the one of the later term has the larger fence; a term has one leader, with one fence. */
function checkOrder(claim: Claim, other: Claim): void {
  const [early, late] = claim.term < other.term ? [claim, other] : [other, claim];
  const ordered = early.term < late.term ? early.fence < late.fence : early.fence === late.fence;
  if (ordered && (early.term < late.term || early.replica === late.replica)) return;
  throw new InvariantViolation(`fences rise with terms: ${claim.replica} claims ${claim.fence}`, {
    claim,
    other,
  });
}

/**
 * @param position up to where the claimant's machine has come
 * @throws InvariantViolation when it cannot be so
 */
export function withClaim(claims: Claims, claim: Claim, position: Index): Claims {
  const { replica, term, fence } = claim;
  if (fence < 1 || position < fence) {
    const rule = 'who says that it leads has applied its own entry';
    throw new InvariantViolation(`${rule}: ${replica} claims ${fence}, and has applied ${position}`, claim);
  }
  const win = claims.wins.get(replica);
  if (win?.term !== term || fence <= win.seen) {
    const rule = 'a fence lies behind everything that was acknowledged before the election was won';
    throw new InvariantViolation(`${rule}: ${replica} claims ${fence}`, { claim, win });
  }
  const { highest } = claims;
  if (highest !== null) checkOrder(claim, highest);
  const standing = new Map(claims.standing).set(replica, claim);
  return { ...claims, standing, highest: highest === null || highest.term < term ? claim : highest };
}

/** It does not say so any more, or has ended. */
export function withoutClaim(claims: Claims, replica: ReplicaId): Claims {
  if (!claims.standing.has(replica)) return claims;
  const standing = new Map(claims.standing);
  standing.delete(replica);
  return { ...claims, standing };
}
