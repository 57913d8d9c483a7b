/**
 * What a leader sends (§5.3). It probes a follower with one append at a time until it knows where the logs agree, and
 * then streams entries in a window of messages and bytes. Appends that are under way at one time keep one lane, or they
 * would overtake each other and be refused; a large entry waits until nothing is under way by `control`.
 *
 * What is under way is never taken for lost for the time that it takes: large entries may wait for long behind others,
 * in queues of which this core knows nothing. When nothing was acknowledged for as long as an answer may take, the
 * leader asks: an append without entries goes the same way, at the place behind all that is under way. A follower that
 * has all of it accepts; one that lacks some refuses, and is sent that again.
 */

import { tellLogBegins } from '../core/compaction.js';
import { noteOwnCommit } from '../core/freshness.js';
import { askForGrants } from '../core/lease-reads.js';
import { watchClock } from '../core/log-time.js';
import { agreeing, slice, termAt } from '../core/log.js';
import { leastPatience } from '../core/tuning.js';
import { bytesOf, entryBytes } from '../core/entries.js';
import type { Entry, Index, Lane, Term } from '../core/protocol.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { NoticeRules } from '../core/notices.js';
import type { RaftDraft } from './draft.js';
import type { AppendEntries } from './messages.js';
import { copyProgress, type RaftInflight, type RaftProgress, type RaftState } from './state.js';

const NOTHING: readonly Entry[] = [];

/** The leader's progress record of that follower, if this replica leads. */
export function progressOf(draft: RaftDraft, id: ReplicaId): RaftProgress | undefined {
  const { role } = draft.state;
  return role.kind === 'leader' ? role.peers.find((peer) => peer.id === id) : undefined;
}

function sendAppend(draft: RaftDraft, peer: RaftProgress, prev: Index, entries: readonly Entry[], lane: Lane): void {
  const { term, log, commit } = draft.state;
  const prevTerm = termAt(log, prev) as Term;
  const { readRound } = draft.leaderRole.reads;
  const message: AppendEntries = {
    kind: 'appendEntries',
    term,
    viewId: peer.viewId,
    prevIndex: prev,
    prevTerm,
    entries,
    commit,
    readRound,
  };
  draft.sendAppend(peer, message, lane);
}

/** Sends as many entries as the peer's window has room for. */
export function sendTo(draft: RaftDraft, id: ReplicaId): void {
  for (;;) {
    const peer = progressOf(draft, id);
    if (peer === undefined || !hasRoom(draft.state, peer)) return;
    const { log, options } = draft.state;
    if (peer.next < log.first) return probeAtBase(draft, peer);
    const entries = slice(log, peer.next, log.last, options.limits.messageBytes);
    if (entries === undefined) {
      const loading = draft.load(peer.next, log.last, options.limits.messageBytes);
      draft.changeProgress(peer, { loading, asked: peer.probing });
      return;
    }
    if (entries.length === 0 && !peer.probing) return;
    const lane = laneFor(draft.state, peer, entries, 'control');
    if (lane === null) return;
    sendEntries(draft, peer, entries, lane);
  }
}

function hasRoom(state: RaftState, peer: RaftProgress): boolean {
  const { inflightMessages, inflightBytes } = state.options.limits;
  if (peer.loading !== 0) return false;
  if (peer.probing) return !peer.asked;
  return peer.next <= state.log.last && peer.inflight.length < inflightMessages && peer.inflightBytes < inflightBytes;
}

/** Whether entries are under way. */
export function isStreaming(peer: RaftProgress): boolean {
  return peer.inflight.length > 0;
}

/**
 * The lane of these entries: that of what is under way, or was when it was refused, or else `bulk` for a large entry.
 * `null`: a large one waits, or the heartbeats would wait for it.
 */
function laneFor({ options }: RaftState, peer: RaftProgress, entries: readonly Entry[], free: Lane): Lane | null {
  const isLarge = entries.length === 1 && entryBytes(entries[0] as Entry) > options.limits.messageBytes;
  if (!isStreaming(peer)) return isLarge || (peer.probing && peer.lane === 'bulk') ? 'bulk' : free;
  return isLarge && peer.lane === 'control' ? null : peer.lane;
}

function sendEntries(draft: RaftDraft, peer: RaftProgress, entries: readonly Entry[], lane: Lane): void {
  sendAppend(draft, peer, peer.next - 1, entries, lane);
  const after = copyProgress(peer);
  after.loading = 0;
  after.asked = peer.probing;
  if (entries.length === 0) return draft.setProgress(after);
  const bytes = bytesOf(entries);
  const last = peer.next + entries.length - 1;
  if (!peer.probing) after.next = last + 1;
  after.inflight = [...peer.inflight, { last, bytes }];
  after.inflightBytes += bytes;
  if (!isStreaming(peer)) {
    after.lane = lane;
    after.progressedAt = draft.now;
    after.questioned = false;
  }
  draft.setProgress(after);
}

