/**
 * The acceptor ("Paxos Made Simple", §2.2): the only file that promises and votes. An acceptor promises and votes by
 * the ballot alone, and its answer leaves once that is durable.
 */

import { deferCampaign, resetElectionTimer, restartElectionTimer } from '../core/election-timer.js';
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

/** Phase 1b. `step` has refused what is below the promise. */
export function onPrepare(draft: PaxosDraft, from: ReplicaId, m: Prepare): void {
  if (m.ballot > draft.state.promised) {
    draft.promise(m.ballot); // paxos/promise-binds
    follow(draft, null, 0);
    restartElectionTimer(draft);
    deferCampaign(draft);
  }
  const { window, options } = draft.state;
  const commit = commitOf(draft.state);
  // paxos/promise-reports-votes
  const [votes, next] = page(window, Math.max(m.from, commit + 1), options.limits.messageBytes);
  // The message leaves once the promise is durable; every earlier vote is durable then, since persists are in order.
  const after = draft.state.hardSeq;
  draft.send(from, { kind: 'promise', ballot: m.ballot, from: m.from, commit, next, votes }, after, 'control');
}

/** A message of the leader of `ballot` came: promises the ballot, follows the leader, resets the election timer. */
export function hearLeader(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot): void {
  if (ballot > draft.state.promised) draft.promise(ballot);
  follow(draft, leader, ballot);
  resetElectionTimer(draft);
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
    advanceToLeaderCommit(draft); // the leader's commit index may cover these already
  }
  const commit = commitOf(draft.state);
  draft.send(from, { kind: 'accepted', ballot: m.ballot, from: first, to: last, commit }, after, 'control');
}
