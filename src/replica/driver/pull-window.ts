/**
 * How much of a snapshot is asked for at once: little at first, more with each answer that comes in time, so that no
 * more waits on the link of the source than it carries in a while, however slow it is, and a quick one is kept busy.
 *
 * Invariants: what is asked for and not answered fits into the room, but for one chunk; without an answer in time the
 * oldest chunk alone is asked for again, and what was asked behind it as answers come; a chunk that three younger ones
 * have overtaken is asked for again at once (RFC 5681, "Fast Retransmit"); patience follows from what answers took
 * before (snapshots/pull-by-evidence).
 */

import type { Limits, Milliseconds, Timing } from '../../core/protocol.js';
import { MOST_CHUNK } from './snapshot-messages.js';

/** A part of a file. */
export interface FileSpan {
  readonly offset: number;
  readonly length: number;
}

interface AskedSpan extends FileSpan {
  readonly at: Milliseconds;
  /** How many that were asked for later have come. */
  readonly passed: number;
}

/** @see openWindow */
export interface PullWindow {
  /** Bytes that may be under way. */
  readonly room: number;
  /** What is asked for, oldest first. */
  readonly open: readonly AskedSpan[];
  /** What was asked for in vain, by offset. */
  readonly lost: readonly FileSpan[];
  /** What is behind was never asked for. */
  readonly next: number;
  /** What an answer takes, about. */
  readonly took: Milliseconds;
  /** When the room was made less. */
  readonly shrunkAt: Milliseconds;
}

/** How large a window may be. */
export interface WindowBounds {
  /** The largest chunk, in bytes. */
  readonly chunk: number;
  /** An answer is late after so long; in half of it, it is in time. */
  readonly patience: Milliseconds;
}

/** The bytes of the first chunk. */
const FIRST = 4096;
/** The most that is under way, or waits to be stored: so many of the largest chunks. */
const MOST_CHUNKS = 16;
/** The room holds so many chunks, once it is larger than so many of the first size. */
const CHUNKS_IN_ROOM = 4;
const OVERTAKEN = 3;
/** An answer is waited for so many times as long as the ones before it took. */
const MEASURES = 4;

/** How large a window of this replica may be. */
export function boundsOf({ electionMax }: Timing, { messageBytes }: Limits): WindowBounds {
  return { chunk: Math.min(MOST_CHUNK, messageBytes), patience: 2 * electionMax };
}

function leastChunk({ chunk }: WindowBounds): number {
  return Math.min(FIRST, chunk);
}

/** The window of a pull that begins at this offset. */
export function openWindow(from: number, bounds: WindowBounds): PullWindow {
  return { room: leastChunk(bounds), open: [], lost: [], next: from, took: 0, shrunkAt: -Infinity };
}

/** What is to be asked for now, of a file of so many bytes, of which so many are stored; `null`: nothing. */
export function nextSpan(window: PullWindow, bounds: WindowBounds, bytes: number, stored: number): FileSpan | null {
  const { room, open, lost, next } = window;
  const [again] = lost;
  const size = Math.min(bounds.chunk, Math.max(leastChunk(bounds), Math.floor(room / CHUNKS_IN_ROOM)));
  const fresh = { offset: next, length: Math.min(size, bytes - next) };
  const span = again ?? (next < bytes && next - stored < MOST_CHUNKS * bounds.chunk ? fresh : null);
  const under = open.reduce((sum, { length }) => sum + length, 0);
  return span === null || (open.length > 0 && under + span.length > room) ? null : span;
}

export function asks(window: PullWindow, { offset, length }: FileSpan, now: Milliseconds): PullWindow {
  const open = [...window.open, { offset, length, at: now, passed: 0 }];
  const lost = window.lost.filter((each) => each.offset !== offset);
  return { ...window, open, lost, next: Math.max(window.next, offset + length) };
}

/** The span at this offset that was asked for. */
export function askedAt({ open, lost }: PullWindow, offset: number): FileSpan | undefined {
  return open.find((each) => each.offset === offset) ?? lost.find((each) => each.offset === offset);
}

/** Whether no answer is waited for. */
export function asksNothing({ open, lost }: PullWindow): boolean {
  return open.length + lost.length === 0;
}

/**
 * A source answers for the first time.
 * @param since when the first one was asked. If others were since then, it is not known which question is answered: the
 * answer is no measure, as one to what was asked for in vain is none.
 */
export function firstAnswered(
  window: PullWindow,
  bounds: WindowBounds,
  since: Milliseconds,
  now: Milliseconds,
): PullWindow {
  return window.open.every(({ at }) => at === since) ? window : timedOut(window, bounds, now);
}

/** What was asked for at this offset has come. */
export function answeredAt(window: PullWindow, bounds: WindowBounds, offset: number, now: Milliseconds): PullWindow {
  const at = window.open.findIndex((each) => each.offset === offset);
  const without = window.lost.filter((each) => each.offset !== offset);
  const answered = window.open[at];
  if (answered === undefined) return { ...window, lost: without }; // it was only late
  const passed = window.open.slice(0, at).map((each) => ({ ...each, passed: each.passed + 1 }));
  const gone = passed.filter((each) => each.passed >= OVERTAKEN);
  const open = [...passed.filter((each) => !gone.includes(each)), ...window.open.slice(at + 1)];
  const lost = sorted([...without, ...gone]);
  const took = now - answered.at;
  const measured = window.took === 0 ? took : (7 * window.took + took) / 8;
  return { ...window, ...roomAfter(window, bounds, answered, now), open, lost, took: measured };
}

function roomAfter(
  { room, shrunkAt }: PullWindow,
  bounds: WindowBounds,
  { at, length }: AskedSpan,
  now: Milliseconds,
): Pick<PullWindow, 'room' | 'shrunkAt'> {
  const took = now - at;
  if (took <= bounds.patience / 2) return { room: Math.min(MOST_CHUNKS * bounds.chunk, room + length), shrunkAt };
  // What was asked for before the room was made less says nothing of the room as it is.
  if (took <= bounds.patience || at < shrunkAt) return { room, shrunkAt };
  return { room: Math.max(leastChunk(bounds), Math.floor(room / 2)), shrunkAt: now };
}

function sorted(spans: readonly FileSpan[]): readonly FileSpan[] {
  return spans.map(({ offset, length }) => ({ offset, length })).sort((a, b) => a.offset - b.offset);
}

/** Nothing has come for too long. */
export function timedOut(window: PullWindow, bounds: WindowBounds, now: Milliseconds): PullWindow {
  const lost = sorted([...window.lost, ...window.open]);
  return { ...window, room: leastChunk(bounds), open: [], lost, shrunkAt: now };
}

/** How long an answer is waited for now. */
export function patienceOf({ took }: PullWindow, { patience }: WindowBounds): Milliseconds {
  return Math.max(patience, MEASURES * took);
}
