/**
 * Canonical digests of Raft's states and messages: all that influences later behaviour, and nothing else.
 * Left out, because nothing later depends on them:
 * - `options`: they never change during a start, and how a replica differs from the others is its name;
 * - `now`: deadlines are given relative to the clock, and a clock never falls;
 * - `seed`: a scope that is searched runs with timeouts without spread, where every draw is the same;
 * - `lastNumber`, and `persistSeq` once it is durable: they only give fresh numbers, greater than all that are in use;
 * - `durableSeq`: the numbers compared with it are digested as 0 once they are durable;
 * - of a forward that the leader accepted, what the wait for its answer needed; of a peer to which nothing is under
 *   way, since when and in which lane: the next append sets both; of an entry that a peer forwarded, its index, once
 *   the peer was told of its commit;
 * - `standing`: the log has the ids, and what stands where follows from it;
 * - sums (`bytes`, `inflightBytes`, `uncommittedBytes`, `unappliedBytes`): their summands are digested.
 */

import {
  digestAttempts,
  digestDeadline,
  digestDelivery,
  digestElection,
  digestElectionTimer,
  digestForwardedReads,
  digestForwarding,
  digestLeaderReads,
  digestLog,
  digestLogTime,
  digestSnapshot,
  digestNumber,
  digestTold,
  digestGrants,
  digestTransfer,
  digestWaiting,
  scribeOf,
  type DigestScribe,
} from '../../core/digest-parts.js';
import { itemsOf } from '../../core/book.js';
import type { ElectionTimer } from '../../core/election-timer.js';
import type { Member, ReplicaId } from '../../core/members.js';
import { digestEntry, digestUnordered, type Digest } from '../../core/model.js';
import type { Milliseconds, PersistSeq } from '../../core/protocol.js';
import type { ReadQueue } from '../../core/reads.js';
import type { RaftMessage } from '../messages.js';
import type { RaftLeader, RaftProgress, RaftState } from '../state.js';

/** The number of a persist; 0 once it is durable. */
function persist(s: DigestScribe, seq: PersistSeq, durable: PersistSeq): void {
  digestNumber(s.digest, 'persist', s.me, seq <= durable ? 0 : seq);
}

/**
 * @param since when the quorum timer was last reset, relative to now: the time of an answer counts only if it is later,
 * since it does nothing but reset that timer
 */
function digestProgress(s: DigestScribe, peer: RaftProgress, since: Milliseconds): void {
  const { digest, me } = s;
  digest.id(peer.id);
  digestNumber(digest, 'viewId', me, peer.viewId);
  digest.value(peer.match);
  digest.value(peer.next);
  digest.value(peer.probing);
  digest.value(peer.asked);
  digest.value(peer.inflight.length);
  for (const { last, bytes } of peer.inflight) {
    digest.value(last);
    digest.value(bytes);
  }
  if (peer.inflight.length > 0 || peer.probing) digest.text(peer.lane);
  if (peer.inflight.length > 0) {
    digest.value(peer.questioned);
    digestDeadline(s, peer.progressedAt);
  }
  digest.value(Math.max(peer.answeredAt - s.now, since));
  digestNumber(digest, 'round', me, peer.readRound);
  digestNumber(digest, 'load', me, peer.loading);
}

function digestQueue(s: DigestScribe, { readRound, waiting, begun }: ReadQueue): void {
  const { digest, me } = s;
  digestNumber(digest, 'round', me, readRound);
  digestLeaderReads(s, waiting);
  digest.value(begun !== null);
  if (begun === null) return;
  digestNumber(digest, 'round', me, begun.readRound);
  digest.value(begun.index);
  digestLeaderReads(s, begun.reads);
}

function digestLeader(s: DigestScribe, role: RaftLeader, { deadline, timeout }: ElectionTimer): void {
  const { digest } = s;
  const since = Math.max(deadline - s.now, s.late) - timeout;
  digestUnordered(digest, role.peers, (peer) => {
    digestProgress(s, peer, since);
    digestTold(digest, role, role.peers.indexOf(peer));
  });
  digest.value(role.noopIndex);
  digestDeadline(s, role.heartbeatAt);
  digestGrants(s, role.grants);
  digestTransfer(s, role.transfer);
  digestQueue(s, role.reads);
  const uncommitted = itemsOf(role.uncommitted);
  digest.value(uncommitted.length);
  for (const { key, bytes } of uncommitted) {
    digest.value(key);
    digest.value(bytes);
  }
}

function digestRole(s: DigestScribe, { role, options, electionTimer }: RaftState): void {
  const { digest } = s;
  digest.text(role.kind);
  if (role.kind === 'leader') return digestLeader(s, role, electionTimer);
  if (role.kind === 'follower') {
    digest.id(role.leader);
    digest.value(role.matched);
    return digestNumber(digest, 'round', role.leader ?? options.id, role.readRound);
  }
  // A set: in which order the votes came plays no part.
  digest.value(role.votes.includes(options.id));
  digestUnordered(digest, options.others, ({ id }: Member) => {
    digest.id(id);
    digest.value(role.votes.includes(id));
  });
}

/** @see Model.digestState */
export function digestState(state: RaftState, now: Milliseconds, digest: Digest): void {
  const { options, durableSeq } = state;
  const s = scribeOf(digest, options, now);
  digest.value(state.term);
  digest.id(state.vote);
  digestLog(state.log, options.limits, digest);
  persist(s, state.hardSeq, durableSeq);
  digest.value(state.unsynced.length);
  for (const { from, to, persistSeq } of state.unsynced) {
    digest.value(from);
    digest.value(to);
    persist(s, persistSeq, durableSeq);
  }
  digestWaiting(s, state);
  digestLogTime(s, state);
  digestSnapshot(s, state);
  digest.value(state.commit);
  digestRole(s, state);
  digestElectionTimer(s, state);
  digestAttempts(s, state);
  digestForwardedReads(s, state.reads);
  digest.value(state.patience);
  digestDelivery(s, state.delivery);
  digest.text(state.fault ?? '');
  digest.value(state.stopped);
}

/** @see Model.digestMessage */
export function digestMessage(message: RaftMessage, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  digest.text(message.kind);
  digest.value(message.term);
  switch (message.kind) {
    case 'requestVote':
      digest.value(message.lastIndex);
      digest.value(message.lastTerm);
      return digest.value(message.handover);
    case 'requestVoteReply':
      digest.value(message.granted);
      return digest.value(message.wall);
    case 'appendEntries':
      digestNumber(digest, 'viewId', from, message.viewId);
      digest.value(message.prevIndex);
      digest.value(message.prevTerm);
      digest.value(message.entries.length);
      for (const entry of message.entries) digestEntry(entry, digest);
      digest.value(message.commit);
      return digestNumber(digest, 'round', from, message.readRound);
    case 'appendAccepted':
      digestNumber(digest, 'viewId', to, message.viewId);
      digest.value(message.match);
      return digest.value(message.wall);
    case 'appendRejected':
      digestNumber(digest, 'viewId', to, message.viewId);
      digest.value(message.prevIndex);
      digest.value(message.hintIndex);
      return digest.value(message.hintTerm);
    case 'roundConfirmed':
      digestNumber(digest, 'viewId', to, message.viewId);
      return digestNumber(digest, 'round', to, message.readRound);
    case 'commit':
      return digest.value(message.commit);
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      return digestElection(message, from, to, digest);
    default:
      return digestForwarding(message, from, to, digest);
  }
}
