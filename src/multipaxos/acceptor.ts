/**
 * The acceptor: the only writer of `promised` and of votes. It promises and votes by the ballot alone, whoever asks,
 * and answers when that is durable. It does not know what is proposed by whom, or why.
 */

import { resetElectionTimer } from '../core/election-timer.js';
import type { Entry, Index, PersistSeq } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { Ballot } from './ballot.js';
import type { PaxosDraft } from './draft.js';
import { checkOneValue, checkProposal } from './invariants.js';
import { learnCommit, advanceToLeaderCommit } from './learner.js';
import type { Accept, Prepare } from './messages.js';
import { follow } from './roles.js';
import { commitOf } from './state.js';
import { lastVote, page, voteAt } from './window.js';

/** Refuses a ballot below the promise, with the promise: evidence at first hand. */
export function nack(draft: PaxosDraft, to: ReplicaId, ballot: Ballot): void {
  const { promised } = draft.state;
  // It may rest on a promise that is not durable: the worst that a lost one does is an election.
  draft.send(to, { kind: 'nack', ballot, promised, commit: commitOf(draft.state) }, 0, 'control');
}

/** The own promise of a candidate: an acceptor's like any other, durable, by the same rule: paxos/own-acceptor. */
export function promiseOwn(draft: PaxosDraft, ballot: Ballot): void {
  draft.promise(ballot);
}

/** The own vote of a leader, by the same rule and on the same disk as any other. */
export function voteOwn(draft: PaxosDraft, entries: readonly Entry[]): void {
  draft.vote(entries);
}

/** Phase 1b. `step` has refused what is below the promise. */
export function onPrepare(draft: PaxosDraft, from: ReplicaId, m: Prepare): void {
  if (m.ballot > draft.state.promised) {
    draft.promise(m.ballot); // paxos/promise-binds
    follow(draft, null, 0);
    resetElectionTimer(draft);
  }
  const { window, options } = draft.state;
  const commit = commitOf(draft.state);
  // paxos/promise-reports-votes
  const [votes, next] = page(window, Math.max(m.from, commit + 1), options.limits.messageBytes);
  // Before this leaves, the promise is on disk, and so is every vote before it, since the lane is in order.
  const after = draft.state.hardSeq;
  draft.send(from, { kind: 'promise', ballot: m.ballot, from: m.from, commit, next, votes }, after, 'control');
}

/** A leader is heard in its ballot, which is promised from now on. */
export function hearLeader(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot): void {
  if (ballot > draft.state.promised) draft.promise(ballot);
  follow(draft, leader, ballot);
  resetElectionTimer(draft);
}

/** Votes for what is not voted for in this ballot yet. */
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

/** What of a proposal lies above W, and not so far above that it could not be proposed with our W. */
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
  learnCommit(draft, from, m.ballot, m.commit);
  const entries = votable(draft, m.entries);
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
    advanceToLeaderCommit(draft); // the leader may have said before that these are chosen
  }
  const commit = commitOf(draft.state);
  draft.send(from, { kind: 'accepted', ballot: m.ballot, from: first, to: last, commit }, after, 'control');
}
