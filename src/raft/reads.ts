/**
 * How Raft's leader confirms reads: ReadIndex (thesis 6.4), by an empty append to everybody that names the round. Not
 * before an entry of its own term is committed: until then it does not know what is committed.
 */

import type { ReadAnswer } from '../core/forwarding.js';
import type { ReplicaId } from '../core/members.js';
import { answerRead, serveConfirmed, type ReadRules } from '../core/reads.js';
import type { RaftDraft } from './draft.js';
import type { ReadRoundConfirmed } from './messages.js';
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

export function onReadRoundConfirmed(draft: RaftDraft, from: ReplicaId, message: ReadRoundConfirmed): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  if (message.readRound <= peer.readRound) return;
  draft.changeProgress(peer, { readRound: message.readRound });
  serveConfirmed(draft, readRules);
}

/** The leader's answer to a read of ours, and its commit index, good as far as our log is known to match its own. */
export function onReadAnswer(draft: RaftDraft, from: ReplicaId, message: ReadAnswer): void {
  answerRead(draft, message);
  const { role } = draft.state;
  if (role.kind === 'follower' && role.leader === from) draft.commitTo(Math.min(message.commit, role.matched));
}