/** Sends new entries to all followers. */
export function broadcast(draft: RaftDraft): void {
  const { others } = draft.state.options;
  for (let i = 0; i < others.length; i++) sendTo(draft, (others[i] as Member).id);
}

/**
 * Sends an append without entries, at once: a heartbeat, with the commit index and the newest read round. To a follower
 * that is probed it is a probe, too.
 */
export function sendEmpty(draft: RaftDraft, peer: RaftProgress): void {
  const place = peer.probing ? peer.next - 1 : peer.match;
  sendAppend(draft, peer, Math.max(place, draft.state.log.first - 1), NOTHING, 'control');
}

/**
 * What a follower needs next was trimmed: it is told so, and is probed by heartbeats at the base of the log, until a
 * snapshot or what was under way to it has brought it that far.
 */
function probeAtBase(draft: RaftDraft, peer: RaftProgress): void {
  tellLogBegins(draft, peer.id, 0);
  draft.setProgress(Object.assign(probed(peer, draft.state), { next: draft.state.log.first, loading: 0 }));
}

/** The log was trimmed: followers that are not known to hold what is gone are probed behind it. */
export function probeBehindBase(draft: RaftDraft): void {
  const { role, log } = draft.state;
  if (role.kind !== 'leader') return;
  for (const peer of role.peers) {
    const isBehind = peer.next < log.first || (!peer.probing && peer.match < log.first - 1);
    if (isBehind) probeAtBase(draft, peer);
  }
}

/** Asks by the lane of what is under way whether the follower has all of it. */
function ask(draft: RaftDraft, peer: RaftProgress): void {
  const { last } = peer.inflight[peer.inflight.length - 1] as RaftInflight;
  sendAppend(draft, peer, last, NOTHING, peer.lane);
  draft.changeProgress(peer, { progressedAt: draft.now, questioned: true });
}

/** Sends heartbeats; a follower that acknowledged nothing for too long is asked whether it has what is under way. */
export function heartbeat(draft: RaftDraft): void {
  askForGrants(draft);
  noteOwnCommit(draft);
  watchClock(draft);
  const { timing } = draft.state.options;
  for (const peer of draft.leaderRole.peers) {
    sendEmpty(draft, peer);
    const isSilent = isStreaming(peer) && draft.now >= peer.progressedAt + leastPatience(timing);
    if (isSilent) ask(draft, peer);
  }
  draft.editLeader().heartbeatAt = draft.now + timing.heartbeat;
}

/** Back to one append at a time, from matchIndex on, or from where the log begins; the heartbeats probe. */
function probed(peer: RaftProgress, { log }: RaftState): RaftProgress {
  const next = peer.probing ? peer.next : Math.max(peer.match + 1, log.first);
  const nothing = { inflight: [], inflightBytes: 0, lane: 'control' as const, questioned: false };
  return Object.assign(copyProgress(peer), { next, probing: true, asked: true, ...nothing });
}

/** The transport lost a connection with a follower: what is under way to it counts as lost. */
export function onDisconnected(draft: RaftDraft, id: ReplicaId): void {
  const peer = progressOf(draft, id);
  if (peer !== undefined && (!peer.probing || isStreaming(peer))) draft.setProgress(probed(peer, draft.state));
}

/** Sends the entries that were loaded for a follower that lags behind. */
export function onPeerLoaded(draft: RaftDraft, id: number, entries: readonly Entry[]): void {
  const { role, log } = draft.state;
  const peer = role.kind === 'leader' ? role.peers.find((each) => each.loading === id) : undefined;
  if (peer === undefined) return;
  const usable = agreeing(log, entries, peer.next, log.last);
  draft.changeProgress(peer, { loading: 0, asked: false });
  if (usable.length === 0) return peer.next < log.first ? sendTo(draft, peer.id) : undefined;
  const known = progressOf(draft, peer.id) as RaftProgress;
  const lane = laneFor(draft.state, known, usable, 'bulk');
  if (lane === null) return; // it is loaded again
  sendEntries(draft, known, usable, lane);
  sendTo(draft, peer.id);
}

/** How Raft's leader tells of commits: by a message of its own, at a place that the follower has acknowledged. */
export const noticeRules: NoticeRules<RaftDraft> = {
  held: (draft, at) => (draft.leaderRole.peers[at] as RaftProgress).match,
  isBusy(draft, at) {
    const peer = draft.leaderRole.peers[at] as RaftProgress;
    return isStreaming(peer) || (peer.probing && peer.asked);
  },
  tell(draft, peer, commit) {
    const { term, hardSeq } = draft.state;
    draft.send(peer, { kind: 'commit', term, commit }, hardSeq, 'control');
  },
};
