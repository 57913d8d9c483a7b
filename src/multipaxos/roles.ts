/**
 * Following: what a replica does when it changes its leader or stops leading or campaigning. Safety does not depend on
 * it ("Paxos Made Simple", §2.4); progress and waiting requests do.
 */

import { startElectionTimer } from '../core/election-timer.js';
import { endForLeaderChange } from '../core/ending.js';
import type { ReplicaId } from '../core/members.js';
import type { Ballot } from './ballot.js';
import type { PaxosDraft } from './draft.js';

/** Becomes a follower of `leader`, which leads in `ballot`, or of nobody yet. */
export function follow(draft: PaxosDraft, leader: ReplicaId | null, ballot: Ballot): void {
  const { role } = draft.state;
  if (role.kind === 'follower' && role.leader === leader && role.ballot === ballot) return;
  endForLeaderChange(draft, leader);
  if (role.kind !== 'follower') startElectionTimer(draft);
  draft.setRole({ kind: 'follower', leader, ballot });
}
