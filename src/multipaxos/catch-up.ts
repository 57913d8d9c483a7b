/**
 * Catch-up: a replica that is told a commit index which its own votes do not reach asks a peer for the chosen entries.
 * It asks for several ranges of slots at once: how many bytes may be under way grows with
 * each page that comes, as in a TCP that starts slowly, so that one that begins to ask, or that nobody hears, makes
 * nobody send much (limits/catch-up-window). What is to be asked for follows from what it knows and what it has asked.
 *
 * Pages are learned whichever question they answer, since a chosen value proves itself, and those that come too early
 * are kept (paxos/learned-from-any-answer). When nothing comes, the peers are asked in turn whether they hear it, and
 * have something; whoever does is asked for the entries. It rests when all were asked in vain, until the next message
 * with a higher commit index. The side that answers is in `serving.ts`.
 */

import { bytesOf } from '../core/entries.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { placeOf } from '../core/state.js';
import { patienceFor } from '../core/tuning.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUpReply } from './messages.js';
import { firstFree, type SlotRange } from './ranges.js';
import { commitOf, type CatchingUp, type PaxosOptions, type Question } from './state.js';

/** Pages that are asked for at first, and once a peer has answered that was asked whether it does. */
const FIRST_PAGES = 4;

/** So many questions share what may be under way, as far as each is large enough. */
const QUESTIONS = 4;

function firstWindow({ limits }: PaxosOptions): number {
  return Math.max(1, Math.min(FIRST_PAGES * limits.messageBytes, limits.inflightBytes));
}

/** Bytes of one answer: a page at least. */
function answerBytes(window: number, { limits }: PaxosOptions): number {
  return Math.max(limits.messageBytes, Math.ceil(window / QUESTIONS));
}

/** How many bytes a slot takes, as a moving average: commands differ in size. */
function sizeOf(page: readonly Entry[], known: number): number {
  const size = bytesOf(page) / page.length;
  return Math.ceil(known === 0 ? size : (3 * known + size) / 4);
}

/** The bytes that are kept of pages that came before the ones below them. */
function aheadBytes(ahead: CatchingUp['ahead']): number {
  return ahead.reduce((sum, each) => sum + bytesOf(each), 0);
}

function slotsOf(page: readonly Entry[]): SlotRange {
  return { from: (page[0] as Entry).index, to: (page[page.length - 1] as Entry).index };
}

/** Asks the peer for what is neither known nor asked for, as the window allows; for one range at least. */
function askMore(draft: PaxosDraft, catchingUp: CatchingUp): void {
  const { options } = draft.state;
  const { peer, target, slotBytes, ahead, window } = catchingUp;
  const share = answerBytes(window, options);
  const questions = [...catchingUp.questions];
  let left = Math.min(window, options.limits.inflightBytes - aheadBytes(ahead));
  for (const { bytes } of questions) left -= bytes;
  for (;;) {
    const known = [...ahead.map(slotsOf), ...questions];
    const { from, to: end } = firstFree(known, commitOf(draft.state) + 1, target);
    if (from > end || questions.length >= options.limits.inflightMessages || (left <= 0 && questions.length > 0)) break;
    // The slots that are expected to fit; what the answer leaves is asked for again.
    const to = slotBytes === 0 ? end : Math.min(end, from + Math.ceil(share / slotBytes) - 1);
    const bytes = slotBytes === 0 ? window : share;
    const expected = slotBytes === 0 ? bytes : Math.min(Math.max(bytes, slotBytes), (to - from + 1) * slotBytes);
    const number = draft.freshNumber();
    questions.push({ number, from, to, bytes: expected });
    left -= expected;
    draft.send(peer, { kind: 'catchUp', number, from, to, bytes }, 0, 'control');
  }
  draft.setCatchingUp({ ...catchingUp, questions });
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
  draft.setCatchingUp({ ...catchingUp, questions: [...questions, { number, from, to, bytes: 0 }], window: 0 });
  draft.send(peer, { kind: 'catchUp', number, from, to, bytes: 0 }, 0, 'control');
}

/** When whoever was asked is taken for silent: a page is as long as it is, and one entry may be. */
function patienceEnds(draft: PaxosDraft, slotBytes: number): number {
  return draft.now + patienceFor(draft.state.options.timing, slotBytes);
}

/** A peer's message carries its commit index: asks it for the entries if that is higher than the own one. */
export function noteAhead(draft: PaxosDraft, peer: ReplicaId, commit: Index): void {
  const { catchingUp, options } = draft.state;
  if (commit <= commitOf(draft.state)) return;
  const asked = { peer, asked: 1, retryAt: patienceEnds(draft, catchingUp?.slotBytes ?? 0) };
  if (catchingUp === null) {
    const nothing = { target: commit, slotBytes: 0, questions: [], ahead: [] };
    askMore(draft, { ...asked, ...nothing, window: firstWindow(options) });
  } else if (isResting(catchingUp)) {
    askWhether(draft, { ...catchingUp, ...asked, target: Math.max(catchingUp.target, commit) });
  }
}

/** Whether all were asked in vain. */
export function isResting({ retryAt }: CatchingUp): boolean {
  return retryAt === Infinity;
}

/** Asks the peer after the one asked last, unless all were asked in vain. */
function askNext(draft: PaxosDraft, catchingUp: CatchingUp): void {
  const { options } = draft.state;
  const { others } = options;
  const { peer, asked, slotBytes, window, questions } = catchingUp;
  const next = others[(placeOf(options, peer) + 1) % others.length];
  if (next === undefined || asked >= others.length) {
    const late = window > 0 ? [] : questions;
    return draft.setCatchingUp({ ...catchingUp, questions: late, window: 0, retryAt: Infinity });
  }
  askWhether(draft, { ...catchingUp, peer: next.id, asked: asked + 1, retryAt: patienceEnds(draft, slotBytes) });
}

/** At a tick: nothing has come for long enough, so the next peer is asked; it ends if it is not needed any more. */
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
  const question = catchingUp.questions.find(({ number }) => number === m.number);
  if (m.entries.length === 0 && question === undefined) return;
  const commit = commitOf(draft.state);
  const target = Math.max(catchingUp.target, m.commit);
  if (commit >= target) return draft.setCatchingUp(null);
  // What is known already counts only if it ends before all that was asked for.
  const leavesMore = question !== undefined && m.rest > 0 && m.rest <= question.to;
  if (!isNews && m.entries.length > 0 && !leavesMore) return;
  const { window, slotBytes } = catchingUp;
  // While nobody answers, none of the questions is for entries.
  const questions = window > 0 ? unanswered(catchingUp, commit, m) : [];
  if (m.entries.length > 0) {
    const size = sizeOf(m.entries, slotBytes);
    const known = { peer, target, questions, asked: 1, slotBytes: size, retryAt: patienceEnds(draft, size) };
    const grown = Math.max(window + (isNews ? 2 * bytesOf(m.entries) : 0), firstWindow(options));
    return askMore(draft, { ...catchingUp, ...known, window: Math.min(options.limits.inflightBytes, grown) });
  }
  if (window > 0) return askNext(draft, catchingUp); // it has none of those that it was asked for
  if (m.rest > 0) {
    const retryAt = patienceEnds(draft, slotBytes);
    const heard = { peer, target, questions, asked: 1, retryAt, window: firstWindow(options) };
    return askMore(draft, { ...catchingUp, ...heard });
  }
  const rest = { ...catchingUp, questions: catchingUp.questions.filter(({ number }) => number !== m.number) };
  if (peer === catchingUp.peer) askNext(draft, rest);
  else draft.setCatchingUp(rest); // another one is asked by now
}
