/**
 * Phase 1 ("Paxos Made Simple", §2.2 and §3): a candidate asks all acceptors for a promise and for their votes, with
 * one Prepare for all slots above its commit index, which is answered in pages. With complete promises of a majority it
 * leads, and must propose in each slot the reported value of the highest ballot.
 */

import { assert } from '../core/assert.js';
import { startCampaignTimer, startQuorumTimer } from '../core/election-timer.js';
import { endForLeaderChange } from '../core/ending.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, HardState, Index } from '../core/protocol.js';
import { majority } from '../core/quorum.js';
import { noReads } from '../core/reads.js';
import { placeOf } from '../core/state.js';
import { promiseOwn } from './acceptor.js';
import { ballotOf, MAX_ROUND, roundOf, type Ballot } from './ballot.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { heartbeat } from './heartbeat.js';
import { checkOneValue } from './invariants.js';
import type { PromisePage } from './messages.js';
import { newProgress } from './progress.js';
import { commitOf, type PaxosCandidate, type PaxosState, type PromiseProgress } from './state.js';
import { page } from './window.js';

/** Sends Prepare to one acceptor, for the next page of its promise. */
function prepare(draft: PaxosDraft, at: number): void {
  const { role, options, hardSeq } = draft.state;
  const { ballot, promises } = role as PaxosCandidate;
  const { from } = promises[at] as PromiseProgress;
  const { id } = options.others[at] as Member;
  draft.send(id, { kind: 'prepare', ballot, from }, hardSeq, 'control'); // after its own promise is durable
}

/** Phase 1a: takes a ballot above all that it knows, promises it as an acceptor, and sends Prepare to all others. */
export function campaign(draft: PaxosDraft): void {
  const { options, promised, highestBallotSeen } = draft.state;
  const round = Math.max(roundOf(promised), roundOf(highestBallotSeen)) + 1;
  startCampaignTimer(draft);
  if (round > MAX_ROUND) return;
  endForLeaderChange(draft, null);
  const ballot = ballotOf(round, options.number);
  promiseOwn(draft, ballot); // paxos/own-acceptor
  const from = commitOf(draft.state) + 1;
  const promises = options.others.map(() => ({ from, complete: false, commit: 0, votes: [] }));
  draft.setRole({ kind: 'candidate', ballot, promises, resendAt: draft.now + options.timing.heartbeat });
  for (let at = 0; at < promises.length; at++) prepare(draft, at);
}

/** A page of a promise. It counts only in the candidate's ballot, and only if it is the page waited for. */
export function onPromise(draft: PaxosDraft, from: ReplicaId, m: PromisePage): void {
  const { role } = draft.state;
  if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;
  const at = placeOf(draft.state.options, from);
  const known = role.promises[at] as PromiseProgress;
  if (known.complete || known.from !== m.from || !isPage(m)) return;
  const promise: PromiseProgress = {
    from: m.next === 0 ? known.from : m.next, // above the acceptor's commit index, as `isPage` ensures
    complete: m.next === 0, // only now the promise covers every slot
    commit: Math.max(known.commit, m.commit),
    votes: [...known.votes, ...m.votes],
  };
  const promises = role.promises.slice();
  promises[at] = promise;
  draft.setRole({ ...role, promises });
  if (!promise.complete) prepare(draft, at);
}

/** Whether the page is well formed: its votes are in the range asked for, above its commit index, in lower ballots. */
function isPage({ ballot, from, commit, next, votes }: PromisePage): boolean {
  const first = votes[0];
  const last = votes[votes.length - 1];
  if (next !== 0 && (last === undefined || next <= last.index)) return false;
  if (first !== undefined && first.index < Math.max(from, commit + 1)) return false;
  return votes.every((vote) => vote.term < ballot);
}

/** Sends Prepare again to the acceptors whose promise is not complete. */
export function resendPrepares(draft: PaxosDraft): void {
  const role = draft.state.role as PaxosCandidate;
  draft.setRole({ ...role, resendAt: draft.now + draft.state.options.timing.heartbeat });
  role.promises.forEach(({ complete }, at) => {
    if (!complete) prepare(draft, at);
  });
}

/** The vote of the highest ballot in each slot above `committedAtElection`, ascending: paxos/highest-ballot-value. */
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
  // paxos/propose-above-reported-commit
  const noopIndex = (toRepropose[toRepropose.length - 1]?.index ?? committedAtElection) + 1;
  lead(draft, ballot, committedAtElection, noopIndex, toRepropose);
  promises.forEach((promise, at) => {
    if (promise.complete && promise.commit === committedAtElection)
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
    forwarders: [],
  });
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
