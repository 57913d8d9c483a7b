/**
 * The learner: what is chosen, W, and handing it over. A slot is learned by one's own vote when the leader of that
 * very ballot says that it is chosen (paxos/commit-by-own-ballot), or as an entry from a replica that knows
 * (catch-up). Also where a leader that learns of a value not its own gives way (paxos/yield-to-chosen).
 */

import { entryAt } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { Ballot } from './ballot.js';
import { continueCatchUp, noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { checkChosen, checkOneValue } from './invariants.js';
import { sameValue } from '../core/entries.js';
import type { CatchUpReply, PaxosCommit } from './messages.js';
import { follow } from './roles.js';
import { commitOf, type PaxosState } from './state.js';
import { reach, voteAt } from './window.js';

/** Moves W over own votes of the ballot whose leader told so; a vote of another ballot proves nothing. */
export function advanceToLeaderCommit(draft: PaxosDraft): void {
  const { log, leaderCommit, leaderCommitBallot, window } = draft.state;
  if (leaderCommit <= log.last) return;
  const upTo = reach(window, log.last + 1, leaderCommit, leaderCommitBallot);
  if (upTo > log.last) draft.chooseVoted(upTo);
}

/** The leader of `ballot` says that everything up to `chosen` is: adopt what is ours, ask for the rest. */
export function learnCommit(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot, chosen: Index): void {
  if (chosen <= commitOf(draft.state)) return;
  draft.noteLeaderCommit(ballot, chosen);
  advanceToLeaderCommit(draft);
  noteAhead(draft, leader, chosen);
}

/** W from the leader, beside its other messages. */
export function onCommit(draft: PaxosDraft, from: ReplicaId, m: PaxosCommit): void {
  learnCommit(draft, from, m.ballot, m.commit);
}

/** Whether a leader's own proposal says otherwise, or it made none where something is chosen: another one leads. */
function contradictsLeader({ role, window }: PaxosState, entry: Entry): boolean {
  if (role.kind !== 'leader' || entry.index <= role.committedAtElection) return false;
  const vote = voteAt(window, entry.index);
  return vote === undefined || vote.term !== role.ballot || !sameValue(vote, entry);
}

/** These are chosen, from at most W + 1 on. Gives whether anything was new. */
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
  if (contradicted) follow(draft, null, 0); // paxos/yield-to-chosen: at once, before W is said to anyone
  draft.chooseLearned(fresh, foreign);
  return true;
}

/** A page of chosen entries, if it answers the question that is under way. */
export function onCatchUpReply(draft: PaxosDraft, from: ReplicaId, m: CatchUpReply): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.number !== m.number || catchingUp.peer !== from) return;
  const before = commitOf(draft.state);
  learn(draft, from, m.entries);
  advanceToLeaderCommit(draft);
  continueCatchUp(draft, from, before, m.commit);
}
