/**
 * How Raft's leader confirms reads: ReadIndex (Ongaro's thesis 6.4), by an append without entries that carries the read
 * round. It begins no round before an entry of its own term is committed, since until then its commit index may lag
 * behind what is committed.
 */

import type { ReadAnswer } from '../core/forwarding.js';
import type { ReplicaId } from '../core/members.js';
import { answerRead, type ReadRules } from '../core/reads.js';
import type { RaftDraft } from './draft.js';
import type { ReadRoundConfirmed } from './messages.js';
import { followCommit } from './replication.js';
import { progressOf, sendEmpty } from './sending.js';

export const readRules: ReadRules<RaftDraft> = {
  index(draft) {
    const { commit } = draft.state;
    return commit >= draft.leaderRole.noopIndex ? commit : null;
  },
  ask(draft) {
    for (const peer of draft.leaderRole.peers) sendEmpty(draft, peer);
  },
  confirmed(draft) {
    return draft.leaderRole.peers.map((peer) => peer.readRound);
  },
};

/** A follower confirmed a read round; with a majority its reads are served. */
export function onReadRoundConfirmed(draft: RaftDraft, from: ReplicaId, message: ReadRoundConfirmed): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  if (message.readRound <= peer.readRound) return;
  draft.changeProgress(peer, { readRound: message.readRound });
}

/** The leader's answer to a forwarded read, which also carries its commit index. */
export function onReadAnswer(draft: RaftDraft, from: ReplicaId, message: ReadAnswer): void {
  answerRead(draft, message);
  const { role } = draft.state;
  if (role.kind === 'follower' && role.leader === from) followCommit(draft, message.commit);
}
