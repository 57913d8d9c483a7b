/**
 * Catch-up: a replica that is told a commit index which its own votes do not reach asks a peer for the chosen entries.
 * How many bytes may be under way grows with each page that comes, as in a TCP that starts slowly, so that one that
 * begins to ask, or that nobody hears, makes nobody send much (limits/catch-up-window). What is to be asked for follows
 * from what it knows and what it has asked.
 *
 * Pages are learned whichever question they answer, since a chosen value proves itself, and those that come too early
 * are kept (paxos/learned-from-any-answer). When nothing comes for long, the peer is asked whether it hears; one that
 * does is waited for, until its answer shows that what it had sent is lost. Otherwise the peers are asked in turn
 * whether they hear, and have something; whoever does is asked for the entries. It rests when all were asked in vain,
 * until the next message with a higher commit index. The side that answers is in `serving.ts`.
 */

import type { LogBegins } from '../core/election-messages.js';
import { bytesOf } from '../core/entries.js';
import type { Entry, Index, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { placeOf } from '../core/state.js';
import { leastPatience, patienceFor } from '../core/tuning.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUpReply } from './messages.js';
import { firstFree, type SlotRange } from './ranges.js';
import { commitOf, isSwamped, type CatchingUp, type Doubt, type PaxosOptions, type Question } from './state.js';

/** Pages that are asked for at first, and once a peer has answered that was asked whether it does. */
const FIRST_PAGES = 4;

/** More is asked for when so much of the window is free. */
const FREE_PART = 0.75;

/** So many questions whether a peer hears are waited for at most. */
const QUESTIONS = 4;

function firstWindow({ limits }: PaxosOptions): number {
  return Math.max(1, Math.min(FIRST_PAGES * limits.messageBytes, limits.inflightBytes));
}

/** The bytes that are kept of pages that came before the ones below them. */
function aheadBytes(ahead: CatchingUp['ahead']): number {
  return ahead.reduce((sum, each) => sum + bytesOf(each), 0);
}

function slotsOf(page: readonly Entry[]): SlotRange {
  return { from: (page[0] as Entry).index, to: (page[page.length - 1] as Entry).index };
}

/**
 * Asks the peer for what is neither known nor asked for, if a large part of the window is free. A question goes as far
 * as the target; where its answer ends is known once the first page of that comes, and the next question begins there.
 * So pages are asked for in order, however large the slots are.
 */
function askMore(draft: PaxosDraft, catchingUp: CatchingUp): void {
  if (isSwamped(draft.state)) return rest(draft, catchingUp, []);
  const { peer, target, ahead, window, questions } = catchingUp;
  const known = [...ahead.map(slotsOf), ...questions];
  const { from, to } = firstFree(known, commitOf(draft.state) + 1, target);
  let left = Math.min(window, draft.state.options.limits.inflightBytes - aheadBytes(ahead));
  for (const { bytes } of questions) left -= bytes;
  if (from > to || (questions.length > 0 && left < FREE_PART * window)) return draft.setCatchingUp(catchingUp);
  const number = draft.freshNumber();
  const bytes = Math.max(1, left);
  draft.setCatchingUp({ ...catchingUp, questions: [...questions, { number, from, to, bytes }] });
  draft.send(peer, { kind: 'catchUp', number, from, to, bytes }, 0, 'control');
}

/**
 * Asks whether a peer hears it, and has the entries: the answer has none. The last few such questions are waited for,
 * since an answer may be late; what was asked for in vain before is not.
 */
function askWhether(draft: PaxosDraft, catchingUp: CatchingUp): void {
  const number = draft.freshNumber();
  const from = commitOf(draft.state) + 1;
  const { peer, target: to, window } = catchingUp;
  const questions = window > 0 ? [] : catchingUp.questions.slice(1 - QUESTIONS);
  const asked = [...questions, { number, from, to, bytes: 0 }];
  draft.setCatchingUp({ ...catchingUp, questions: asked, window: 0, doubt: null });
  draft.send(peer, { kind: 'catchUp', number, from, to, bytes: 0 }, 0, 'control');
}

/**
 * No page has come for long: a large entry, or what stands before it in a queue, may take its time. The peer is asked
 * whether it hears, and answers once by each lane (serving.ts). One answer says that it hears; the second one, that
 * what was to come by the other lane before it has come or is lost (limits/late-is-not-lost).
 */
function doubt(draft: PaxosDraft, catchingUp: CatchingUp): void {
  const { timing, limits } = draft.state.options;
  const number = draft.freshNumber();
  const { peer, target: to } = catchingUp;
  const until = catchingUp.doubt?.until ?? draft.now + patienceFor(timing, limits.inflightBytes);
  const retryAt = patienceEnds(draft);
  draft.setCatchingUp({ ...catchingUp, doubt: { number, isHeard: false, until }, retryAt });
  draft.send(peer, { kind: 'catchUp', number, from: commitOf(draft.state) + 1, to, bytes: 0 }, 0, 'control');
}

/** An answer to the question why no page comes. */
function settleDoubt(draft: PaxosDraft, catchingUp: CatchingUp, asked: Doubt, m: CatchUpReply): void {
  const target = Math.max(catchingUp.target, m.commit);
  if (asked.isHeard || m.rest === 0) return askNext(draft, { ...catchingUp, target });
  const retryAt = patienceEnds(draft);
  draft.setCatchingUp({ ...catchingUp, target, doubt: { ...asked, isHeard: true }, retryAt });
}

/** When whoever was asked is asked why nothing comes. */
function patienceEnds({ now, state }: PaxosDraft): Milliseconds {
  return now + leastPatience(state.options.timing);
}

/** A peer's message carries its commit index: asks it for the entries if that is higher than the own one. */
export function noteAhead(draft: PaxosDraft, peer: ReplicaId, commit: Index): void {
  const { catchingUp, options } = draft.state;
  if (commit <= commitOf(draft.state) || isSwamped(draft.state)) return;
  const asked = { peer, asked: 1, retryAt: patienceEnds(draft) };
  if (catchingUp === null) {
    const nothing = { target: commit, questions: [], doubt: null, least: 0, ahead: [] };
    askMore(draft, { ...asked, ...nothing, window: firstWindow(options) });
  } else if (isResting(catchingUp)) {
    askWhether(draft, { ...catchingUp, ...asked, target: Math.max(catchingUp.target, commit) });
  }
}

/** Asks nobody until a message brings a commit index. What nobody has any more is in a snapshot. */
function rest(draft: PaxosDraft, catchingUp: CatchingUp, questions: readonly Question[]): void {
  draft.setCatchingUp({ ...catchingUp, questions, window: 0, doubt: null, least: 0, retryAt: Infinity });
  if (catchingUp.least > commitOf(draft.state)) draft.pull(catchingUp.least);
}

/** The peer that is asked has trimmed what is asked for; another one may have it. */
export function onLogBegins(draft: PaxosDraft, from: ReplicaId, { number, first }: LogBegins): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.peer !== from) return;
  const isAnswer = catchingUp.doubt?.number === number || catchingUp.questions.some((each) => each.number === number);
  if (!isAnswer || first - 1 <= commitOf(draft.state)) return;
  const least = catchingUp.least === 0 ? first - 1 : Math.min(catchingUp.least, first - 1);
  askNext(draft, { ...catchingUp, least });
}

