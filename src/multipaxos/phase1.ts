/**
 * Phase 1 ("Paxos Made Simple", §2.2 and §3): a candidate asks all acceptors for a promise and for their votes, with
 * one Prepare for all slots above its commit index, which is answered in pages. With complete promises of a majority it
 * leads, and must propose in each slot the reported value of the highest ballot.
 *
 * It ends on any link. Several pages are under way, and the first one of an answer asks for the next answer. Pages
 * count in any order. Each one restarts the candidate's election timer, and what it goes on to send that of the
 * acceptors (acceptor.ts says for how long). What was reported is kept beyond the ballot, and named as held in the next
 * one: so every attempt begins where the last one ended. This is safe: a vote for v in ballot b shows that v was
 * proposed in b, so no other value was chosen below b; if a complete majority reports nothing from b on in that slot,
 * none was chosen from b on.
 */

import { assert } from '../core/assert.js';
import { restartElectionTimer, startCampaignTimer, startQuorumTimer } from '../core/election-timer.js';
import { endForLeaderChange } from '../core/ending.js';
import { noGrants } from '../core/lease-reads.js';
import { forgetClocks, noteClock } from '../core/log-time.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, HardState, Index, Milliseconds } from '../core/protocol.js';
import { majority } from '../core/quorum.js';
import { noReads } from '../core/reads.js';
import { placeOf } from '../core/state.js';
import { endBearing, PAGES, promiseOwn } from './acceptor.js';
import { ballotOf, MAX_ROUND, roundOf, type Ballot } from './ballot.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { heartbeat } from './heartbeat.js';
import { checkOneValue } from './invariants.js';
import type { Prepare, PromisePage } from './messages.js';
import { newProgress } from './progress.js';
import { covers, NO_END, NO_RANGES, withRange, type SlotRange } from './ranges.js';
import { commitOf, type PaxosCandidate, type PaxosState, type PromiseProgress } from './state.js';
import { overlaid, page, spansOf, voteAt, type VoteWindow } from './window.js';

/** More spans of held votes than so many are not named: a Prepare stays small. */
const MOST_HELD = 128;

/** Within so much time an acceptor answers, by the timing assumption. */
function patience({ options }: PaxosState): Milliseconds {
  return options.timing.electionMin / 2;
}

/** Sends Prepare to one acceptor, for `pages` pages of its promise from `from` on. */
function prepare(draft: PaxosDraft, at: number, from: Index, first: boolean, pages: number): void {
  const { role, options, hardSeq } = draft.state;
  const { ballot, handover, held } = role as PaxosCandidate;
  const { id } = options.others[at] as Member;
  const message: Prepare = { kind: 'prepare', ballot, from, first, pages, handover, held };
  draft.send(id, message, hardSeq, 'control'); // after its own promise is durable
}

/** The votes that this replica knows above its commit index, of each slot the one of the highest ballot. */
function knownVotes({ window, reported }: PaxosState): VoteWindow {
  return overlaid(window, reported);
}

/** The own ballot above all that this replica knows; the highest one of its own when there is none above. */
export function nextBallot({ options, promised, highestBallotSeen }: PaxosState): Ballot {
  const round = Math.max(roundOf(promised), roundOf(highestBallotSeen)) + 1;
  return ballotOf(Math.min(round, MAX_ROUND), options.number);
}

/**
 * Phase 1a: takes a ballot above all that it knows, promises it as an acceptor, and sends Prepare to all others.
 * @param handover the leader of the ballot before asked for it
 */
export function campaign(draft: PaxosDraft, handover = false): void {
  const { options, promised, highestBallotSeen } = draft.state;
  startCampaignTimer(draft);
  endBearing(draft);
  const ballot = nextBallot(draft.state);
  if (ballot <= Math.max(promised, highestBallotSeen)) return;
  endForLeaderChange(draft, null);
  promiseOwn(draft, ballot); // paxos/own-acceptor
  forgetClocks(draft);
  const from = commitOf(draft.state) + 1;
  const retryAt = draft.now + patience(draft.state);
  const promises = options.others.map(() => ({ upTo: from - 1, beyond: NO_RANGES, asked: from, commit: 0, retryAt }));
  const held = spansOf(knownVotes(draft.state), MOST_HELD);
  draft.setRole({ kind: 'candidate', ballot, handover, held, promises, progressed: false, resendAt: retryAt });
  for (let at = 0; at < promises.length; at++) prepare(draft, at, from, true, PAGES);
}

/** Whether all slots are covered: only then the promise counts. */
export function isComplete({ upTo }: PromiseProgress): boolean {
  return upTo === NO_END;
}

/** With what a page covers; the same record if it covers nothing new. What is at or below W_a needs no cover. */
function withPage(known: PromiseProgress, m: PromisePage, retryAt: Milliseconds): PromiseProgress {
  const to = m.next === 0 ? NO_END : m.next - 1;
  const commit = Math.max(known.commit, m.commit);
  const isOld = to <= known.upTo || covers(known.beyond, m.from, to);
  if (isOld && commit <= Math.max(known.commit, known.upTo)) return known;
  let upTo = Math.max(known.upTo, commit);
  let beyond = isOld ? known.beyond : withRange(known.beyond, m.from, to);
  while (beyond.length > 0 && (beyond[0] as SlotRange).from <= upTo + 1) {
    upTo = Math.max(upTo, (beyond[0] as SlotRange).to);
    beyond = beyond.slice(1);
  }
  return { upTo, beyond, asked: Math.max(known.asked, m.rest), commit, retryAt };
}

