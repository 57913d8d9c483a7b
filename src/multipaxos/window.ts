/**
 * The acceptor's votes above the commit index, as immutable runs of consecutive slots with one ballot: mostly a handful
 * of runs, however many slots are under way. An overwriting vote cuts the runs that it overlaps. Gaps are allowed.
 *
 * Invariants: runs ascend and never overlap; every entry's index and term are its slot and its run's ballot; `bytes`
 * is the size of all entries.
 */

import { assert } from '../core/assert.js';
import { bytesOf, entryBytes } from '../core/entries.js';
import type { Entry, Index } from '../core/protocol.js';
import type { Ballot } from './ballot.js';
import type { VoteSpan } from './messages.js';

/** Votes for `from` and the slots that follow it, all in one ballot. */
export interface VoteRun {
  readonly from: Index;
  readonly ballot: Ballot;
  readonly entries: readonly Entry[];
}

export interface VoteWindow {
  readonly runs: readonly VoteRun[];
  /** As counted by `entryBytes`. */
  readonly bytes: number;
}

export const emptyWindow: VoteWindow = { runs: [], bytes: 0 };

/** Small neighbours are joined up to so many entries: few runs, and little to copy when one is cut. */
const JOIN_ENTRIES = 128;

function endOf(run: VoteRun): Index {
  return run.from + run.entries.length - 1;
}

/** The highest slot voted for; 0 when there is none. */
export function lastVote(window: VoteWindow): Index {
  const run = window.runs[window.runs.length - 1];
  return run === undefined ? 0 : endOf(run);
}

/** The first run that ends at or above `slot`; the number of runs if none does. */
function runAt(runs: readonly VoteRun[], slot: Index): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endOf(runs[middle] as VoteRun) < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The vote for `slot`. */
export function voteAt(window: VoteWindow, slot: Index): Entry | undefined {
  const run = window.runs[runAt(window.runs, slot)];
  return run === undefined || run.from > slot ? undefined : run.entries[slot - run.from];
}

/** The highest slot ≤ `to` up to which every one from `from` on has a vote in `ballot`; `from` - 1 if none has. */
export function reach(window: VoteWindow, from: Index, to: Index, ballot: Ballot): Index {
  let upTo = from - 1;
  for (let at = runAt(window.runs, from); at < window.runs.length && upTo < to; at++) {
    const run = window.runs[at] as VoteRun;
    if (run.from > upTo + 1 || run.ballot !== ballot) break;
    upTo = endOf(run);
  }
  return upTo < to ? upTo : to;
}

/** Pushes a run, joined with the one before if both are small (as in a binary counter, see core/log.ts). */
function pushRun(runs: VoteRun[], run: VoteRun): void {
  runs.push(run);
  while (runs.length >= 2) {
    const a = runs[runs.length - 2] as VoteRun;
    const b = runs[runs.length - 1] as VoteRun;
    const length = a.entries.length + b.entries.length;
    if (a.ballot !== b.ballot || endOf(a) + 1 !== b.from) return;
    if (a.entries.length > b.entries.length || length > JOIN_ENTRIES) return;
    runs.length -= 2;
    runs.push({ from: a.from, ballot: a.ballot, entries: a.entries.concat(b.entries) });
  }
}

/** The part of a run below or above a cut, if any. */
function piece(run: VoteRun, from: Index, to: Index): VoteRun | null {
  const first = Math.max(from, run.from);
  const last = Math.min(to, endOf(run));
  if (first > last) return null;
  return { from: first, ballot: run.ballot, entries: run.entries.slice(first - run.from, last - run.from + 1) };
}

/** With votes for consecutive slots in one ballot, in place of what was voted there. */
export function withVotes(window: VoteWindow, entries: readonly Entry[]): VoteWindow {
  const head = entries[0];
  if (head === undefined) return window;
  const from = head.index;
  const to = from + entries.length - 1;
  const run: VoteRun = { from, ballot: head.term, entries };
  if (window.runs.length === 0) return { runs: [run], bytes: bytesOf(entries) };
  if (from > lastVote(window)) {
    const runs = window.runs.slice();
    pushRun(runs, run);
    return { runs, bytes: window.bytes + bytesOf(entries) };
  }
  return cutInto(window, run, to);
}

function cutInto(window: VoteWindow, run: VoteRun, to: Index): VoteWindow {
  const runs: VoteRun[] = [];
  let placed = false;
  for (const old of window.runs) {
    if (endOf(old) < run.from) {
      runs.push(old);
      continue;
    }
    const below = piece(old, old.from, run.from - 1);
    const above = old.from > to ? old : piece(old, to + 1, Infinity);
    if (below !== null) runs.push(below);
    if (!placed) pushRun(runs, run);
    placed = true;
    if (above !== null) runs.push(above);
  }
  assert(placed, 'paxos/votes-by-slot: a vote that overwrites stands before the last one');
  let bytes = 0;
  for (const each of runs) bytes += bytesOf(each.entries);
  return { runs, bytes };
}

/** The bytes of the votes from `from` to `to`. */
export function votedBytes({ runs }: VoteWindow, from: Index, to: Index): number {
  let bytes = 0;
  for (let at = runAt(runs, from); at < runs.length && (runs[at] as VoteRun).from <= to; at++) {
    bytes += bytesOf(piece(runs[at] as VoteRun, from, to)?.entries ?? []);
  }
  return bytes;
}

