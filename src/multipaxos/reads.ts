/**
 * How the leader of Multi-Paxos confirms reads: by a round of heartbeats, answered by a majority that has promised no
 * higher ballot. A read must see everything up to the highest of the commit index, `committedAtElection` and the votes
 * that Phase 1 reported, since an earlier leader may have had all of that chosen. The commit index alone may lag behind
 * (reads/above-all-reported).
 */

import type { ReadAnswer } from '../core/forwarding.js';
import type { ReplicaId } from '../core/members.js';
import { answerRead, type ReadRules } from '../core/reads.js';
import type { PaxosDraft } from './draft.js';
import { sendHeartbeats } from './heartbeat.js';
import { learnCommit } from './learner.js';
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

/** The leader's answer to a forwarded read, which also carries its commit index. */
export function onReadAnswer(draft: PaxosDraft, from: ReplicaId, m: ReadAnswer): void {
  learnCommit(draft, from, m.term, m.commit);
  answerRead(draft, m);
}
