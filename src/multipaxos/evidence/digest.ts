/**
 * Canonical digests of Multi-Paxos' states: all that influences later behaviour, and nothing else. Comments say why a
 * field is left out. Deadlines are relative to `now`, and numbers that only name something are references, so that two
 * states that behave alike have one digest.
 */

import {
  digestAttempts,
  digestDeadline,
  digestDelivery,
  digestElectionTimer,
  digestEntries,
  digestForwardedReads,
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
import type { ElectionTimer } from '../../core/election-timer.js';
import type { ReplicaId } from '../../core/members.js';
import { digestUnordered, type Digest } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReadQueue } from '../../core/reads.js';
import type { UnsyncedRun } from '../../core/unsynced.js';
import { roundOf, type Ballot } from '../ballot.js';
import type { VoteSpan } from '../messages.js';
import type { PaxosProgress } from '../progress.js';
import type { QuorumRead } from '../quorum-reads.js';
import { NO_END, type SlotRange } from '../ranges.js';
import type { CatchingUp, PaxosCandidate, PaxosLeader, PaxosState, PromiseProgress, Serving } from '../state.js';
import type { VoteWindow } from '../window.js';

/** A read round, counted from 0 in each leadership. */
export function digestReadRound(digest: Digest, leader: ReplicaId, ballot: Ballot, readRound: number): void {
  digest.reference(`round of ${ballot}`, leader, readRound);
}

