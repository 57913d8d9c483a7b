/**
 * Replication: the box "AppendEntries RPC" of Figure 2, that is its receiver and the leader's handling of the answers
 * (§5.3), and the commit rule (§5.4.2). What a leader sends, and when, is in `sending.ts`.
 */

import { InvariantViolation } from '../core/assert.js';
import { itemsOf, splitAfter } from '../core/book.js';
import { noopAt } from '../core/entries.js';
import type { LogBegins } from '../core/election-messages.js';
import { noteLeaderCommit } from '../core/freshness.js';
import { noteClock, stampNow, wallTime } from '../core/log-time.js';
import { lastIndexWithTermAtMost, termAt } from '../core/log.js';
import type { Entry, Index, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majorityReached } from '../core/quorum.js';
import { resetElectionTimer } from '../core/election-timer.js';
import type { RaftDraft } from './draft.js';
import type { AppendAccepted, AppendEntries, AppendRejected, RaftCommit } from './messages.js';
import { isStreaming, progressOf, sendTo } from './sending.js';
import { copyProgress, type RaftFollower, type RaftProgress } from './state.js';

/** Appends a no-op at the start of a term; committing it commits everything before it (§5.4.2, §8). */
export function appendNoop(draft: RaftDraft): void {
  const { log, term } = draft.state;
  draft.append([noopAt(log.last + 1, term, stampNow(draft))]);
}

/** AppendEntries RPC, receiver implementation. `step` has dealt with newer terms; rule 1 refuses older ones. */
export function onAppendEntries(draft: RaftDraft, from: ReplicaId, message: AppendEntries): void {
  const { state } = draft;
  if (message.term < state.term) return reject(draft, from, { ...message, viewId: 0 });
  if (state.role.kind === 'leader') {
    throw new InvariantViolation('raft/one-leader-per-term: one leader a term', {
      term: state.term,
      leaders: [state.options.id, from],
    });
  }
  if (state.role.kind === 'follower' && state.role.leader !== null && state.role.leader !== from) {
    throw new InvariantViolation('raft/one-leader-per-term: one leader a term', {
      term: state.term,
      leaders: [state.role.leader, from],
    });
  }
  draft.hearLeader(from);
  noteLeaderCommit(draft, message.commit);
  answerReadRound(draft, from, message);
  const { prevIndex, prevTerm, entries } = message;
  const base = draft.state.log.first - 1;
  const agrees = prevIndex < base || termAt(draft.state.log, prevIndex) === prevTerm;
  if (!agrees) return reject(draft, from, message); // rule 2
  const match = prevIndex + entries.length;
  // What was trimmed is committed, so the leader has it, too: raft/trimmed-matches.
  const known = Math.max(0, base - prevIndex);
  appendNew(draft, prevIndex + known, known === 0 ? entries : entries.slice(known)); // rules 3 and 4
  draft.matchedTo(match);
  followCommit(draft, message.commit); // rule 5
  const { term, viewId } = message;
  const wall = entries.length === 0 ? wallTime(draft) : 0;
  const accepted: AppendAccepted = { kind: 'appendAccepted', term, viewId, match, wall };
  draft.send(from, accepted, draft.seqFor(1, match), 'control');
}

function answerReadRound(draft: RaftDraft, from: ReplicaId, { readRound, entries, term, viewId }: AppendEntries): void {
  const { role } = draft.state;
  if (role.kind !== 'follower' || readRound === 0 || (readRound <= role.readRound && entries.length > 0)) return;
  if (readRound > role.readRound) draft.noteReadRound(readRound);
  draft.send(from, { kind: 'roundConfirmed', term, viewId, readRound }, 0, 'control');
}

/**
 * Rules 3 and 4: drops from the first conflict on, appends what is new, keeps what agrees (raft/cut-at-conflict-only).
 */
function appendNew(draft: RaftDraft, prev: Index, entries: readonly Entry[]): void {
  const { log, commit } = draft.state;
  let known = 0;
  while (known < entries.length && termAt(log, prev + known + 1) === (entries[known] as Entry).term) known++;
  if (known === entries.length) return;
  const index = prev + known + 1;
  if (index <= log.last) {
    if (index <= commit) {
      const evidence = { index, commit, own: termAt(log, index), theirs: (entries[known] as Entry).term };
      throw new InvariantViolation('raft/committed-stays: a committed entry never conflicts', evidence);
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
    viewId: message.viewId,
    prevIndex: message.prevIndex,
    hintIndex,
    hintTerm: termAt(log, hintIndex) ?? 0,
  };
  draft.send(to, rejected, 0, 'control');
}

/** Notes that a follower answered: with a majority, the quorum timer is reset at the next tick. */
function noteAnswer(draft: RaftDraft, peer: RaftProgress): void {
  if (peer.answeredAt === draft.now) return;
  const next = copyProgress(peer);
  next.answeredAt = draft.now;
  draft.setProgress(next);
}

export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  const { match, wall } = message;
  noteClock(draft, from, wall);
  if (match > draft.state.log.last)
    throw new InvariantViolation('raft/ack-covers-what-was-sent: an acknowledgement covers what was sent', { match });
  const agrees = peer.probing && match === peer.next - 1 && !isStreaming(peer);
  if (match > peer.match || agrees) {
    draft.setProgress(withMatch(peer, match, draft.now));
    if (match > peer.match) tryCommit(draft);
  } else noteAnswer(draft, peer);
  sendTo(draft, from);
}

