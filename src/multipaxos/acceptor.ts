/**
 * The acceptor ("Paxos Made Simple", §2.2): the only file that promises and votes. An acceptor promises and votes by
 * the ballot alone, and its answer leaves once that is durable.
 */

import { deferCampaign, resetElectionTimer, restartElectionTimer } from '../core/election-timer.js';
import { bytesOf } from '../core/entries.js';
import { noteLeaderCommit } from '../core/freshness.js';
import { wallTime } from '../core/log-time.js';
import type { Entry, Index, Milliseconds, PersistSeq, Timing } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { leaderOf } from '../core/state.js';
import type { Ballot } from './ballot.js';
import type { PaxosDraft } from './draft.js';
import { checkOneValue, checkProposal } from './invariants.js';
import { learnCommit, advanceToLeaderCommit } from './learner.js';
import type { Accept, Prepare } from './messages.js';
import { follow } from './roles.js';
import { commitOf, isSwamped } from './state.js';
import { lastVote, pagesOf, voteAt } from './window.js';

/** How many pages are asked for at once, and sent at most. */
export const PAGES = 8;

/** Refuses a ballot below the promise, and reports the promise. */
export function nack(draft: PaxosDraft, to: ReplicaId, ballot: Ballot): void {
  const { promised } = draft.state;
  // The promise need not be durable: if it is lost, the Nack has cost an election at worst.
  draft.send(to, { kind: 'nack', ballot, promised, commit: commitOf(draft.state) }, 0, 'control');
}

/** A candidate's promise of its own ballot, as an acceptor: paxos/own-acceptor. */
export function promiseOwn(draft: PaxosDraft, ballot: Ballot): void {
  draft.promise(ballot);
}

/** A leader's votes for its own proposals, as an acceptor: paxos/own-acceptor. */
export function voteOwn(draft: PaxosDraft, entries: readonly Entry[]): void {
  draft.vote(entries);
}

/** For how long an acceptor bears the Phase 1s of others at first, in all. */
export function bearingSpan({ electionMax }: Timing): Milliseconds {
  return 4 * electionMax;
}

/** A Phase 1 of another replica has begun or makes progress: puts off the own campaign, but not for ever. */
function bear(draft: PaxosDraft): void {
  const { until, span } = draft.state.bearing;
  if (until === Infinity) draft.setBearing({ until: draft.now + span, span });
  if (draft.now < until) restartElectionTimer(draft); // liveness/phase1-is-borne
}

/** This replica campaigns: if it had borne others for as long as it may, it bears them twice as long the next time. */
export function endBearing(draft: PaxosDraft): void {
  const { until, span } = draft.state.bearing;
  const most = 64 * bearingSpan(draft.state.options.timing);
  if (draft.now >= until) draft.setBearing({ until: Infinity, span: Math.min(2 * span, most) });
}

/** Phase 1b. `step` has refused what is below the promise. */
export function onPrepare(draft: PaxosDraft, from: ReplicaId, m: Prepare): void {
  if (m.ballot > draft.state.promised) {
    draft.promise(m.ballot); // paxos/promise-binds
    follow(draft, null, 0);
    bear(draft);
    deferCampaign(draft);
  } else if (!m.first && leaderOf(draft.state) === null) bear(draft);
  if (m.pages > 0) report(draft, from, m);
}

/** Sends the pages of the promise that a Prepare asks for. */
function report(draft: PaxosDraft, to: ReplicaId, m: Prepare): void {
  const { window, options } = draft.state;
  const { messageBytes } = options.limits;
  const commit = commitOf(draft.state);
  // paxos/promise-reports-votes
  const begin = Math.max(m.from, commit + 1);
  const [pages, rest] = pagesOf(window, begin, messageBytes, m.held, Math.min(m.pages, PAGES));
  // The message leaves once the promise is durable; every earlier vote is durable then, since persists are in order.
  const after = draft.state.hardSeq;
  const wall = wallTime(draft);
  pages.forEach(({ from, next, votes }, at) => {
    const covered = at === 0 ? m.from : from;
    // The first page is the answer to the candidate; the others must not hold up what is urgent.
    const lane = at === 0 && bytesOf(votes) <= messageBytes ? 'control' : 'bulk';
    draft.send(to, { kind: 'promise', ballot: m.ballot, from: covered, commit, next, rest, votes, wall }, after, lane);
  });
}

/** A message of the leader of `ballot` came: promises the ballot, follows the leader, resets the election timer. */
export function hearLeader(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot): void {
  if (ballot > draft.state.promised) draft.promise(ballot);
  follow(draft, leader, ballot);
  resetElectionTimer(draft);
  draft.forgetReported();
  draft.setStrandings(0);
  draft.setBearing({ until: Infinity, span: bearingSpan(draft.state.options.timing) });
}

/** Votes for the slots in which there is no vote in this ballot yet. */
function castVotes(draft: PaxosDraft, from: ReplicaId, entries: readonly Entry[]): void {
  const { window, promised } = draft.state;
  if ((entries[0] as Entry).index > lastVote(window)) {
    draft.vote(entries);
    return;
  }
  let fresh: Entry[] = [];
  for (const entry of entries) {
    const vote = voteAt(window, entry.index);
    if (vote === undefined || vote.term !== promised) {
      fresh.push(entry);
      continue;
    }
    checkOneValue(vote, entry, from);
    if (fresh.length > 0) draft.vote(fresh);
    fresh = [];
  }
  if (fresh.length > 0) draft.vote(fresh);
}

/** The entries of an Accept above the commit index, and at most α above it (paxos/alpha-window). */
function votable(draft: PaxosDraft, entries: readonly Entry[]): readonly Entry[] {
  const commit = commitOf(draft.state);
  const first = (entries[0] as Entry).index;
  const last = first + entries.length - 1;
  const from = Math.max(first, commit + 1);
  const to = Math.min(last, commit + draft.state.options.alpha);
  if (from === first && to === last) return entries;
  return from > to ? [] : entries.slice(from - first, to - first + 1);
}

/** Phase 2b. `step` has refused what is below the promise. */
export function onAccept(draft: PaxosDraft, from: ReplicaId, m: Accept): void {
  hearLeader(draft, from, m.ballot);
  noteLeaderCommit(draft, m.commit);
  learnCommit(draft, from, m.ballot, m.commit);
  const entries = isSwamped(draft.state) ? [] : votable(draft, m.entries);
  let first: Index = 0;
  let last: Index = 0;
  let after: PersistSeq = 0;
  if (entries.length < m.entries.length) {
    for (const entry of m.entries) checkProposal(draft.state, entry, from);
  }
  if (entries.length > 0) {
    castVotes(draft, from, entries);
    first = (entries[0] as Entry).index;
    last = first + entries.length - 1;
    after = draft.seqFor(first, last); // durability/send-after-sync
    advanceToLeaderCommit(draft); // the leader's commit index may cover these already
  }
  const commit = commitOf(draft.state);
  draft.send(from, { kind: 'accepted', ballot: m.ballot, from: first, to: last, commit }, after, 'control');
}
