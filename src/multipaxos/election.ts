/**
 * Which replica tries to lead, and when (for now by randomized timeouts alone), and Phase 1: one Prepare for the whole
 * suffix above W. What safety needs of it is marked with the rule.
 */

import { assert } from '../core/assert.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, HardState, Index, Milliseconds } from '../core/protocol.js';
import { majority, majorityReached } from '../core/quorum.js';
import { sampleBetween } from '../core/random.js';
import { noReads } from '../core/reads.js';
import { resetElectionTimer, checkElectionTimer, type ElectionTimer } from '../core/election-timer.js';
import { promiseOwn } from './acceptor.js';
import { ballotOf, MAX_ROUND, roundOf, type Ballot } from './ballot.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { checkOneValue } from './invariants.js';
import { answering, resend } from './leader.js';
import type { Heartbeat, HeartbeatReply, Nack, PromisePage } from './messages.js';
import { newProgress, resume, withAnswer, withChosen, type PaxosProgress } from './progress.js';
import { announce, follow, leave } from './roles.js';
import {
  commitOf,
  placeOf,
  type PaxosLeader,
  type PaxosState,
  type PaxosCandidate,
  type PromiseProgress,
} from './state.js';
import { page } from './window.js';

function prepare(draft: PaxosDraft, at: number): void {
  const { role, options, hardSeq } = draft.state;
  const { ballot, promises } = role as PaxosCandidate;
  const { from } = promises[at] as PromiseProgress;
  const { id } = options.others[at] as Member;
  draft.send(id, { kind: 'prepare', ballot, from }, hardSeq, 'control'); // after its own promise is durable
}

/** Takes up a ballot above all that it knows, promises it like any acceptor, and asks everyone (Phase 1a). */
export function campaign(draft: PaxosDraft): void {
  const { options, promised, highestBallotSeen } = draft.state;
  const readRound = Math.max(roundOf(promised), roundOf(highestBallotSeen)) + 1;
  draft.restartElectionTimer();
  if (readRound > MAX_ROUND) return;
  leave(draft, null);
  const ballot = ballotOf(readRound, options.number);
  promiseOwn(draft, ballot); // paxos/own-acceptor
  const from = commitOf(draft.state) + 1;
  const promises = options.others.map(() => ({ from, complete: false, commit: 0, votes: [] }));
  draft.setRole({ kind: 'candidate', ballot, promises, resendAt: draft.now + options.timing.heartbeat });
  announce(draft);
  for (let at = 0; at < promises.length; at++) prepare(draft, at);
}

/** A page of a promise. Of another ballot, or another page than the one waited for, it counts for nothing. */
export function onPromise(draft: PaxosDraft, from: ReplicaId, m: PromisePage): void {
  const { role } = draft.state;
  if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;
  const at = placeOf(draft.state, from);
  const known = role.promises[at] as PromiseProgress;
  if (known.complete || known.from !== m.from || !isPage(m)) return;
  const promise: PromiseProgress = {
    from: m.next === 0 ? known.from : m.next, // above W_a, as `isPage` sees to
    complete: m.next === 0, // only now does it say something of every slot
    commit: Math.max(known.commit, m.commit),
    votes: [...known.votes, ...m.votes],
  };
  const promises = role.promises.slice();
  promises[at] = promise;
  draft.setRole({ ...role, promises });
  if (!promise.complete) prepare(draft, at);
}

/** Whether the votes are from where they can be: above what was asked for and W_a, below the ballot promised. */
function isPage({ ballot, from, commit, next, votes }: PromisePage): boolean {
  const first = votes[0];
  const last = votes[votes.length - 1];
  if (next !== 0 && (last === undefined || next <= last.index)) return false;
  if (first !== undefined && first.index < Math.max(from, commit + 1)) return false;
  return votes.every((vote) => vote.term < ballot);
}

