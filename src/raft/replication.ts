/**
 * Replication: the box "AppendEntries RPC" of Figure 2, its receiver and what its answers mean to the leader (§5.3),
 * and the commit rule (§5.4.2). What a leader sends, and when, is in `sending.ts`.
 */

import { InvariantViolation } from '../core/assert.js';
import { lastIndexWithTermAtMost, termAt } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majority, majorityReached } from '../core/quorum.js';
import { heard } from '../core/election-timer.js';
import type { RaftDraft } from './draft.js';
import type { AppendAccepted, AppendEntries, AppendRejected } from './messages.js';
import { tryRound } from './reads.js';
import { leading, peerOf, sendEmpty, sendTo } from './sending.js';
import { copyPeer, voters, type Peer } from './state.js';

const NO_DATA = new Uint8Array(0);

/** An entry of our own at the start of a term: with it, everything before can be committed (§8). */
export function appendNoop(draft: RaftDraft): void {
  const { log, term } = draft.state;
  draft.append([{ index: log.last + 1, term, kind: 'noop', id: null, data: NO_DATA }]);
}

/** AppendEntries RPC, receiver implementation. Rule 1, the term, is settled by `step`. */
export function onAppendEntries(draft: RaftDraft, from: ReplicaId, message: AppendEntries): void {
  const { state } = draft;
  if (message.term < state.term) return reject(draft, from, { ...message, session: 0 });
  if (state.role.kind === 'leader') {
    throw new InvariantViolation('one leader a term', { term: state.term, leaders: [state.options.id, from] });
  }
  if (state.role.kind === 'follower' && state.role.leader !== null && state.role.leader !== from) {
    throw new InvariantViolation('one leader a term', { term: state.term, leaders: [state.role.leader, from] });
  }
  draft.hear(from);
  confirmRound(draft, from, message);
  const { prevIndex, prevTerm, entries } = message;
  if (termAt(draft.state.log, prevIndex) !== prevTerm) return reject(draft, from, message); // rule 2
  const match = prevIndex + entries.length;
  adopt(draft, prevIndex, entries); // rules 3 and 4
  draft.matchedTo(match);
  draft.commitTo(Math.min(message.commit, match)); // rule 5
  const accepted: AppendAccepted = { kind: 'appendAccepted', term: message.term, session: message.session, match };
  draft.send(from, accepted, draft.seqFor(match), 'control');
}

function confirmRound(draft: RaftDraft, from: ReplicaId, { round, entries, term, session }: AppendEntries): void {
  const { role } = draft.state;
  if (role.kind !== 'follower' || round === 0 || (round <= role.round && entries.length > 0)) return;
  if (round > role.round) draft.confirmed(round);
  draft.send(from, { kind: 'roundConfirmed', term, session, round }, 0, 'control');
}

/** Rules 3 and 4: what conflicts goes, what is new comes, what agrees stays (bugs 17, 18). */
function adopt(draft: RaftDraft, prev: Index, entries: readonly Entry[]): void {
  const { log, commit } = draft.state;
  let known = 0;
  while (known < entries.length && termAt(log, prev + known + 1) === (entries[known] as Entry).term) known++;
  if (known === entries.length) return;
  const index = prev + known + 1;
  if (index <= log.last) {
    if (index <= commit) {
      const evidence = { index, commit, own: termAt(log, index), theirs: (entries[known] as Entry).term };
      throw new InvariantViolation('a committed entry never conflicts', evidence);
    }
    draft.truncate(index);
  }
  draft.append(known === 0 ? entries : entries.slice(known));
}

function reject(draft: RaftDraft, to: ReplicaId, message: AppendEntries): void {
  const { log, term } = draft.state;
  const hintIndex = lastIndexWithTermAtMost(log, message.prevTerm, Math.min(message.prevIndex, log.last));
  const rejected: AppendRejected = {
    kind: 'appendRejected',
    term,
    session: message.session,
    prevIndex: message.prevIndex,
    hintIndex,
    hintTerm: termAt(log, hintIndex) ?? 0,
  };
  draft.send(to, rejected, 0, 'control');
}

function unheard(peer: Peer): Peer {
  if (!peer.heard) return peer;
  const next = copyPeer(peer);
  next.heard = false;
  return next;
}

