/**
 * Canonical digests of Raft's states and messages: all that influences what happens from here on, and nothing else.
 * Left out, because nothing later depends on them:
 * - `options`: they never change during a start, and how a replica differs from the others is its name;
 * - `now`: deadlines are given relative to the clock, and a clock never falls;
 * - `seed`: a scope that is searched runs with timeouts without spread, where every draw is the same;
 * - `seq`, `lastNumber`: they only yield numbers that nobody has yet, greater than all that are referred to;
 * - `durableSeq`: all that could be compared with it is given as 0 once it is durable;
 * - sums (`bytes`, `inflightBytes`, `uncommittedBytes`, `unappliedBytes`): what they sum up is there.
 */

import type { ForwardedProposal } from '../../core/forwarding.js';
import type { Log } from '../../core/log.js';
import { digestEntry, digestUnordered, type Digest } from '../../core/model.js';
import type { Entry, EntryId, Limits, Milliseconds, PersistSeq } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { LeaderRead, ReadQueue } from '../../core/reads.js';
import type { ElectionTimer } from '../../core/election-timer.js';
import type { RaftMessage } from '../messages.js';
import type { RaftLeader, RaftProgress, RaftState } from '../state.js';

/** What one state's digest needs at hand. */
interface DigestPlace {
  readonly digest: Digest;
  readonly id: ReplicaId;
  readonly now: Milliseconds;
  /** Beyond it, how late it is no longer matters. */
  readonly latest: Milliseconds;
}

function reference(digest: Digest, kind: string, owner: ReplicaId, number: number): void {
  if (number === 0) digest.value(0);
  else digest.reference(kind, owner, number);
}

/** Relative to now. Lateness counts up to where a tick takes it for a pause of ours (`checkElectionTimer`). */
function digestDeadline({ digest, now, latest }: DigestPlace, at: Milliseconds): void {
  digest.value(Math.max(at - now, -latest));
}

function digestElectionTimer(place: DigestPlace, { deadline: at, timeout, forgiven }: ElectionTimer): void {
  digestDeadline(place, at);
  place.digest.value(timeout);
  place.digest.value(forgiven);
}

function entryId(digest: Digest, { session, sequence, firstIncomplete }: EntryId): void {
  digest.value(session);
  digest.value(sequence);
  digest.value(firstIncomplete);
}

/** From this many entries or bytes of room on, no scope that can be searched fills the tail. */
const ROOMY_ENTRIES = 64;
const ROOMY_BYTES = 64 * 1024;

/**
 * Where chunks begin matters only to `evict`, which drops them whole: given only if the tail can fill up. What lies
 * below the tail is the disk's, which the host digests.
 */
function digestLog(log: Log, limits: Limits, digest: Digest): void {
  digest.value(log.first);
  digest.value(log.last);
  digest.value(log.tailFrom);
  digest.value(log.runs.length);
  for (const { from, term } of log.runs) {
    digest.value(from);
    digest.value(term);
  }
  const tight = limits.tailEntries < ROOMY_ENTRIES || limits.tailBytes < ROOMY_BYTES;
  if (tight) digest.value(log.chunks.length);
  for (const { from, entries } of log.chunks) {
    if (tight) digest.value(from);
    for (let i = 0; i < entries.length; i++) digestEntry(entries[i] as Entry, digest);
  }
}

/** A persist that is durable is as good as none. */
function persist(place: DigestPlace, seq: PersistSeq, durable: PersistSeq): void {
  reference(place.digest, 'persist', place.id, seq <= durable ? 0 : seq);
}

function digestProgress(place: DigestPlace, peer: RaftProgress): void {
  const { digest, id } = place;
  digest.id(peer.id);
  reference(digest, 'viewId', id, peer.viewId);
  digest.value(peer.match);
  digest.value(peer.next);
  digest.value(peer.probing);
  digest.value(peer.asked);
  digest.value(peer.inflight.length);
  for (const { last, bytes } of peer.inflight) {
    digest.value(last);
    digest.value(bytes);
  }
  digest.value(peer.progressed);
  digest.value(peer.heard);
  reference(digest, 'round', id, peer.readRound);
  reference(digest, 'load', id, peer.loading);
}

function leaderReads(place: DigestPlace, reads: readonly LeaderRead[]): void {
  const { digest, id } = place;
  digest.value(reads.length);
  for (const read of reads) {
    digest.id(read.peer);
    reference(digest, 'request', id, read.request);
    reference(digest, 'forward', read.peer ?? id, read.forward);
    digestDeadline(place, read.deadline);
  }
}

function digestQueue(place: DigestPlace, { readRound, waiting, begun }: ReadQueue): void {
  const { digest, id } = place;
  reference(digest, 'round', id, readRound);
  leaderReads(place, waiting);
  digest.value(begun.length);
  for (const each of begun) {
    reference(digest, 'round', id, each.readRound);
    digest.value(each.index);
    leaderReads(place, each.reads);
  }
}

