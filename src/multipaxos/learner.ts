/**
 * The learner ("Paxos Made Simple", §2.3): raises the commit index. A replica learns that a slot is chosen in two ways:
 * the leader's commit index covers the slot and the own vote there is of that leader's ballot
 * (paxos/commit-by-own-ballot), or a peer sends the chosen entry (catch-up). A leader that learns of a chosen value
 * other than its own steps down (paxos/yield-to-chosen).
 */

import { goOnBehind, isNews } from '../core/compaction.js';
import { entryAt } from '../core/log.js';
import type { Entry, Index, SnapshotName } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { Ballot } from './ballot.js';
import { continueCatchUp, keepAhead, noteAhead, takeAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { checkChosen, checkOneValue } from './invariants.js';
import { sameValue } from '../core/entries.js';
import type { CatchUpReply, PaxosCommit } from './messages.js';
import { follow } from './roles.js';
import { commitOf, type PaxosState } from './state.js';
import { reach, voteAt } from './window.js';

/** Raises the commit index towards the leader's, over own votes in that leader's ballot; others prove nothing. */
function chooseOwnVotes(draft: PaxosDraft): void {
  const { log, leaderCommit, leaderCommitBallot, window } = draft.state;
  if (leaderCommit <= log.last) return;
  const upTo = reach(window, log.last + 1, leaderCommit, leaderCommitBallot);
  if (upTo > log.last) draft.chooseVoted(upTo);
}

/** Raises the commit index as far as what is here proves: own votes, and pages that came before those below them. */
export function advanceToLeaderCommit(draft: PaxosDraft): void {
  chooseOwnVotes(draft);
  for (;;) {
    const from = draft.state.catchingUp?.peer;
    const page = takeAhead(draft);
    if (from === undefined || page === undefined) return;
    learn(draft, from, page);
    chooseOwnVotes(draft);
  }
}

/** A message of the leader of `ballot` carries its commit index: learns from own votes, and asks for the rest. */
export function learnCommit(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot, commit: Index): void {
  if (commit <= commitOf(draft.state)) return;
  draft.noteLeaderCommit(ballot, commit);
  advanceToLeaderCommit(draft);
  noteAhead(draft, leader, commit);
}

/** The leader's commit index, told to a forwarder. */
export function onCommit(draft: PaxosDraft, from: ReplicaId, m: PaxosCommit): void {
  learnCommit(draft, from, m.ballot, m.commit);
}

/** Whether this replica leads and its own proposal is not what was chosen there: another replica leads by now. */
function contradictsLeader({ role, window }: PaxosState, entry: Entry): boolean {
  if (role.kind !== 'leader' || entry.index <= role.committedAtElection) return false;
  const vote = voteAt(window, entry.index);
  return vote === undefined || vote.term !== role.ballot || !sameValue(vote, entry);
}

/** Learns chosen entries that begin at or below commit index + 1. Gives whether any was new. */
export function learn(draft: PaxosDraft, from: ReplicaId, entries: readonly Entry[]): boolean {
  const { state } = draft;
  const commit = commitOf(state);
  const fresh: Entry[] = [];
  const foreign: Entry[] = [];
  let contradicted = false;
  for (const entry of entries) {
    if (entry.index <= commit) {
      const known = entryAt(state.log, entry.index);
      if (known !== undefined) checkChosen(known, entry, from);
      continue;
    }
    const vote = voteAt(state.window, entry.index);
    if (vote !== undefined) checkOneValue(vote, entry, from);
    if (vote === undefined || vote.term !== entry.term) foreign.push(entry);
    contradicted ||= contradictsLeader(state, entry);
    fresh.push(entry);
  }
  if (fresh.length === 0) return false;
  if ((fresh[0] as Entry).index !== commit + 1) return false;
  if (contradicted) follow(draft, null, 0); // paxos/yield-to-chosen: before any message carries the new commit index
  draft.chooseLearned(fresh, foreign);
  return true;
}

/**
 * A snapshot of a peer: all that is in it is chosen. A leader steps down if it has proposed in a slot of it, since what
 * was chosen there is not known any more (paxos/yield-to-chosen).
 */
export function onInstall(draft: PaxosDraft, snapshot: SnapshotName): void {
  if (!isNews(draft, snapshot)) return;
  const { role } = draft.state;
  if (role.kind === 'leader' && snapshot.index > role.committedAtElection) follow(draft, null, 0);
  draft.install(snapshot);
  goOnBehind(draft, snapshot);
  advanceToLeaderCommit(draft);
}

/** A page of chosen entries, whichever question it answers: paxos/learned-from-any-answer. */
export function onCatchUpReply(draft: PaxosDraft, from: ReplicaId, m: CatchUpReply): void {
  let isNews = false;
  if (m.entries.length > 0) {
    isNews = learn(draft, from, m.entries) || keepAhead(draft, m.entries);
    advanceToLeaderCommit(draft);
  }
  continueCatchUp(draft, from, m, isNews);
}
