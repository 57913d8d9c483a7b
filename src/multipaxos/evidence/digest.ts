/**
 * What of a state, and of a message, decides what happens from here on: for searches that must not go twice through
 * the same. Whatever is left out says why. Deadlines count from `now`, and numbers that only name something are
 * references, so that the same situation at another time, or after another history, is the same.
 */

import type { Delivery } from '../../core/delivery.js';
import type { UnsyncedRun } from '../../core/unsynced.js';
import type { Log } from '../../core/log.js';
import { digestEntry, type Digest } from '../../core/model.js';
import type { Entry, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { ForwardedRead, LeaderRead, ReadQueue } from '../../core/reads.js';
import type { Attempt } from '../../core/attempts.js';
import type { ElectionTimer } from '../../core/election-timer.js';
import { roundOf, type Ballot } from '../ballot.js';
import type { PaxosProgress } from '../progress.js';
import type { CatchingUp, PaxosLeader, PaxosState, PaxosCandidate, PromiseProgress, Serving } from '../state.js';
import type { VoteWindow } from '../window.js';

/** One state being taken in: where it goes, whose it is, and what its times count from. */
interface DigestScribe {
  readonly digest: Digest;
  readonly me: ReplicaId;
  readonly now: Milliseconds;
  /** Later than this, all deadlines are alike: `checkElectionTimer` asks only whether a tick is late by more. */
  readonly late: Milliseconds;
}

/** A number that names something; 0 for nothing. */
export function digestNumber(digest: Digest, kind: string, owner: ReplicaId, number: number): void {
  if (number === 0) digest.value(0);
  else digest.reference(kind, owner, number);
}

/** Rounds of reads are counted anew in each leadership; 0, the one before the first, is a round like any other. */
export function digestReadRound(digest: Digest, leader: ReplicaId, ballot: Ballot, readRound: number): void {
  digest.reference(`round of ${ballot}`, leader, readRound);
}

export function digestEntries(digest: Digest, entries: readonly Entry[]): void {
  digest.value(entries.length);
  for (let i = 0; i < entries.length; i++) digestEntry(entries[i] as Entry, digest);
}

function list<T>(s: DigestScribe, items: readonly T[], each: (s: DigestScribe, item: T) => void): void {
  s.digest.value(items.length);
  for (let i = 0; i < items.length; i++) each(s, items[i] as T);
}

/** When something is due; how late it is counts only as far as somebody asks. */
function due({ digest, now, late }: DigestScribe, deadline: Milliseconds): void {
  digest.value(Math.max(deadline - now, late));
}

function digestElectionTimer(s: DigestScribe, { deadline, timeout, forgiven }: ElectionTimer): void {
  due(s, deadline);
  s.digest.value(timeout);
  s.digest.value(forgiven);
}

// The acceptor.

/** As runs, since votes become chunks of the log run by run. `bytes` follows from the entries. */
function votes({ digest }: DigestScribe, { runs }: VoteWindow): void {
  digest.value(runs.length);
  for (const run of runs) {
    digest.value(run.from);
    digest.value(run.ballot);
    digestEntries(digest, run.entries);
  }
}

function unsynced({ digest, me }: DigestScribe, { from, to, term, persistSeq }: UnsyncedRun): void {
  digest.value(from);
  digest.value(to);
  digest.value(term);
  digest.reference('persist', me, persistSeq);
}

// The learner.

/** As chunks, since `evict` lets go of whole ones. All `bytes` follow from the entries. */
function chosen({ digest }: DigestScribe, { first, last, tailFrom, runs, chunks }: Log): void {
  digest.value(first);
  digest.value(last);
  digest.value(tailFrom);
  digest.value(runs.length);
  for (const { from, term } of runs) {
    digest.value(from);
    digest.value(term);
  }
  digest.value(chunks.length);
  for (const chunk of chunks) {
    digest.value(chunk.from);
    digestEntries(digest, chunk.entries);
  }
}

function delivered({ digest, me }: DigestScribe, { delivered: handed, applied, unapplied, loading }: Delivery): void {
  digest.value(handed);
  digest.value(applied);
  digest.value(unapplied.length);
  for (const { through, bytes } of unapplied) {
    digest.value(through);
    digest.value(bytes);
  }
  digestNumber(digest, 'load', me, loading);
}

function question(s: DigestScribe, { number, peer, target, retryAt, asked }: CatchingUp): void {
  const { digest } = s;
  digest.reference('catchUp', s.me, number);
  digest.id(peer);
  digest.value(target);
  due(s, retryAt);
  digest.value(asked);
}

function serving({ digest, me }: DigestScribe, { load, peer, number, from }: Serving): void {
  digest.reference('load', me, load);
  digest.id(peer);
  digest.reference('catchUp', peer, number);
  digest.value(from);
}

// The proposer.

function promised({ digest }: DigestScribe, promise: PromiseProgress): void {
  const { from, complete } = promise;
  digest.value(complete);
  if (!complete) digest.value(from); // once complete, no page is waited for
  digest.value(promise.commit);
  digestEntries(digest, promise.votes);
}

function preparing(s: DigestScribe, { ballot, promises, resendAt }: PaxosCandidate): void {
  s.digest.value(ballot);
  list(s, promises, promised);
  due(s, resendAt);
}

/**
 * A peer of a leader, whose quorum's silence began at `since` from now: when the peer was heard counts only if that is
 * later, since all it does is to begin the silence anew. A round answered counts only if it is the one under way, since
 * later rounds are higher than any. `sentBytes` follows from `inflight`.
 */
function progress(s: DigestScribe, peer: PaxosProgress, since: Milliseconds, readRound: number): void {
  const { digest } = s;
  digest.id(peer.id);
  digest.value(peer.match);
  digest.value(peer.beyond.length);
  for (const { from, to } of peer.beyond) {
    digest.value(from);
    digest.value(to);
  }
  digest.value(peer.next);
  digest.value(peer.inflight.length);
  for (const { last, bytes } of peer.inflight) {
    digest.value(last);
    digest.value(bytes);
  }
  digest.value(peer.probing);
  digest.value(peer.waiting);
  digest.value(peer.durable);
  digest.value(readRound > 0 && peer.readRound >= readRound);
  digest.value(Math.max(peer.heardAt - s.now, since));
}

function read(s: DigestScribe, { request, peer, forward, deadline }: LeaderRead): void {
  digestNumber(s.digest, 'request', s.me, request);
  s.digest.id(peer);
  digestNumber(s.digest, 'forward', peer ?? s.me, forward);
  due(s, deadline);
}

/** The number of the newest round counts only while that one is under way: all later ones are higher. */
function readQueue(s: DigestScribe, { readRound, waiting, begun }: ReadQueue, ballot: Ballot): void {
  const { digest, me } = s;
  list(s, waiting, read);
  digest.value(begun.length);
  if (begun.length > 0) digestReadRound(digest, me, ballot, readRound);
  for (const each of begun) {
    digestReadRound(digest, me, ballot, each.readRound);
    digest.value(each.index);
    list(s, each.reads, read);
  }
}

function leading(s: DigestScribe, role: PaxosLeader): void {
  const { digest } = s;
  digest.value(role.ballot);
  digest.value(role.committedAtElection);
  digest.value(role.noopIndex);
  digest.value(role.next);
  digestEntries(digest, role.toRepropose);
  due(s, role.heartbeatAt);
  digestElectionTimer(s, role.quorumTimer);
  readQueue(s, role.reads, role.ballot);
  const { deadline, timeout } = role.quorumTimer;
  const since = Math.max(deadline - s.now, s.late) - timeout;
  const readRound = role.reads.begun[0]?.readRound ?? 0;
  for (const peer of role.peers) progress(s, peer, since, readRound);
  digest.value(role.forwarders.length);
  for (const { peer, through } of role.forwarders) {
    digest.id(peer);
    digest.value(through);
  }
}

function role(s: DigestScribe, state: PaxosState): void {
  const { role } = state;
  const { digest } = s;
  digest.text(role.kind);
  if (role.kind === 'leader') return leading(s, role); // whose own silence is drawn anew when it stops leading
  digestElectionTimer(s, state.electionTimer);
  if (role.kind === 'candidate') return preparing(s, role);
  digest.id(role.leader);
  digest.value(role.ballot);
}

// Requests.

function attempt(s: DigestScribe, { requests, ids, first, forward, deadline }: Attempt): void {
  const { digest, me } = s;
  digest.value(requests.length);
  for (const request of requests) digest.reference('request', me, request);
  for (const { session, sequence, firstIncomplete } of ids) {
    digest.value(session);
    digest.value(sequence);
    digest.value(firstIncomplete);
  }
  digest.value(first);
  digestNumber(digest, 'forward', me, forward);
  due(s, deadline);
}

function forwardedRead(s: DigestScribe, { request, forward, deadline }: ForwardedRead): void {
  s.digest.reference('request', s.me, request);
  s.digest.reference('forward', s.me, forward);
  due(s, deadline);
}

/**
 * Left out: `now`, since times count from the clock; `seed`, since scopes run with timeouts without spread; `persistSeq` and
 * `lastNumber`, which only make fresh numbers; `durableSeq`, since whatever is compared with it stands here by its own
 * number, or is known to be below; `options`, which never changes; and everything about a replica that is over.
 */
export function digestState(state: PaxosState, now: Milliseconds, digest: Digest): void {
  const { options, log } = state;
  digest.value(state.stopped);
  if (state.stopped) return;
  const clock = now > state.now ? now : state.now; // as a step sees it
  const s: DigestScribe = { digest, me: options.id, now: clock, late: -options.timing.electionMin / 2 - 1 };
  digest.value(state.promised);
  digestNumber(digest, 'persist', options.id, state.hardSeq > state.durableSeq ? state.hardSeq : 0);
  votes(s, state.window);
  list(s, state.unsynced, unsynced);
  chosen(s, log);
  // What was told of slots at or below W is known; of a lower ballot nothing is believed any more.
  digest.value(state.leaderCommitBallot);
  digest.value(Math.max(state.leaderCommit - log.last, 0));
  delivered(s, state.delivery);
  list(s, state.catchingUp === null ? [] : [state.catchingUp], question);
  list(s, state.serving, serving);
  role(s, state);
  // Only a campaign asks for it, and takes the higher round of both.
  digest.value(Math.max(roundOf(state.highestBallotSeen) - roundOf(state.promised), 0));
  list(s, state.attempts, attempt);
  list(s, state.reads, forwardedRead);
}