/** The highest-ballot vote of each slot above the floor, ascending: paxos/highest-ballot-value. */
function highestVotes(
  state: PaxosState,
  promises: readonly PromiseProgress[],
  committedAtElection: Index,
): readonly Entry[] {
  const highest = new Map<Index, Entry>();
  const take = (vote: Entry, from: ReplicaId): void => {
    if (vote.index <= committedAtElection) return;
    const known = highest.get(vote.index);
    if (known !== undefined) checkOneValue(known, vote, from);
    if (known === undefined || known.term < vote.term) highest.set(vote.index, vote);
  };
  for (const vote of page(state.window, 0, Infinity)[0]) take(vote, state.options.id);
  promises.forEach(({ complete, votes }, at) => {
    if (complete) for (const vote of votes) take(vote, (state.options.others[at] as Member).id);
  });
  return [...highest.values()].sort((a, b) => a.index - b.index);
}

/** Leads once its own promise is durable and makes a majority with those that are complete. */
export function tryToLead(draft: PaxosDraft): void {
  const { state } = draft;
  const { ballot, promises } = state.role as PaxosCandidate;
  if (state.hardSeq > state.durableSeq) return; // durability/own-vote-after-sync
  const complete = promises.filter((promise) => promise.complete);
  if (complete.length + 1 < majority(promises.length + 1)) return;
  const committedAtElection = complete.reduce((most, { commit }) => Math.max(most, commit), commitOf(state));
  const toRepropose = highestVotes(state, promises, committedAtElection);
  // paxos/propose-above-reported-commit: never below committedAtElection.
  const noopIndex = (toRepropose[toRepropose.length - 1]?.index ?? committedAtElection) + 1;
  lead(draft, ballot, committedAtElection, noopIndex, toRepropose);
  promises.forEach((promise, at) => {
    if (promise.complete && promise.commit === committedAtElection)
      noteAhead(draft, (state.options.others[at] as Member).id, committedAtElection);
  });
}

function lead(
  draft: PaxosDraft,
  ballot: Ballot,
  committedAtElection: Index,
  noopIndex: Index,
  toRepropose: readonly Entry[],
): void {
  const { options } = draft.state;
  const { electionMax } = options.timing;
  const alone = options.others.length === 0;
  const peers = options.others.map(({ id }) => newProgress(id, committedAtElection, draft.now));
  draft.setRole({
    kind: 'leader',
    ballot,
    committedAtElection,
    noopIndex,
    next: committedAtElection + 1,
    toRepropose,
    peers,
    heartbeatAt: Infinity,
    quorumTimer: { deadline: alone ? Infinity : draft.now + electionMax, timeout: electionMax, forgiven: false },
    reads: noReads,
    forwarders: [],
  });
  announce(draft);
  if (!alone) beat(draft);
}

/** A heartbeat to everyone: the leader is there, and where it stands. */
export function sendHeartbeats(draft: PaxosDraft): void {
  const { ballot, reads, peers } = draft.state.role as PaxosLeader;
  const message: Heartbeat = { kind: 'heartbeat', ballot, commit: commitOf(draft.state), readRound: reads.readRound };
  for (const { id } of peers) {
    draft.send(id, message, 0, 'control');
    draft.noteSent(id);
  }
}

function beat(draft: PaxosDraft): void {
  draft.ownLeader().heartbeatAt = draft.now + draft.state.options.timing.heartbeat;
  sendHeartbeats(draft);
  resend(draft);
}

/** A peer heard the leader's heartbeat. Gives whether it answers this leader. */
export function onHeartbeatReply(draft: PaxosDraft, from: ReplicaId, m: HeartbeatReply): boolean {
  const at = answering(draft, from, m.ballot);
  if (at < 0) return false;
  const lead = draft.state.role as PaxosLeader;
  if (m.readRound > lead.reads.readRound) return false;
  let peer = lead.peers[at] as PaxosProgress;
  const w = commitOf(draft.state);
  peer = withChosen(peer, Math.min(m.commit, w));
  if (peer.probing && peer.inflight.length === 0 && m.commit >= w) peer = resume(peer, w);
  draft.setProgress(at, withAnswer(peer, m.durable, m.readRound, draft.now));
  noteAhead(draft, from, m.commit);
  return true;
}