function list<T>(s: DigestScribe, items: readonly T[], each: (s: DigestScribe, item: T) => void): void {
  s.digest.value(items.length);
  for (let i = 0; i < items.length; i++) each(s, items[i] as T);
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

function catchUp(s: DigestScribe, c: CatchingUp): void {
  const { digest } = s;
  digest.id(c.peer);
  digest.value(c.target);
  digestDeadline(s, c.retryAt);
  digest.value(c.asked);
  digest.value(c.questions.length);
  for (const { number, from, to, bytes } of c.questions) {
    digest.reference('catchUp', s.me, number);
    digest.value(from);
    digest.value(to);
    digest.value(bytes);
  }
  digest.value(c.window);
  digest.value(c.doubt !== null);
  if (c.doubt !== null) {
    digest.reference('catchUp', s.me, c.doubt.number);
    digest.value(c.doubt.isHeard);
    digestDeadline(s, c.doubt.until);
  }
  digest.value(c.least);
  digest.value(c.ahead.length);
  for (const page of c.ahead) digestEntries(digest, page);
}

function serving({ digest, me }: DigestScribe, { load, peer, number, from, to, bytes }: Serving): void {
  digest.reference('load', me, load);
  digest.id(peer);
  digest.reference('catchUp', peer, number);
  digest.value(from);
  digest.value(to);
  digest.value(bytes);
}

function quorumRead(s: DigestScribe, { request, number, answered, index, retryAt, until }: QuorumRead): void {
  const { digest, me } = s;
  digestNumber(digest, 'request', me, request);
  digestNumber(digest, 'quorumRead', me, number);
  digest.value(answered.length);
  digestUnordered(digest, [...answered], (id) => digest.id(id));
  digest.value(index);
  digestDeadline(s, retryAt);
  digestDeadline(s, until);
}

// The proposer.

/** Once it is complete, no page is waited for. */
function promised(s: DigestScribe, { upTo, beyond, asked, commit, retryAt }: PromiseProgress): void {
  const { digest } = s;
  digest.value(upTo);
  digest.value(commit);
  if (upTo === NO_END) return;
  digest.value(asked);
  ranges(s, beyond);
  digestDeadline(s, retryAt);
}

function ranges({ digest }: DigestScribe, items: readonly SlotRange[]): void {
  digest.value(items.length);
  for (const { from, to } of items) {
    digest.value(from);
    digest.value(to);
  }
}

export function digestSpans(spans: readonly VoteSpan[], digest: Digest): void {
  digest.value(spans.length);
  for (const { from, to, ballot } of spans) {
    digest.value(from);
    digest.value(to);
    digest.value(ballot);
  }
}

function preparing(s: DigestScribe, candidate: PaxosCandidate): void {
  const { ballot, handover, held, promises, progressed, resendAt } = candidate;
  s.digest.value(ballot);
  s.digest.value(handover);
  s.digest.value(progressed);
  digestSpans(held, s.digest);
  list(s, promises, promised);
  digestDeadline(s, resendAt);
}

/**
 * A peer of a leader whose quorum timer was last reset at `since`, relative to now. The time of the peer's last answer
 * counts only if it is later, since it does nothing but reset that timer. A confirmed read round counts only if it is
 * the one under way, since later rounds are higher than any. `inflightBytes` and `overdueAt` follow from the rest, as
 * `checkState` demands. By `durable` nothing is decided: answers raise it, and status reports it.
 */
function progress(s: DigestScribe, peer: PaxosProgress, since: Milliseconds, readRound: number): void {
  const { digest } = s;
  digest.id(peer.id);
  digest.value(peer.match);
  ranges(s, peer.beyond);
  digest.value(peer.next);
  digest.value(peer.inflight.length);
  for (const { from, to, bytes, lane, sentAt, again, overtaken } of peer.inflight) {
    digest.value(from);
    digest.value(to);
    digest.value(bytes);
    digest.text(lane);
    digest.value(Math.max(sentAt - s.now, s.late));
    digest.value(again);
    digest.value(overtaken);
  }
  digest.value(peer.sentTo);
  digest.value(peer.probing);
  digest.value(peer.roundTrip);
  // A lane that carries nothing waits for nothing.
  for (const lane of ['control', 'bulk'] as const) {
    const waits = peer.inflight.some((each) => each.lane === lane);
    digest.value(waits ? Math.max(peer.waitsSince[lane] - s.now, s.late) : 0);
  }
  digest.value(readRound > 0 && peer.readRound >= readRound);
  digest.value(Math.max(peer.answeredAt - s.now, since));
}

/** The number of the newest round counts only while that one is under way: all later ones are higher. */
function readQueue(s: DigestScribe, { readRound, waiting, begun }: ReadQueue, ballot: Ballot): void {
  const { digest, me } = s;
  digestLeaderReads(s, waiting);
  digest.value(begun !== null);
  if (begun === null) return;
  digestReadRound(digest, me, ballot, readRound);
  digestReadRound(digest, me, ballot, begun.readRound);
  digest.value(begun.index);
  digestLeaderReads(s, begun.reads);
}

function leading(s: DigestScribe, role: PaxosLeader, electionTimer: ElectionTimer): void {
  const { digest } = s;
  digest.value(role.ballot);
  digest.value(role.committedAtElection);
  digest.value(role.noopIndex);
  digest.value(role.next);
  digestEntries(digest, role.toRepropose);
  digestDeadline(s, role.heartbeatAt);
  digestGrants(s, role.grants);
  digestTransfer(s, role.transfer);
  readQueue(s, role.reads, role.ballot);
  const { deadline, timeout } = electionTimer;
  const since = Math.max(deadline - s.now, s.late) - timeout;
  const readRound = role.reads.begun?.readRound ?? 0;
  for (let at = 0; at < role.peers.length; at++) {
    progress(s, role.peers[at] as PaxosProgress, since, readRound);
    digestTold(digest, role, at);
  }
}

function role(s: DigestScribe, state: PaxosState): void {
  const { role } = state;
  const { digest } = s;
  digest.text(role.kind);
  digestElectionTimer(s, state);
  if (role.kind === 'leader') return leading(s, role, state.electionTimer);
  if (role.kind === 'candidate') return preparing(s, role);
  digest.id(role.leader);
  digest.value(role.ballot);
}

/**
 * Left out: `now`, since deadlines are relative to the clock; `seed`, since scopes run with timeouts without spread;
 * `lastNumber`, and `persistSeq` once it is durable, which only give fresh numbers; `durableSeq`, since the numbers
 * compared with it are digested, or known to be below it; `options`, which never changes; and all data of a replica
 * that has stopped.
 */
export function digestState(state: PaxosState, now: Milliseconds, digest: Digest): void {
  const { options, log } = state;
  digest.value(state.stopped);
  if (state.stopped) return;
  const clock = now > state.now ? now : state.now; // as a step sees it
  const s = scribeOf(digest, options, clock);
  digest.value(state.promised);
  digestNumber(digest, 'persist', options.id, state.hardSeq > state.durableSeq ? state.hardSeq : 0);
  votes(s, state.window);
  votes(s, state.reported);
  const { until, span } = state.bearing;
  digest.value(until === Infinity ? -1 : Math.max(until - clock, 0));
  digest.value(span);
  digest.value(state.strandings);
  list(s, state.unsynced, unsynced);
  digestWaiting(s, state);
  digestLogTime(s, state);
  digestSnapshot(s, state);
  digestLog(log, state.options.limits, s.digest);
  // A leader's commit index at or below the own one has no effect any more, nor has one of a lower ballot.
  digest.value(state.leaderCommitBallot);
  digest.value(Math.max(state.leaderCommit - log.last, 0));
  digestDelivery(s, state.delivery);
  list(s, state.catchingUp === null ? [] : [state.catchingUp], catchUp);
  list(s, state.serving, serving);
  list(s, state.quorumReads, quorumRead);
  role(s, state);
  // Only a campaign asks for it, and takes the higher round of both.
  digest.value(Math.max(roundOf(state.highestBallotSeen) - roundOf(state.promised), 0));
  digestAttempts(s, state);
  digestForwardedReads(s, state.reads);
  digest.value(state.patience);
}
