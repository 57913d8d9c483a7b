/**
 * Catch-up: a learner that hears of chosen slots which it cannot tell from its own votes asks for them, a page
 * at a time, from anyone who has them; and answers the same question of others, from memory or from storage. One
 * question is under way at a time; unanswered it goes to the next peer, and is given up when all were asked in vain.
 * The next message of a leader begins anew.
 */

import { slice } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { placeOf } from '../core/state.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUp } from './messages.js';
import { commitOf, type PaxosState } from './state.js';

/** Unanswered for so many heartbeat intervals, a question goes to the next peer. */
const PATIENCE = 2;

function ask(draft: PaxosDraft, peer: ReplicaId, target: Index, asked: number): void {
  const { timing } = draft.state.options;
  const number = draft.freshNumber();
  const retryAt = draft.now + PATIENCE * timing.heartbeat;
  draft.setCatchingUp({ number, peer, target, retryAt, asked });
  draft.send(peer, { kind: 'catchUp', number, from: commitOf(draft.state) + 1 }, 0, 'control');
}

/** A peer says that everything up to `chosen` is; if we do not know all that, ask for it. */
export function noteAhead(draft: PaxosDraft, peer: ReplicaId, chosen: Index): void {
  if (chosen > commitOf(draft.state) && draft.state.catchingUp === null) ask(draft, peer, chosen, 1);
}

/** The question goes to the peer after this one, unless all were asked in vain. */
function askNext(draft: PaxosDraft, peer: ReplicaId, target: Index, asked: number): void {
  const { others } = draft.state.options;
  const next = others[(placeOf(draft.state.options, peer) + 1) % others.length];
  if (next === undefined || asked >= others.length) draft.setCatchingUp(null);
  else ask(draft, next.id, target, asked + 1);
}

/** The question has waited long enough, or needs no answer any more. */
export function retryCatchUp(draft: PaxosDraft): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.retryAt > draft.now) return;
  const { peer, target, asked } = catchingUp;
  if (commitOf(draft.state) >= target) draft.setCatchingUp(null);
  else askNext(draft, peer, target, asked);
}

/** A page has come and was learned, from W `before` on: go on, or stop. */
export function continueCatchUp(draft: PaxosDraft, peer: ReplicaId, before: Index, chosen: Index): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null) return;
  const commit = commitOf(draft.state);
  const target = Math.max(catchingUp.target, chosen);
  if (commit >= target) draft.setCatchingUp(null);
  else if (commit > before && commit < chosen) ask(draft, peer, target, 1);
  else askNext(draft, peer, target, catchingUp.asked);
}

/** The entries from `from` to W that one message takes. */
function inMemory(state: PaxosState, from: Index): readonly Entry[] | undefined {
  return slice(state.log, from, commitOf(state), state.options.limits.messageBytes);
}

function answer(draft: PaxosDraft, peer: ReplicaId, number: number, entries: readonly Entry[]): void {
  draft.send(peer, { kind: 'catchUpReply', number, commit: commitOf(draft.state), entries }, 0, 'bulk');
}

/** Anyone asks for chosen entries. What is not in memory is loaded, one load a peer. */
export function onCatchUp(draft: PaxosDraft, peer: ReplicaId, m: CatchUp): void {
  const { state } = draft;
  const entries = inMemory(state, m.from);
  if (entries !== undefined) return answer(draft, peer, m.number, entries);
  const others = state.serving.filter((each) => each.peer !== peer);
  const under = state.serving.find((each) => each.peer === peer && each.from === m.from);
  const { number, from } = m;
  if (under?.number === number) return;
  const to = Math.min(commitOf(state), state.log.tailFrom - 1);
  const load = under?.load ?? draft.load(from, to, state.options.limits.messageBytes);
  draft.setServing([...others, { load, peer, number, from }]);
}

/** The storage gave what a peer had asked for. Only what is at or below W is known to be chosen. */
export function onPeerLoaded(draft: PaxosDraft, load: number, entries: readonly Entry[]): void {
  const { serving } = draft.state;
  const under = serving.find((each) => each.load === load);
  if (under === undefined) return;
  draft.setServing(serving.filter((each) => each !== under));
  const commit = commitOf(draft.state);
  const fits = entries.every((entry, at) => entry.index === under.from + at && entry.index <= commit);
  if (fits) answer(draft, under.peer, under.number, entries);
}