/** An acceptor has promised a higher ballot. Whoever that is, ours is over; a leader tries again soon, above it. */
export function onNack(draft: PaxosDraft, from: ReplicaId, m: Nack): void {
  const { role, options } = draft.state;
  if (role.kind === 'follower' || role.ballot !== m.ballot || m.promised <= role.ballot) return;
  draft.noteBallotSeen(m.promised);
  follow(draft, null, 0);
  if (role.kind === 'leader') {
    // One stray promise must not cost an election timeout; the candidate that made it may come first.
    const { heartbeat } = options.timing;
    const soon = sampleBetween(draft.state.seed, heartbeat, 2 * heartbeat);
    const { timeout } = draft.state.electionTimer;
    draft.setElectionTimer({ deadline: draft.now + Math.min(soon, timeout), timeout, forgiven: false });
  }
  noteAhead(draft, from, m.commit);
}

/** A leader's silence counts from when a majority was last heard. */
function quorumTimer(lead: PaxosLeader, now: Milliseconds): ElectionTimer {
  const times = [now];
  for (const { heardAt } of lead.peers) times.push(heardAt);
  const since = majorityReached(times);
  return since + lead.quorumTimer.timeout > lead.quorumTimer.deadline
    ? resetElectionTimer(lead.quorumTimer, since)
    : lead.quorumTimer;
}

function tickLeader(draft: PaxosDraft, due: Milliseconds): void {
  const role = draft.state.role as PaxosLeader;
  if (role.peers.length === 0) return;
  const { timing } = draft.state.options;
  const electionTimer = quorumTimer(role, draft.now);
  if (electionTimer !== role.quorumTimer) draft.ownLeader().quorumTimer = electionTimer;
  const verdict = checkElectionTimer(electionTimer, draft.state.seed, due, draft.now, timing);
  if (verdict === 'silence') return follow(draft, null, 0); // CheckQuorum
  if (verdict !== 'waiting') {
    draft.setSeed(verdict.seed);
    const timeout = timing.electionMax;
    draft.ownLeader().quorumTimer = { deadline: draft.now + timeout, timeout, forgiven: true };
  }
  if (draft.now < role.heartbeatAt) return;
  if (isStranded(draft.state, role)) return campaign(draft);
  beat(draft);
}

/**
 * Nobody that answers knows what is chosen up to the floor: whoever said so in Phase 1 is gone. A majority may still
 * have the votes, so a new Phase 1, without that one, finds them above a lower floor.
 */
function isStranded(state: PaxosState, role: PaxosLeader): boolean {
  return commitOf(state) < role.committedAtElection && state.catchingUp === null;
}

/** Whether this replica's own timer counts: a single member is never waiting for others. */
function isTimed({ options, role }: PaxosState): boolean {
  return options.others.length > 0 && role.kind !== 'leader';
}

/** Time has come for something. @param due what the host was asked to tick at */
export function tickElection(draft: PaxosDraft, due: Milliseconds): void {
  const { role, electionTimer, seed, options } = draft.state;
  if (role.kind === 'leader') return tickLeader(draft, due);
  if (!isTimed(draft.state)) return;
  const verdict = checkElectionTimer(electionTimer, seed, due, draft.now, options.timing);
  if (verdict === 'silence') return campaign(draft);
  if (verdict !== 'waiting') {
    draft.setSeed(verdict.seed);
    draft.setElectionTimer(verdict.paused);
  }
  if (role.kind !== 'candidate' || draft.now < role.resendAt) return;
  draft.setRole({ ...role, resendAt: draft.now + options.timing.heartbeat });
  role.promises.forEach(({ complete }, at) => {
    if (!complete) prepare(draft, at);
  });
}

/** When an election timer, or a leader's heartbeat, is due. */
export function electionDeadline(state: PaxosState): Milliseconds {
  const { role, electionTimer } = state;
  if (role.kind === 'leader') return Math.min(role.heartbeatAt, role.quorumTimer.deadline);
  if (!isTimed(state)) return Infinity;
  return role.kind === 'candidate' ? Math.min(electionTimer.deadline, role.resendAt) : electionTimer.deadline;
}

/** The promise that a recovered replica is bound by: never below any vote that it cast. */
export function recoveredPromise(hard: HardState | null, votes: readonly Entry[]): Ballot {
  let promised = hard?.term ?? 0;
  for (const { term } of votes) promised = Math.max(promised, term);
  assert(Number.isSafeInteger(promised), 'paxos/ballots-are-ordered: a promise is a ballot');
  return promised;
}
