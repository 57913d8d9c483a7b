/**
 * The learner: what is chosen, W, and handing it over. A slot is learned by one's own vote when the leader of that
 * very ballot says that it is chosen (R12), or as an entry from someone who knows (catch-up). Also where a leader that
 * learns of a value not its own gives way (R13).
 */

import { assert } from '../core/assert.js';
import { handOver, nextDelivery, noteApplied } from '../core/delivery.js';
import { entryAt } from '../core/log.js';
import type { Applied, Entry, Index, Loaded } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { settleCommitted } from '../core/attempts.js';
import type { Ballot } from './ballot.js';
import { continueCatchUp, noteAhead, serveLoaded } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { checkChosen, checkOneValue } from './invariants.js';
import { sameValue } from '../core/entries.js';
import type { CatchUpReply, Commit } from './messages.js';
import { follow } from './roles.js';
import { chosenOf, type PaxosState } from './state.js';
import { reach, voteAt } from './window.js';

/** Moves W over own votes of the ballot whose leader told so; a vote of another ballot proves nothing (R12). */
export function advanceByWord(draft: PaxosDraft): void {
  const { log, told, toldBallot, window } = draft.state;
  if (told <= log.last) return;
  const upTo = reach(window, log.last + 1, told, toldBallot);
  if (upTo > log.last) draft.chooseVoted(upTo);
}

/** The leader of `ballot` says that everything up to `chosen` is: adopt what is ours, ask for the rest (R12). */
export function adopt(draft: PaxosDraft, leader: ReplicaId, ballot: Ballot, chosen: Index): void {
  if (chosen <= chosenOf(draft.state)) return;
  draft.tell(ballot, chosen);
  advanceByWord(draft);
  noteAhead(draft, leader, chosen);
}

/** W from the leader, beside its other messages. */
export function onCommit(draft: PaxosDraft, from: ReplicaId, m: Commit): void {
  adopt(draft, from, m.ballot, m.chosen);
}

/** Whether a leader's own proposal says otherwise, or it made none where something is chosen: another one leads. */
function contradictsLeader({ role, window }: PaxosState, entry: Entry): boolean {
  if (role.kind !== 'leader' || entry.index <= role.floor) return false;
  const vote = voteAt(window, entry.index);
  return vote === undefined || vote.term !== role.ballot || !sameValue(vote, entry);
}

/** These are chosen, from at most W + 1 on. Gives whether anything was new. */
export function learn(draft: PaxosDraft, from: ReplicaId, entries: readonly Entry[]): boolean {
  const { state } = draft;
  const w = chosenOf(state);
  const fresh: Entry[] = [];
  const foreign: Entry[] = [];
  let contradicted = false;
  for (const entry of entries) {
    if (entry.index <= w) {
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
  if ((fresh[0] as Entry).index !== w + 1) return false;
  if (contradicted) follow(draft, null, 0); // R13, bug 35: at once, before W is said to anyone
  draft.chooseLearned(fresh, foreign);
  return true;
}

/** A page of chosen entries, if it answers the question that is under way. */
export function onCatchUpReply(draft: PaxosDraft, from: ReplicaId, m: CatchUpReply): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.number !== m.number || catchingUp.peer !== from) return;
  const before = chosenOf(draft.state);
  learn(draft, from, m.entries);
  advanceByWord(draft);
  continueCatchUp(draft, from, before, m.chosen);
}

function handOverEntries(draft: PaxosDraft, entries: readonly Entry[]): void {
  draft.commit(entries);
  draft.setDelivery(handOver(draft.state.delivery, entries));
  if (draft.state.attempts.length > 0) draft.settle(settleCommitted(draft.state.attempts, entries));
}

/** Hands over whatever is chosen, as far as there is room; loads what is not in memory. */
export function deliver(draft: PaxosDraft): void {
  for (;;) {
    const { delivery, log, self } = draft.state;
    const due = nextDelivery(delivery, log, log.last, self.limits);
    if (due === null) return;
    if (due === 'load') {
      const from = delivery.handed + 1;
      const room = Math.min(self.limits.loadBytes, self.limits.applyBytes - delivery.unappliedBytes);
      const loading = draft.load(from, Math.min(log.last, log.tailFrom - 1), room);
      draft.setDelivery({ ...delivery, loading });
      return;
    }
    handOverEntries(draft, due);
  }
}

/** Entries from storage, for ourselves or for a peer that asked. Answers to other questions are ignored. */
export function onLoaded(draft: PaxosDraft, m: Loaded): void {
  const { delivery } = draft.state;
  if (delivery.loading !== m.id) return serveLoaded(draft, m.id, m.entries);
  const w = chosenOf(draft.state);
  assert(m.entries.length > 0, 'the storage still holds what is chosen');
  m.entries.forEach((entry, at) => {
    assert(entry.index === delivery.handed + 1 + at, 'what is loaded follows what was handed over');
    assert(entry.index <= w, 'nothing above W is handed over');
  });
  handOverEntries(draft, m.entries);
}

export function onApplied(draft: PaxosDraft, m: Applied): void {
  draft.setDelivery(noteApplied(draft.state.delivery, m.index));
}