/** A page of a promise. It counts only in the candidate's ballot, once, and in any order: paxos/pages-cover-all. */
export function onPromise(draft: PaxosDraft, from: ReplicaId, m: PromisePage): void {
  const { role } = draft.state;
  if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;
  const at = placeOf(draft.state.options, from);
  const known = role.promises[at] as PromiseProgress;
  noteClock(draft, from, m.wall);
  if (isComplete(known) || !isPage(m)) return;
  const promise = withPage(known, m, draft.now + patience(draft.state));
  if (promise === known) return;
  draft.noteReported(higherVotes(draft.state, from, m.votes));
  const promises = role.promises.slice();
  promises[at] = promise;
  const resendAt = Math.min(role.resendAt, draft.now + draft.state.options.timing.heartbeat);
  draft.setRole({ ...role, promises, progressed: true, resendAt });
  restartElectionTimer(draft); // liveness/phase1-is-borne
  if (!isComplete(promise) && m.rest > known.asked) prepare(draft, at, m.rest, false, PAGES);
}

/** Whether the page is well formed: its votes lie in what it covers, above its commit index, in lower ballots. */
function isPage({ ballot, from, commit, next, rest, votes }: PromisePage): boolean {
  const first = votes[0];
  const last = votes[votes.length - 1];
  if (next !== 0 && (last === undefined || next <= last.index)) return false;
  if (rest !== 0 && (next === 0 || rest < next)) return false;
  if (first !== undefined && first.index < Math.max(from, commit + 1)) return false;
  return votes.every((vote) => vote.term < ballot);
}

/** Those votes that are of a higher ballot than what is known in their slots: paxos/highest-ballot-value. */
function higherVotes(state: PaxosState, from: ReplicaId, votes: readonly Entry[]): readonly Entry[] {
  const fresh: Entry[] = [];
  for (const vote of votes) {
    if (vote.index <= commitOf(state)) continue;
    const known = voteAt(state.reported, vote.index) ?? voteAt(state.window, vote.index);
    if (known !== undefined) checkOneValue(known, vote, from);
    if (known === undefined || known.term < vote.term) fresh.push(vote);
  }
  return fresh;
}

/** Tells the acceptors that Phase 1 goes on, and asks again for what is not covered where no page has come for long. */
export function resendPrepares(draft: PaxosDraft): void {
  const role = draft.state.role as PaxosCandidate;
  const retryAt = draft.now + patience(draft.state);
  const isLate = (promise: PromiseProgress): boolean => !isComplete(promise) && promise.retryAt <= draft.now;
  const promises = role.promises.map((each) => (isLate(each) ? { ...each, asked: each.upTo + 1, retryAt } : each));
  const resendAt = promises.reduce((due, each) => (isComplete(each) ? due : Math.min(due, each.retryAt)), retryAt);
  draft.setRole({ ...role, promises, progressed: false, resendAt });
  role.promises.forEach((promise, at) => {
    const from = isComplete(promise) ? commitOf(draft.state) + 1 : promise.upTo + 1;
    if (isLate(promise)) prepare(draft, at, from, true, PAGES);
    else if (role.progressed) prepare(draft, at, from, false, 0);
  });
}

/** Leads once its own promise is durable and makes a majority with those that are complete. */
export function tryToLead(draft: PaxosDraft): void {
  const { state } = draft;
  const { ballot, promises } = state.role as PaxosCandidate;
  if (state.hardSeq > state.durableSeq) return; // durability/own-vote-after-sync
  const complete = promises.filter(isComplete);
  if (complete.length + 1 < majority(promises.length + 1)) return;
  const committedAtElection = complete.reduce((most, { commit }) => Math.max(most, commit), commitOf(state));
  const [toRepropose] = page(knownVotes(state), committedAtElection + 1, Infinity); // paxos/highest-ballot-value
  // paxos/propose-above-reported-commit
  const noopIndex = (toRepropose[toRepropose.length - 1]?.index ?? committedAtElection) + 1;
  lead(draft, ballot, committedAtElection, noopIndex, toRepropose);
  promises.forEach((promise, at) => {
    if (isComplete(promise) && promise.commit === committedAtElection)
      noteAhead(draft, (state.options.others[at] as Member).id, committedAtElection);
  });
}

/** Becomes leader: Phase 2 begins right above `committedAtElection`. */
function lead(
  draft: PaxosDraft,
  ballot: Ballot,
  committedAtElection: Index,
  noopIndex: Index,
  toRepropose: readonly Entry[],
): void {
  const { options } = draft.state;
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
    reads: noReads,
    told: peers.map(() => 0),
    forwarded: peers.map(() => 0),
    standing: null,
    grants: noGrants(options),
    transfer: null,
    giveWayAt: Infinity,
    preferred: null,
  });
  draft.forgetReported();
  startQuorumTimer(draft);
  if (!alone) heartbeat(draft);
}

/** The promise that binds a recovered replica: never below the ballot of a vote that it cast. */
export function recoveredPromise(hard: HardState | null, votes: readonly Entry[]): Ballot {
  let promised = hard?.term ?? 0;
  for (const { term } of votes) promised = Math.max(promised, term);
  assert(Number.isSafeInteger(promised), 'paxos/ballots-are-ordered: a promise is a ballot');
  return promised;
}
