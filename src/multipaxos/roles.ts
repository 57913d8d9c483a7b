/**
 * Following: what a replica does when it leaves its role, or its leader. Who leads decides nothing about safety; it is
 * for progress, and for those who wait.
 */

import { startElectionTimer } from '../core/election-timer.js';
import type { ReplicaId } from '../core/members.js';
import { endForLeaderChange } from '../core/requests.js';
import type { Ballot } from './ballot.js';
import type { PaxosDraft } from './draft.js';

/** Follows whoever leads in `ballot`, or nobody yet. Leading or campaigning ends here. */
export function follow(draft: PaxosDraft, leader: ReplicaId | null, ballot: Ballot): void {
  const { role } = draft.state;
  if (role.kind === 'follower' && role.leader === leader && role.ballot === ballot) return;
  endForLeaderChange(draft, leader);
  if (role.kind !== 'follower') startElectionTimer(draft);
  draft.setRole({ kind: 'follower', leader, ballot });
}
