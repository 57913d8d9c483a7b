/**
 * Catch-up: a replica that is told a commit index which its own votes do not reach asks a peer for the chosen entries.
 * An answer has several pages, and says where the next one begins, so the first page to arrive asks for the next
 * answer. Pages are learned whichever question they answer, since a chosen value proves itself, and those that come too
 * early are kept (paxos/learned-from-any-answer). When no page comes the question goes to the next peer; it is given up
 * when all were asked in vain, until the next message with a higher commit index. A replica answers from memory or from
 * storage.
 */

import { bytesOf, entryBytes } from '../core/entries.js';
import { slice } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { placeOf } from '../core/state.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUp, CatchUpReply } from './messages.js';
import { commitOf, type CatchingUp, type PaxosState } from './state.js';

/** Whoever asks for entries hears within so much time, by the timing assumption. */
function patienceEnds(draft: PaxosDraft): number {
  return draft.now + draft.state.options.timing.electionMin / 2;
}

type Question = Pick<CatchingUp, 'peer' | 'from' | 'target' | 'asked' | 'ahead'>;

function ask(draft: PaxosDraft, question: Question): void {
  const number = draft.freshNumber();
  draft.setCatchingUp({ ...question, number, retryAt: patienceEnds(draft) });
  draft.send(question.peer, { kind: 'catchUp', number, from: question.from }, 0, 'control');
}

/** A peer's message carries its commit index: asks it for the entries if that is higher than the own one. */
export function noteAhead(draft: PaxosDraft, peer: ReplicaId, commit: Index): void {
  const own = commitOf(draft.state);
  if (commit <= own || draft.state.catchingUp !== null) return;
  ask(draft, { peer, from: own + 1, target: commit, asked: 1, ahead: [] });
}

/** Asks the peer after the one asked last, unless all were asked in vain. */
function askNext(draft: PaxosDraft, { peer, target, asked, ahead }: CatchingUp): void {
  const { others } = draft.state.options;
  const next = others[(placeOf(draft.state.options, peer) + 1) % others.length];
  if (next === undefined || asked >= others.length) return draft.setCatchingUp(null);
  ask(draft, { peer: next.id, from: commitOf(draft.state) + 1, target, asked: asked + 1, ahead });
}

/** At a tick: a CatchUp that has waited long enough goes to the next peer, or ends if it is not needed any more. */
export function retryCatchUp(draft: PaxosDraft): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.retryAt > draft.now) return;
  if (commitOf(draft.state) >= catchingUp.target) draft.setCatchingUp(null);
  else askNext(draft, catchingUp);
}

/** Keeps a page that came before the ones below it, as many as may be under way. Gives whether it is kept. */
export function keepAhead(draft: PaxosDraft, page: readonly Entry[]): boolean {
  const { catchingUp, options } = draft.state;
  const head = page[0];
  if (catchingUp === null || head === undefined || head.index <= commitOf(draft.state) + 1) return false;
  const { ahead } = catchingUp;
  const bytes = ahead.reduce((sum, each) => sum + bytesOf(each), bytesOf(page));
  if (bytes > options.limits.inflightBytes || ahead.some((each) => each[0]?.index === head.index)) return false;
  draft.setCatchingUp({ ...catchingUp, ahead: [...ahead, page] });
  return true;
}

/** Takes the kept page that follows the commit index; drops those that do not reach beyond it. */
export function takeAhead(draft: PaxosDraft): readonly Entry[] | undefined {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.ahead.length === 0) return undefined;
  const commit = commitOf(draft.state);
  const useful = catchingUp.ahead.filter((page) => (page[page.length - 1] as Entry).index > commit);
  const next = useful.find((page) => (page[0] as Entry).index <= commit + 1);
  if (next !== undefined || useful.length < catchingUp.ahead.length) {
    draft.setCatchingUp({ ...catchingUp, ahead: useful.filter((page) => page !== next) });
  }
  return next;
}

/** A page has come: asks for what follows, waits on, or ends. @param isNews whether it was learned or kept */
export function continueCatchUp(draft: PaxosDraft, peer: ReplicaId, m: CatchUpReply, isNews: boolean): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null) return;
  const commit = commitOf(draft.state);
  const target = Math.max(catchingUp.target, m.commit);
  const { ahead } = catchingUp;
  if (commit >= target) return draft.setCatchingUp(null);
  if (!isNews) return m.entries.length === 0 && m.number === catchingUp.number ? askNext(draft, catchingUp) : undefined;
  if (m.rest > Math.max(catchingUp.from, commit)) return ask(draft, { peer, from: m.rest, target, asked: 1, ahead });
  // All that this peer had is there.
  if (commit >= m.commit) return ask(draft, { peer, from: commit + 1, target, asked: 1, ahead });
  draft.setCatchingUp({ ...catchingUp, target, asked: 1, retryAt: patienceEnds(draft) });
}

/** The chosen entries from `from` on that one answer takes, if they are in memory. */
function inMemory(state: PaxosState, from: Index): readonly Entry[] | undefined {
  return slice(state.log, from, commitOf(state), state.options.limits.inflightBytes);
}

/** Sends these entries, page by page. */
function answer(draft: PaxosDraft, peer: ReplicaId, number: number, entries: readonly Entry[]): void {
  const { messageBytes } = draft.state.options.limits;
  const commit = commitOf(draft.state);
  const last = entries[entries.length - 1]?.index ?? commit;
  const rest = last < commit ? last + 1 : 0;
  let begin = 0;
  let bytes = 0;
  for (let at = 0; at <= entries.length; at++) {
    const next = entries[at];
    bytes += next === undefined ? 0 : entryBytes(next);
    if (next !== undefined && (bytes <= messageBytes || at === begin)) continue;
    const page = entries.slice(begin, at);
    draft.send(peer, { kind: 'catchUpReply', number, commit, rest, entries: page }, 0, 'bulk');
    begin = at;
    bytes = next === undefined ? 0 : entryBytes(next);
  }
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
  const load = under?.load ?? draft.load(from, to, state.options.limits.loadBytes);
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
