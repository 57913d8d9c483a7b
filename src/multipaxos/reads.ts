/**
 * How the leader of Multi-Paxos confirms reads: a round of heartbeats, answered by a majority that has promised nothing
 * above the leader's ballot. A read must see the highest of the commit index, `committedAtElection`, and every vote
 * that Phase 1 reported: what another leader may have had chosen, and nobody may miss. (The commit index alone is not
 * enough (reads/above-all-reported): it may lag behind all that was chosen before this leadership.)
 */

import type { ReadAnswer } from '../core/forwarding.js';
import type { ReplicaId } from '../core/members.js';
import { answerRead, serveConfirmed, type ReadRules } from '../core/reads.js';
import type { PaxosDraft } from './draft.js';
import { noteHeartbeatReply, sendHeartbeats } from './heartbeat.js';
import { learnCommit } from './learner.js';
import type { HeartbeatReply } from './messages.js';
import { commitOf } from './state.js';

export const readRules: ReadRules<PaxosDraft> = {
  index(draft) {
    // Its own no-op stands right above `committedAtElection` and all votes of Phase 1.
    return Math.max(commitOf(draft.state), draft.leaderRole.noopIndex - 1);
  },
  ask: sendHeartbeats,
  confirmed(draft) {
    return draft.leaderRole.peers.map((peer) => peer.readRound);
  },
};

/** A peer answered the leader's heartbeat, which may complete a round. */
export function onHeartbeatReply(draft: PaxosDraft, from: ReplicaId, m: HeartbeatReply): void {
  if (noteHeartbeatReply(draft, from, m)) serveConfirmed(draft, readRules);
}

/** The leader's answer to a read of ours. Its commit index comes along. */
export function onReadAnswer(draft: PaxosDraft, from: ReplicaId, m: ReadAnswer): void {
  learnCommit(draft, from, m.term, m.commit);
  answerRead(draft, m);
}
