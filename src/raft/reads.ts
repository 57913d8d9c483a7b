/** Linearizable reads: ReadIndex (thesis 6.4), one round for all that wait, and reads passed on by followers. */

import type { ForwardRead, ReadAnswer } from '../core/forwarding.js';
import type { Index, Read } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majorityReached } from '../core/quorum.js';
import { beginReadRound, confirmReadRound, queueRead, type LeaderRead, type ReadRound } from '../core/reads.js';
import type { RaftDraft } from './draft.js';
import type { ReadRoundConfirmed } from './messages.js';
import { sendEmpty } from './sending.js';
import type { RaftLeader, RaftProgress } from './state.js';

export function onRead(draft: RaftDraft, { request, deadline }: Read): void {
  const { role, term, reads } = draft.state;
  if (role.kind === 'leader') return enqueue(draft, { request, peer: null, forward: 0, deadline });
  if (role.kind !== 'follower' || role.leader === null) {
    draft.resolve([request], { kind: 'none', reason: 'noLeader', leader: null });
    return;
  }
  const forward = draft.freshNumber();
  draft.setReads([...reads, { request, forward, deadline }]);
  draft.send(role.leader, { kind: 'forwardRead', term, number: forward }, 0, 'control');
}

export function onForwardRead(draft: RaftDraft, from: ReplicaId, { number }: ForwardRead): void {
  const { role, term } = draft.state;
  if (role.kind !== 'leader') {
    draft.send(from, { kind: 'readAnswer', term, number, index: null, commit: 0 }, 0, 'control');
    return;
  }
  const deadline = draft.now + draft.state.options.timing.electionMax;
  enqueue(draft, { request: 0, peer: from, forward: number, deadline });
}

function enqueue(draft: RaftDraft, read: LeaderRead): void {
  const role = draft.state.role as RaftLeader;
  draft.ownLeader().reads = queueRead(role.reads, read);
  tryReadRound(draft);
}

/**
 * Begins a round when reads wait and none is under way. Not before an entry of this term is committed: until then
 * the leader does not know what is committed (reads/own-term-first).
 */
export function tryReadRound(draft: RaftDraft): void {
  const role = draft.state.role as RaftLeader;
  if (role.reads.waiting.length === 0 || role.reads.begun.length > 0 || draft.state.commit < role.noopIndex) return;
  draft.ownLeader().reads = beginReadRound(role.reads, draft.state.commit);
  for (const peer of role.peers) sendEmpty(draft, peer);
  serveConfirmed(draft);
}

export function onReadRoundConfirmed(draft: RaftDraft, from: ReplicaId, message: ReadRoundConfirmed): void {
  const { role, term } = draft.state;
  if (role.kind !== 'leader' || message.term !== term) return;
  const peer = role.peers.find((each) => each.id === from);
  if (peer === undefined || message.viewId !== peer.viewId || message.readRound <= peer.readRound) return;
  draft.changeProgress(peer, { readRound: message.readRound });
  serveConfirmed(draft);
}

/** Serves the rounds that a majority has confirmed, ourselves included. */
function serveConfirmed(draft: RaftDraft): void {
  const role = draft.state.role as RaftLeader;
  const rounds = [role.reads.readRound, ...role.peers.map((peer: RaftProgress) => peer.readRound)];
  const [reads, served] = confirmReadRound(role.reads, majorityReached(rounds));
  if (served.length === 0) return;
  draft.ownLeader().reads = reads;
  for (const readRound of served) serve(draft, readRound);
  tryReadRound(draft);
}

function serve(draft: RaftDraft, { index, reads }: ReadRound): void {
  const { term, commit } = draft.state;
  for (const read of reads) {
    if (read.peer === null) draft.readReady(read.request, index);
    else draft.send(read.peer, { kind: 'readAnswer', term, number: read.forward, index, commit }, 0, 'control');
  }
}

/** The leader's answer to a read of ours: and its commit index, good as far as our log is known to match. */
export function onReadAnswer(draft: RaftDraft, from: ReplicaId, message: ReadAnswer): void {
  const { reads } = draft.state;
  const read = reads.find((each) => each.forward === message.number);
  if (read === undefined) return;
  draft.setReads(reads.filter((each) => each !== read));
  if (message.index === null) {
    draft.resolve([read.request], { kind: 'none', reason: 'notLeader', leader: null });
    return;
  }
  draft.readReady(read.request, message.index);
  adoptCommit(draft, from, message.commit);
}

/** The commit index of the leader, adopted up to what matched it in this term. */
function adoptCommit(draft: RaftDraft, from: ReplicaId, commit: Index): void {
  const { role } = draft.state;
  if (role.kind === 'follower' && role.leader === from) draft.commitTo(Math.min(commit, role.matched));
}
