/**
 * Heartbeats: the leader sends its ballot and its commit index. The answer says that the follower has promised no
 * higher ballot, reports its progress, and confirms a read round.
 */

import { noteLeaderCommit, noteOwnCommit } from '../core/freshness.js';
import { askForGrants } from '../core/lease-reads.js';
import { noteClock, wallTime, watchClock } from '../core/log-time.js';
import type { ReplicaId } from '../core/members.js';
import { leastPatience } from '../core/tuning.js';
import { durableIndex } from '../core/unsynced.js';
import { hearLeader } from './acceptor.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { answering, resend } from './leader.js';
import { learnCommit } from './learner.js';
import type { Heartbeat, HeartbeatReply } from './messages.js';
import { resume, withAnswer, withChosen, type PaxosProgress } from './progress.js';
import { commitOf } from './state.js';

/** Sends a Heartbeat to all others. */
export function sendHeartbeats(draft: PaxosDraft): void {
  const { ballot, reads, peers } = draft.leaderRole;
  const message: Heartbeat = { kind: 'heartbeat', ballot, commit: commitOf(draft.state), readRound: reads.readRound };
  for (const { id, match } of peers) {
    draft.send(id, message, 0, 'control');
    draft.noteTold(id, Math.min(message.commit, match));
  }
}

/** Sends heartbeats, and again what was not answered: every heartbeat interval, and when a leadership begins. */
export function heartbeat(draft: PaxosDraft): void {
  draft.editLeader().heartbeatAt = draft.now + draft.state.options.timing.heartbeat;
  sendHeartbeats(draft);
  askForGrants(draft);
  noteOwnCommit(draft);
  watchClock(draft);
  resend(draft);
}

/** Notes a follower's answer: its progress, and the read round that it confirms. */
export function onHeartbeatReply(draft: PaxosDraft, from: ReplicaId, m: HeartbeatReply): void {
  const at = answering(draft, from, m.ballot);
  if (at < 0) return;
  noteClock(draft, from, m.wall);
  const lead = draft.leaderRole;
  if (m.readRound > lead.reads.readRound) return;
  let peer = lead.peers[at] as PaxosProgress;
  const commit = commitOf(draft.state);
  const most = leastPatience(draft.state.options.timing);
  peer = withChosen(peer, Math.min(m.commit, commit), most);
  const speaksAgain = draft.now - peer.answeredAt >= most;
  const holdsAll = peer.inflight.length === 0 && m.commit >= commit;
  if (peer.probing && (speaksAgain || holdsAll)) peer = resume(peer, commit);
  draft.setProgress(withAnswer(peer, m.durable, m.readRound, draft.now));
  noteAhead(draft, from, m.commit);
}

/** Follows the leader, learns its commit index, and answers. */
export function onHeartbeat(draft: PaxosDraft, from: ReplicaId, m: Heartbeat): void {
  hearLeader(draft, from, m.ballot);
  noteLeaderCommit(draft, m.commit);
  learnCommit(draft, from, m.ballot, m.commit);
  const { unsynced } = draft.state;
  const commit = commitOf(draft.state);
  const { ballot, readRound } = m;
  const durable = durableIndex(unsynced, commit);
  const wall = wallTime(draft);
  draft.send(from, { kind: 'heartbeatReply', ballot, readRound, commit, durable, wall }, 0, 'control');
}