/** Without everything at or below `upTo`. */
export function above(window: VoteWindow, upTo: Index): VoteWindow {
  const { runs } = window;
  const first = runs[0];
  if (first === undefined || first.from > upTo) return window;
  if (lastVote(window) <= upTo) return emptyWindow;
  const kept: VoteRun[] = [];
  let { bytes } = window;
  for (let at = 0; at < runs.length; at++) {
    const run = runs[at] as VoteRun;
    const rest = run.from > upTo ? run : piece(run, upTo + 1, Infinity);
    if (rest !== null) kept.push(rest);
    if (rest !== run) bytes -= bytesOf(rest === null ? run.entries : run.entries.slice(0, upTo + 1 - run.from));
  }
  return { runs: kept, bytes };
}

/**
 * Votes from `from` to `to`, consecutive and in one ballot, as many as fit into `maxBytes` and at least one; empty
 * when there is no vote at `from`.
 */
export function consecutive(window: VoteWindow, from: Index, to: Index, maxBytes: number): readonly Entry[] {
  const newest = window.runs[window.runs.length - 1];
  if (newest !== undefined && newest.from === from && endOf(newest) === to && bytesOf(newest.entries) <= maxBytes) {
    return newest.entries;
  }
  const entries: Entry[] = [];
  let bytes = 0;
  let slot = from;
  for (let at = runAt(window.runs, from); at < window.runs.length && slot <= to; at++) {
    const run = window.runs[at] as VoteRun;
    const head = entries[0];
    if (run.from > slot || (head !== undefined && head.term !== run.ballot)) break;
    for (let i = slot - run.from; i < run.entries.length && slot <= to; i++) {
      const entry = run.entries[i] as Entry;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && entries.length > 0) return entries;
      entries.push(entry);
      slot++;
    }
  }
  return entries;
}

/** Entries, ascending, cut into runs of consecutive slots with one ballot. */
export function runsOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const runs: (readonly Entry[])[] = [];
  let from = 0;
  for (let at = 1; at <= entries.length; at++) {
    const before = entries[at - 1] as Entry;
    const entry = entries[at];
    if (entry !== undefined && entry.term === before.term && entry.index === before.index + 1) continue;
    runs.push(entries.slice(from, at));
    from = at;
  }
  return runs;
}

/** A window with the votes of both, of each slot that of `over` if it has one. */
export function overlaid(window: VoteWindow, over: VoteWindow): VoteWindow {
  return over.runs.reduce((all, { entries }) => withVotes(all, entries), window);
}

/** The first `most` spans of consecutive votes with one ballot. */
export function spansOf({ runs }: VoteWindow, most: number): readonly VoteSpan[] {
  const spans: VoteSpan[] = [];
  for (const run of runs) {
    const last = spans[spans.length - 1];
    const joins = last !== undefined && last.ballot === run.ballot && last.to + 1 === run.from;
    if (!joins && spans.length === most) break;
    spans.splice(joins ? -1 : spans.length, joins ? 1 : 0, {
      from: joins ? last.from : run.from,
      to: endOf(run),
      ballot: run.ballot,
    });
  }
  return spans;
}

/** One page of a promise: the slots from `from` up to the one before `next`; `next` is 0 for all from `from` on. */
export interface VotePage {
  readonly from: Index;
  readonly next: Index;
  readonly votes: readonly Entry[];
}

/**
 * At most `most` pages of the votes from `from` on, without those that `held` names, each of at most `maxBytes` unless
 * one vote alone is larger; and where the rest begins, or 0.
 */
export function pagesOf(
  window: VoteWindow,
  from: Index,
  maxBytes: number,
  held: readonly VoteSpan[],
  most: number,
): readonly [pages: readonly VotePage[], rest: Index] {
  const pages: VotePage[] = [];
  let [begin, bytes, span] = [from, 0, 0];
  let votes: Entry[] = [];
  for (let at = runAt(window.runs, from); at < window.runs.length; at++) {
    const run = window.runs[at] as VoteRun;
    for (let i = Math.max(0, from - run.from); i < run.entries.length; i++) {
      const entry = run.entries[i] as Entry;
      while (span < held.length && (held[span] as VoteSpan).to < entry.index) span++;
      const known = held[span];
      if (known !== undefined && known.from <= entry.index && known.ballot === entry.term) continue;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && votes.length > 0) {
        pages.push({ from: begin, next: entry.index, votes });
        if (pages.length === most) return [pages, entry.index];
        [begin, bytes, votes] = [entry.index, entryBytes(entry), []];
      }
      votes.push(entry);
    }
  }
  pages.push({ from: begin, next: 0, votes });
  return [pages, 0];
}

/** Votes from `from` on, with gaps, as many as fit into `maxBytes`, at least one; and where the rest begins, or 0. */
export function page(
  window: VoteWindow,
  from: Index,
  maxBytes: number,
): readonly [votes: readonly Entry[], next: Index] {
  const votes: Entry[] = [];
  let bytes = 0;
  for (let at = runAt(window.runs, from); at < window.runs.length; at++) {
    const run = window.runs[at] as VoteRun;
    for (let i = Math.max(0, from - run.from); i < run.entries.length; i++) {
      const entry = run.entries[i] as Entry;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && votes.length > 0) return [votes, entry.index];
      votes.push(entry);
    }
  }
  return [votes, 0];
}

/** The runs at or below `upTo`, the last one cut there. */
export function runsThrough(window: VoteWindow, upTo: Index): readonly VoteRun[] {
  if (lastVote(window) <= upTo) return window.runs;
  const runs: VoteRun[] = [];
  for (let at = 0; at < window.runs.length; at++) {
    const run = window.runs[at] as VoteRun;
    if (run.from > upTo) break;
    runs.push(endOf(run) <= upTo ? run : (piece(run, run.from, upTo) as VoteRun));
  }
  return runs;
}