/**
 * The follower holds what we have, up to here. It is probed no longer, unless this answers a heartbeat that has passed
 * the probe: of what was refused before that one, more refusals may come.
 */
function withMatch(peer: RaftProgress, match: Index, now: Milliseconds): RaftProgress {
  let done = 0;
  let bytes = peer.inflightBytes;
  while (done < peer.inflight.length && (peer.inflight[done] as { last: Index }).last <= match) {
    bytes -= (peer.inflight[done] as { bytes: number }).bytes;
    done++;
  }
  const newest = peer.inflight[peer.inflight.length - 1]?.last ?? 0;
  const probing = peer.probing && match === peer.next - 1 && done < peer.inflight.length;
  return {
    id: peer.id,
    viewId: peer.viewId,
    match: Math.max(peer.match, match),
    next: probing ? peer.next : Math.max(peer.next, match + 1, newest + 1),
    probing,
    asked: probing,
    inflight: done === 0 ? peer.inflight : peer.inflight.slice(done),
    inflightBytes: bytes,
    lane: peer.lane,
    progressedAt: probing ? peer.progressedAt : now,
    questioned: probing && peer.questioned,
    answeredAt: now,
    readRound: peer.readRound,
    loading: peer.loading,
  };
}

/** The leader's commit index holds here as far as our log is known to agree with its log: raft/commit-what-matched. */
export function followCommit(draft: RaftDraft, commit: Index): void {
  draft.commitTo(Math.min(commit, (draft.state.role as RaftFollower).matched));
}

/** The leader has trimmed what this follower lacks. */
export function onLogBegins(draft: RaftDraft, from: ReplicaId, { term, first }: LogBegins): void {
  const { role, term: current, commit } = draft.state;
  if (term !== current || role.kind !== 'follower' || role.leader !== from) return;
  if (first - 1 > commit) draft.pull(first - 1);
}

/** The leader tells of a commit for which no append is due. */
export function onCommit(draft: RaftDraft, from: ReplicaId, { term, commit }: RaftCommit): void {
  const { role, term: current } = draft.state;
  if (term !== current || role.kind !== 'follower' || role.leader !== from) return;
  resetElectionTimer(draft);
  noteLeaderCommit(draft, commit);
  followCommit(draft, commit);
}

/** The logs disagree: nextIndex goes back by the hint, so that one round trip for each term is enough (§5.3). */
export function onAppendRejected(draft: RaftDraft, from: ReplicaId, message: AppendRejected): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  noteAnswer(draft, peer);
  const now = progressOf(draft, from) as RaftProgress;
  const place = now.inflight[now.inflight.length - 1]?.last; // of a question behind the probe
  const answersQuestion = now.questioned && message.prevIndex === place;
  const answersProbe = message.prevIndex === now.next - 1 || answersQuestion;
  const expected = now.probing ? answersProbe : message.prevIndex < now.next;
  if (!expected || message.prevIndex <= now.match) return; // stale
  const { log } = draft.state;
  const hint = lastIndexWithTermAtMost(log, message.hintTerm, Math.min(message.hintIndex, message.prevIndex - 1));
  const next = Math.max(now.match, hint) + 1;
  // What is under way behind it will be refused, too: what is sent now must not overtake it.
  const lane = isStreaming(now) ? now.lane : 'control';
  draft.changeProgress(now, {
    next,
    probing: true,
    asked: false,
    inflight: [],
    inflightBytes: 0,
    lane,
    loading: 0,
    questioned: false,
  });
  sendTo(draft, from);
}

/** Commits up to the last entry that a majority holds durably, if it is of the current term (§5.4.2, Figure 8). */
export function tryCommit(draft: RaftDraft): void {
  const { role, log, term, commit } = draft.state;
  if (role.kind !== 'leader') return;
  const reached: Index[] = [draft.durable];
  for (let i = 0; i < role.peers.length; i++) reached.push((role.peers[i] as RaftProgress).match);
  const index = majorityReached(reached);
  if (index <= commit || termAt(log, index) !== term) return;
  draft.commitTo(index);
  noteCommitted(draft, index);
}

/** Counts the batches up to `index` as uncommitted no longer. */
function noteCommitted(draft: RaftDraft, index: Index): void {
  const [committed, rest] = splitAfter(draft.leaderRole.uncommitted, index);
  if (committed === null) return;
  const leader = draft.editLeader();
  leader.uncommitted = rest;
  for (const { bytes } of itemsOf(committed)) leader.uncommittedBytes -= bytes;
}