/** Whether all were asked in vain. */
export function isResting({ retryAt }: CatchingUp): boolean {
  return retryAt === Infinity;
}

/** Asks the peer after the one asked last, unless all were asked in vain. */
function askNext(draft: PaxosDraft, catchingUp: CatchingUp): void {
  const { options } = draft.state;
  const { others } = options;
  const { peer, asked, window, questions } = catchingUp;
  if (commitOf(draft.state) >= catchingUp.target) return draft.setCatchingUp(null);
  const next = others[(placeOf(options, peer) + 1) % others.length];
  if (next === undefined || asked >= others.length) {
    return rest(draft, catchingUp, window > 0 ? [] : questions);
  }
  askWhether(draft, { ...catchingUp, peer: next.id, asked: asked + 1, retryAt: patienceEnds(draft) });
}

/** At a tick: nothing has come for long enough. It ends if it is not needed any more. */
export function retryCatchUp(draft: PaxosDraft): void {
  const { catchingUp } = draft.state;
  if (catchingUp === null || catchingUp.retryAt > draft.now) return;
  if (commitOf(draft.state) >= catchingUp.target) return draft.setCatchingUp(null);
  const { window, doubt: asked } = catchingUp;
  const mayHear = asked === null || (asked.isHeard && draft.now < asked.until);
  if (window > 0 && mayHear) doubt(draft, catchingUp);
  else askNext(draft, catchingUp);
}