/** A follower answered, so it follows. With a majority of them the quorum timer starts anew. */
function noteHeard(draft: RaftDraft, peer: Peer): void {
  const role = leading(draft);
  if (peer.heard) return;
  let count = 2; // this one, and we
  for (const each of role.peers) if (each.heard) count++;
  if (count < majority(voters(draft.state))) {
    const next = copyPeer(peer);
    next.heard = true;
    return draft.setPeer(next);
  }
  const silence = heard(role.silence, draft.now);
  const flagged = role.peers.some((each) => each.heard);
  if (!flagged && silence.deadline === role.silence.deadline && !role.silence.forgiven) return;
  const leader = draft.ownLeader();
  leader.silence = silence;
  if (flagged) leader.peers = role.peers.map(unheard);
}

export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = peerOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.session !== peer.session) return;
  const { match } = message;
  if (match > draft.state.log.last) throw new InvariantViolation('an acknowledgement covers what was sent', { match });
  noteHeard(draft, peer);
  const now = peerOf(draft, from) as Peer;
  if (match > now.match || (now.probing && match === now.next - 1)) {
    draft.setPeer(acknowledged(now, match));
    if (match > now.match) tryCommit(draft);
  }
  sendTo(draft, from);
}

function acknowledged(peer: Peer, match: Index): Peer {
  let done = 0;
  let bytes = peer.inflightBytes;
  while (done < peer.inflight.length && (peer.inflight[done] as { last: Index }).last <= match) {
    bytes -= (peer.inflight[done] as { bytes: number }).bytes;
    done++;
  }
  return {
    id: peer.id,
    session: peer.session,
    match: Math.max(peer.match, match),
    next: Math.max(peer.next, match + 1),
    probing: false,
    asked: false,
    inflight: done === 0 ? peer.inflight : peer.inflight.slice(done),
    inflightBytes: bytes,
    progressed: true,
    heard: peer.heard,
    round: peer.round,
    loading: peer.loading,
  };
}

/** The logs disagree: go back by the hint, a round trip for each term at most. */
export function onAppendRejected(draft: RaftDraft, from: ReplicaId, message: AppendRejected): void {
  const peer = peerOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.session !== peer.session) return;
  noteHeard(draft, peer);
  const now = peerOf(draft, from) as Peer;
  const expected = now.probing ? message.prevIndex === now.next - 1 : message.prevIndex < now.next;
  if (!expected || message.prevIndex <= now.match) return; // stale
  const { log } = draft.state;
  const hint = lastIndexWithTermAtMost(log, message.hintTerm, Math.min(message.hintIndex, message.prevIndex - 1));
  const next = Math.max(now.match, hint) + 1;
  draft.changePeer(now, { next, probing: true, asked: false, inflight: [], inflightBytes: 0, loading: 0 });
  sendTo(draft, from);
}

/** What a majority holds durably, of our own term, is committed, and all before it (§5.4.2, Figure 8). */
export function tryCommit(draft: RaftDraft): void {
  const { role, log, term, commit } = draft.state;
  if (role.kind !== 'leader') return;
  const reached: Index[] = [draft.durable];
  for (let i = 0; i < role.peers.length; i++) reached.push((role.peers[i] as Peer).match);
  const index = majorityReached(reached);
  if (index <= commit || termAt(log, index) !== term) return;
  draft.commitTo(index);
  forget(draft, index);
  tryRound(draft);
}

/** What is committed no longer counts as uncommitted; who forwarded it is told at once, unless an append is due. */
function forget(draft: RaftDraft, index: Index): void {
  const role = leading(draft);
  const { uncommitted, forwarded } = role;
  if (uncommitted.length === 0 && forwarded.length === 0) return;
  let done = 0;
  let bytes = role.uncommittedBytes;
  while (done < uncommitted.length && (uncommitted[done] as { through: Index }).through <= index) {
    bytes -= (uncommitted[done] as { bytes: number }).bytes;
    done++;
  }
  const left = forwarded.length === 0 ? forwarded : forwarded.filter((each) => each.through > index);
  const leader = draft.ownLeader();
  leader.uncommitted = uncommitted.slice(done);
  leader.uncommittedBytes = bytes;
  leader.forwarded = left;
  if (left === forwarded) return;
  for (const peer of role.peers) {
    const due = forwarded.some((each) => each.peer === peer.id && each.through <= index);
    if (!due) continue;
    sendTo(draft, peer.id);
    if (!draft.wasTold(peer.id)) sendEmpty(draft, peerOf(draft, peer.id) as Peer);
  }
}