function digestLeader(place: DigestPlace, role: RaftLeader): void {
  const { digest } = place;
  digestUnordered(digest, role.peers, (peer) => digestProgress(place, peer));
  digest.value(role.noopIndex);
  digestDeadline(place, role.heartbeatAt);
  digestElectionTimer(place, role.electionTimer);
  digestQueue(place, role.reads);
  digestUnordered(digest, role.forwarders, ({ peer, through }) => {
    digest.id(peer);
    digest.value(through);
  });
  digest.value(role.uncommitted.length);
  for (const { through, bytes } of role.uncommitted) {
    digest.value(through);
    digest.value(bytes);
  }
}

function digestRole(place: DigestPlace, { role, options }: RaftState): void {
  const { digest } = place;
  digest.text(role.kind);
  if (role.kind === 'leader') return digestLeader(place, role);
  digestElectionTimer(place, role.electionTimer);
  if (role.kind === 'follower') {
    digest.id(role.leader);
    digest.value(role.matched);
    return reference(digest, 'round', role.leader ?? options.id, role.readRound);
  }
  // A set: in which order the votes came plays no part.
  digest.value(role.votes.includes(options.id));
  digestUnordered(digest, options.others, (other) => {
    digest.id(other);
    digest.value(role.votes.includes(other));
  });
}

/** What is asked, passed on or handed over, and waits. */
function digestWaiting(place: DigestPlace, { attempts, reads, delivery }: RaftState): void {
  const { digest, id } = place;
  digest.value(attempts.length);
  for (const attempt of attempts) {
    digest.value(attempt.requests.length);
    for (const request of attempt.requests) reference(digest, 'request', id, request);
    for (const each of attempt.ids) entryId(digest, each);
    digest.value(attempt.first);
    reference(digest, 'forward', id, attempt.forward);
    digestDeadline(place, attempt.deadline);
  }
  digest.value(reads.length);
  for (const read of reads) {
    reference(digest, 'request', id, read.request);
    reference(digest, 'forward', id, read.forward);
    digestDeadline(place, read.deadline);
  }
  digest.value(delivery.delivered);
  digest.value(delivery.applied);
  digest.value(delivery.unapplied.length);
  for (const { through, bytes } of delivery.unapplied) {
    digest.value(through);
    digest.value(bytes);
  }
  reference(digest, 'load', id, delivery.loading);
}

/** @see Model.digestState */
export function digestState(state: RaftState, now: Milliseconds, digest: Digest): void {
  const { options, durableSeq } = state;
  const place: DigestPlace = { digest, id: options.id, now, latest: Math.floor(options.timing.electionMin / 2) + 1 };
  digest.value(state.term);
  digest.id(state.vote);
  digestLog(state.log, options.limits, digest);
  persist(place, state.hardSeq, durableSeq);
  digest.value(state.unsynced.length);
  for (const { from, to, persistSeq } of state.unsynced) {
    digest.value(from);
    digest.value(to);
    persist(place, persistSeq, durableSeq);
  }
  digest.value(state.commit);
  digestRole(place, state);
  digestWaiting(place, state);
  digest.text(state.fault ?? '');
  digest.value(state.stopped);
}

function proposals(list: readonly ForwardedProposal[], digest: Digest): void {
  digest.value(list.length);
  for (const { kind, id, data, retry } of list) {
    digest.text(kind);
    entryId(digest, id);
    digest.bytes(data);
    digest.value(retry);
  }
}

/** @see Model.digestMessage */
export function digestMessage(message: RaftMessage, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  digest.text(message.kind);
  digest.value(message.term);
  switch (message.kind) {
    case 'requestVote':
      digest.value(message.lastIndex);
      return digest.value(message.lastTerm);
    case 'requestVoteReply':
      return digest.value(message.granted);
    case 'appendEntries':
      reference(digest, 'viewId', from, message.viewId);
      digest.value(message.prevIndex);
      digest.value(message.prevTerm);
      digest.value(message.entries.length);
      for (const entry of message.entries) digestEntry(entry, digest);
      digest.value(message.commit);
      return reference(digest, 'round', from, message.readRound);
    case 'appendAccepted':
      reference(digest, 'viewId', to, message.viewId);
      return digest.value(message.match);
    case 'appendRejected':
      reference(digest, 'viewId', to, message.viewId);
      digest.value(message.prevIndex);
      digest.value(message.hintIndex);
      return digest.value(message.hintTerm);
    case 'roundConfirmed':
      reference(digest, 'viewId', to, message.viewId);
      return reference(digest, 'round', to, message.readRound);
    case 'forwardProposals':
      reference(digest, 'forward', from, message.number);
      return proposals(message.proposals, digest);
    case 'forwardRead':
      return reference(digest, 'forward', from, message.number);
    case 'proposalsRefused':
      reference(digest, 'forward', to, message.number);
      digest.text(message.reason);
      return digest.id(message.leader);
    case 'readAnswer':
      reference(digest, 'forward', to, message.number);
      digest.value(message.index ?? -1);
      return digest.value(message.commit);
  }
}