/** The connection with a peer was lost, and the pages that were under way from it. */
export function endQuestions(draft: PaxosDraft, peer: ReplicaId): void {
  const { catchingUp } = draft.state;
  if (catchingUp !== null && catchingUp.peer === peer && catchingUp.window > 0) askNext(draft, catchingUp);
}

/** Keeps a page that came before the ones below it, as many as may be under way. Gives whether it is kept. */
export function keepAhead(draft: PaxosDraft, page: readonly Entry[]): boolean {
  const { catchingUp, options } = draft.state;
  const head = page[0];
  if (catchingUp === null || head === undefined || head.index <= commitOf(draft.state) + 1) return false;
  const { ahead } = catchingUp;
  const bytes = aheadBytes(ahead) + bytesOf(page);
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

/** What is still under way of the questions, once that answer has come. */
function unanswered({ questions, ahead }: CatchingUp, commit: Index, m: CatchUpReply): readonly Question[] {
  const left: Question[] = [];
  const kept = ahead.map(slotsOf);
  for (const each of questions) {
    const answered = each.number === m.number;
    const end = answered ? Math.min(each.to, m.rest > 0 ? m.rest - 1 : m.commit) : each.to;
    const begin = firstFree(kept, Math.max(each.from, commit + 1), end).from;
    if (begin > end || (answered && m.entries.length === 0)) continue;
    const bytes = answered ? Math.max(0, each.bytes - bytesOf(m.entries)) : each.bytes;
    left.push({ number: each.number, from: begin, to: end, bytes });
  }
  return left;
}

/**
 * An answer has come: asks for what is left, waits on, or ends. One without entries counts only while its question is
 * waited for: `isOutdated` rests on that.
 * @param isNews whether entries were learned or kept
 */
export function continueCatchUp(draft: PaxosDraft, peer: ReplicaId, m: CatchUpReply, isNews: boolean): void {
  const { catchingUp, options } = draft.state;
  if (catchingUp === null) return;
  const { doubt: asked } = catchingUp;
  if (m.entries.length === 0 && asked?.number === m.number) return settleDoubt(draft, catchingUp, asked, m);
  const question = catchingUp.questions.find(({ number }) => number === m.number);
  if (m.entries.length === 0 && question === undefined) return;
  const commit = commitOf(draft.state);
  const target = Math.max(catchingUp.target, m.commit);
  if (commit >= target) return draft.setCatchingUp(null);
  // What is known already counts only if it ends before all that was asked for.
  const leavesMore = question !== undefined && m.rest > 0 && m.rest <= question.to;
  if (!isNews && m.entries.length > 0 && !leavesMore) return;
  const { window } = catchingUp;
  // While nobody answers, none of the questions is for entries.
  const questions = window > 0 ? unanswered(catchingUp, commit, m) : [];
  if (m.entries.length > 0) {
    const known = { peer, target, questions, asked: 1, retryAt: patienceEnds(draft), doubt: null, least: 0 };
    const grown = Math.max(window + (isNews ? 2 * bytesOf(m.entries) : 0), firstWindow(options));
    return askMore(draft, { ...catchingUp, ...known, window: Math.min(options.limits.inflightBytes, grown) });
  }
  if (window > 0) return askNext(draft, catchingUp); // it has none of those that it was asked for
  if (m.rest > 0) {
    const heard = { peer, target, questions, asked: 1, retryAt: patienceEnds(draft), window: firstWindow(options) };
    return askMore(draft, { ...catchingUp, ...heard });
  }
  const rest = { ...catchingUp, questions: catchingUp.questions.filter(({ number }) => number !== m.number) };
  if (peer === catchingUp.peer) askNext(draft, rest);
  else draft.setCatchingUp(rest); // another one is asked by now
}
