/**
 * Catch-up: a replica that is told a commit index which its own votes do not reach asks a peer for the chosen entries,
 * a page at a time. One CatchUp is under way at a time; unanswered it goes to the next peer, and is given up when all
 * peers were asked in vain, until the next message with a higher commit index. A replica answers the CatchUp of others
 * from memory or from storage.
 */

import { slice } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { placeOf } from '../core/state.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUp } from './messages.js';
import { commitOf, type PaxosState } from './state.js';

/** After so many heartbeat intervals an unanswered CatchUp goes to the next peer. */
const PATIENCE = 2;

function ask(draft: PaxosDraft, peer: ReplicaId, target: Index, asked: number): void {
  const { timing } = draft.state.options;
  const number = draft.freshNumber();
  const retryAt = draft.now + PATIENCE * timing.heartbeat;
  draft.setCatchingUp({ number, peer, target, retryAt, asked });
  draft.send(peer, { kind: 'catchUp', number, from: commitOf(draft.state) + 1 }, 0, 'control');
}

/** A peer's message carries its commit index: asks it for the entries if that is higher than the own one. */
export function noteAhead(draft: PaxosDraft, peer: ReplicaId, commit: Index): void {
  if (commit > commitOf(draft.state) && draft.state.catchingUp === null) ask(draft, peer, commit, 1);
}

/** Asks the peer after this one, unless all were asked in vain. */
function askNext(draft: PaxosDraft, peer: ReplicaId, target: Index, asked: number): void {
  const { others } = draft.state.options;
  const next = others[(placeOf(draft.state.options, peer) + 1) % others.length];
  if (next === undefined || asked >= others.length) draft.setCatchingUp(null);
  else ask(draft, next.id, target, asked + 1);
}

/** At a tick: a CatchUp that has waited long enough goes to the next peer, or ends if it is not needed any more. */
export function retryCatchUp(draft: PaxosDraft): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.retryAt > draft.now) return;
  const { peer, target, asked } = catchingUp;
  if (commitOf(draft.state) >= target) draft.setCatchingUp(null);
  else askNext(draft, peer, target, asked);
}

/** A page was learned: asks for the next one, or ends. @param before the commit index before the page */
export function continueCatchUp(draft: PaxosDraft, peer: ReplicaId, before: Index, theirs: Index): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null) return;
  const commit = commitOf(draft.state);
  const target = Math.max(catchingUp.target, theirs);
  if (commit >= target) draft.setCatchingUp(null);
  else if (commit > before && commit < theirs) ask(draft, peer, target, 1);
  else askNext(draft, peer, target, catchingUp.asked);
}

/** The chosen entries from `from` on that one message takes. */
function inMemory(state: PaxosState, from: Index): readonly Entry[] | undefined {
  return slice(state.log, from, commitOf(state), state.options.limits.messageBytes);
}

function answer(draft: PaxosDraft, peer: ReplicaId, number: number, entries: readonly Entry[]): void {
  draft.send(peer, { kind: 'catchUpReply', number, commit: commitOf(draft.state), entries }, 0, 'bulk');
}

/** A peer asks for chosen entries. Those that are not in memory are loaded, with one load at a time for each peer. */
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

/** Sends the entries that were loaded for a peer; only those at or below the commit index are known to be chosen. */
export function onPeerLoaded(draft: PaxosDraft, load: number, entries: readonly Entry[]): void {
  const { serving } = draft.state;
  const under = serving.find((each) => each.load === load);
  if (under === undefined) return;
  draft.setServing(serving.filter((each) => each !== under));
  const commit = commitOf(draft.state);
  const fits = entries.every((entry, at) => entry.index === under.from + at && entry.index <= commit);
  if (fits) answer(draft, under.peer, under.number, entries);
}
