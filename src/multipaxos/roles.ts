/**
 * Changing roles, and what ends with one: reads that a leader was to confirm, requests that were passed on to it.
 * Who leads decides nothing about safety; it is for progress, and for those who wait.
 */

import type { ReplicaId } from '../core/members.js';
import { allReads } from '../core/reads.js';
import { endOnLeaderChange } from '../core/attempts.js';
import type { Ballot } from './ballot.js';
import type { PaxosDraft } from './draft.js';
import { leaderOf, ownReads } from './state.js';

/** Says what this replica is now. */
export function announce(draft: PaxosDraft): void {
  const { role, promised } = draft.state;
  const fence = role.kind === 'leader' ? role.noopIndex : null;
  draft.event({ kind: 'role', role: role.kind, term: promised, leader: leaderOf(draft.state), fence });
}

/** Ends what cannot go on when this replica leaves its role, or its leader; `leader` is who leads next, if known. */
export function leave(draft: PaxosDraft, leader: ReplicaId | null): void {
  const { role, reads, attempts } = draft.state;
  draft.end(endOnLeaderChange(attempts, leader));
  if (reads.length > 0) {
    draft.setReads([]);
    draft.resolve(ownReads(reads), { kind: 'none', reason: 'leaderChanged', leader });
  }
  if (role.kind !== 'leader') return;
  const waiting = allReads(role.reads);
  draft.resolve(ownReads(waiting), { kind: 'none', reason: 'leaderChanged', leader });
  for (const { peer, forward } of waiting) {
    if (peer === null) continue;
    draft.send(peer, { kind: 'refused', number: forward, reason: 'notLeader', leader }, 0, 'control');
  }
}

/**
 * Follows whoever leads in `ballot`, or nobody yet. Leading or campaigning ends here.
 * @param raised the promise was raised in this step, which is told even if nothing else changed
 */
export function follow(draft: PaxosDraft, leader: ReplicaId | null, ballot: Ballot, raised = false): void {
  const { role } = draft.state;
  const same = role.kind === 'follower' && role.leader === leader && role.ballot === ballot;
  if (!same) {
    leave(draft, leader);
    if (role.kind !== 'follower') draft.restartElectionTimer();
    draft.setRole({ kind: 'follower', leader, ballot });
  }
  if (!same || raised) announce(draft);
}
