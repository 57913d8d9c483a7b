/**
 * The log as an immutable value: the terms of all entries, run-length encoded, and of the entries themselves a bounded
 * tail. Older versions stay valid. The cost of appending follows the number of entries appended: the tail is a list of
 * chunks, and small neighbours are joined now and then, as the digits of a counter are carried.
 *
 * In Raft it is Figure 2's log; in Multi-Paxos the chosen prefix. It begins behind its base, which is index 0 or the
 * newest entry that was trimmed: of that one the term is known, and of what lies before nothing.
 *
 * Invariants: indexes are consecutive from `first` to `last`; runs cover exactly those; terms do not fall in
 * Raft; the chunks hold exactly `tailFrom`..`last`; `bytes` is the size of those.
 */

import { bytesOf, entryBytes } from './entries.js';
import { assert } from './assert.js';
import type { Entry, Index, Limits, LogBase, Recovered, Term, TermRun } from './protocol.js';

interface Chunk {
  readonly from: Index;
  readonly entries: readonly Entry[];
  readonly bytes: number;
}

export interface Log {
  /** The lowest index in memory or storage; 1 while nothing was trimmed. */
  readonly first: Index;
  /** The term of the base, which is `first` - 1; 0 for index 0. */
  readonly baseTerm: Term;
  /** The highest index, that of the base when empty. */
  readonly last: Index;
  readonly runs: readonly TermRun[];
  /** The lowest index held in memory; `last` + 1 when none is. */
  readonly tailFrom: Index;
  readonly chunks: readonly Chunk[];
  readonly bytes: number;
}

/** So many chunks are joined at a time, up to this many entries and bytes. */
const JOINED = 8;
const JOIN_ENTRIES = 512;
const JOIN_BYTES = 128 * 1024;

export const emptyLog: Log = { first: 1, baseTerm: 0, last: 0, runs: [], tailFrom: 1, chunks: [], bytes: 0 };

export const noBase: LogBase = { index: 0, term: 0 };

/** A log without entries behind this base. */
export function emptyBehind({ index, term }: LogBase): Log {
  return { ...emptyLog, first: index + 1, baseTerm: term, last: index, tailFrom: index + 1 };
}

/** What the log begins behind. */
export function baseOf({ first, baseTerm }: Log): LogBase {
  return { index: first - 1, term: baseTerm };
}

/**
 * The log that storage held, up to `last`. Of the recovered tail only the consecutive part that ends there is kept.
 * @throws InvariantViolation when bounds, runs and tail contradict each other
 */
export function recoverLog(recovered: Recovered, last: Index = recovered.last): Log {
  const { base } = recovered;
  const runs = recovered.runs.filter((run) => run.from <= last);
  assert(
    last === base.index || (last > base.index && runs[0]?.from === base.index + 1),
    'log/recovered-whole: the recovered terms cover the recovered log',
  );
  const tail = recovered.tail.filter((entry) => entry.index <= last);
  const from = tail[0]?.index ?? last + 1;
  const bare: Log = { ...emptyBehind(base), last: from - 1, tailFrom: from };
  const log = append(bare, tail);
  assert(log.last === last, 'log/recovered-whole: the recovered tail reaches the end of the log');
  return { ...log, runs };
}

/** The term of the last entry, that of the base when empty. */
export function lastTerm(log: Log): Term {
  const run = log.runs[log.runs.length - 1];
  return run === undefined ? log.baseTerm : run.term;
}

/** The term at `index`, the base included; `undefined` before it and beyond the log. */
export function termAt(log: Log, index: Index): Term | undefined {
  if (index > log.last || index < log.first) return index === log.first - 1 ? log.baseTerm : undefined;
  const { runs } = log;
  let at = runs.length - 1;
  if (index >= (runs[at] as TermRun).from) return (runs[at] as TermRun).term;
  let low = 0;
  while (at - low > 1) {
    const middle = (low + at) >>> 1;
    if ((runs[middle] as TermRun).from <= index) low = middle;
    else at = middle;
  }
  return (runs[low] as TermRun).term;
}

/** Whether the log holds the entry of that index and term (Log Matching, Raft paper §5.3). */
export function matches(log: Log, index: Index, term: Term): boolean {
  return termAt(log, index) === term;
}

/**
 * The highest index ≤ `index` whose term is ≤ `term`, the base included; 0 when none is known. For hints after a
 * rejected append.
 */
export function lastIndexWithTermAtMost(log: Log, term: Term, index: Index): Index {
  let end = Math.min(index, log.last);
  for (let at = log.runs.length - 1; at >= 0 && end > 0; at--) {
    const run = log.runs[at] as TermRun;
    if (run.from > end) continue;
    if (run.term <= term) return end;
    end = run.from - 1;
  }
  return end === log.first - 1 && log.baseTerm <= term ? end : 0;
}

/**
 * The chunks with these entries appended. As soon as there are `JOINED` neighbours at the end that are not larger than
 * the newest, they become one: each entry is copied once for each power of `JOINED`, and most appends copy none.
 */
function withChunk(chunks: readonly Chunk[], entries: readonly Entry[], bytes: number): readonly Chunk[] {
  let at = chunks.length;
  let length = entries.length;
  let size = bytes;
  for (let from = at - JOINED + 1; from >= 0; from -= JOINED - 1) {
    if ((chunks[from] as Chunk).entries.length > length) break;
    let joined = length;
    let together = size;
    for (let i = from; i < at; i++) {
      joined += (chunks[i] as Chunk).entries.length;
      together += (chunks[i] as Chunk).bytes;
    }
    if (joined > JOIN_ENTRIES || together > JOIN_BYTES) break;
    at = from;
    length = joined;
    size = together;
  }
  const next = new Array<Chunk>(at + 1);
  for (let i = 0; i < at; i++) next[i] = chunks[i] as Chunk;
  const whole = at === chunks.length ? entries : joined(chunks, at, entries, length);
  next[at] = { from: (whole[0] as Entry).index, entries: whole, bytes: size };
  return next;
}

/** The entries of the chunks from the place `from` on, and these, in one array. */
function joined(chunks: readonly Chunk[], from: number, last: readonly Entry[], length: number): readonly Entry[] {
  const all = new Array<Entry>(length);
  let at = 0;
  for (let i = from; i < chunks.length; i++) {
    const { entries } = chunks[i] as Chunk;
    for (let j = 0; j < entries.length; j++) all[at++] = entries[j] as Entry;
  }
  for (let j = 0; j < last.length; j++) all[at++] = last[j] as Entry;
  return all;
}

/** With these entries after the last one. @throws InvariantViolation unless they continue the log */
export function append(log: Log, entries: readonly Entry[]): Log {
  const head = entries[0];
  if (head === undefined) return log;
  assert(head.index === log.last + 1, 'log/no-gap: entries are appended after the last one');
  let runs = log.runs;
  let term = runs.length === 0 ? -1 : lastTerm(log); // the run of the base is not among them
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    assert(entry.index === head.index + i, 'log/no-gap: appended entries are consecutive');
    if (entry.term !== term) {
      term = entry.term;
      runs = [...runs, { from: entry.index, term }];
    }
  }
  const bytes = bytesOf(entries);
  const chunks = withChunk(log.chunks, entries, bytes);
  const last = log.last + entries.length;
  const { first, baseTerm, tailFrom } = log;
  return { first, baseTerm, last, runs, tailFrom, chunks, bytes: log.bytes + bytes };
}

/** Without `from` and everything above it. */
export function truncate(log: Log, from: Index): Log {
  if (from > log.last) return log;
  const runs = log.runs.filter((run) => run.from < from);
  const chunks: Chunk[] = [];
  let bytes = 0;
  for (const chunk of log.chunks) {
    if (chunk.from >= from) break;
    const keep = Math.min(chunk.entries.length, from - chunk.from);
    const entries = keep === chunk.entries.length ? chunk.entries : chunk.entries.slice(0, keep);
    const size = bytesOf(entries);
    chunks.push({ from: chunk.from, entries, bytes: size });
    bytes += size;
  }
  const { first, baseTerm } = log;
  return { first, baseTerm, last: from - 1, runs, tailFrom: Math.min(log.tailFrom, from), chunks, bytes };
}

/** Without `through` and everything below it: it is the new base. */
export function trim(log: Log, through: Index): Log {
  const term = termAt(log, through);
  assert(term !== undefined && through >= log.first, 'snapshots/trim-below-snapshot: what is trimmed is in the log');
  const runs = log.runs.filter(
    (run, at) => run.from > through || (log.runs[at + 1]?.from ?? log.last + 1) > through + 1,
  );
  const begin = runs[0];
  if (begin !== undefined && begin.from <= through) runs[0] = { from: through + 1, term: begin.term };
  const chunks: Chunk[] = [];
  let bytes = 0;
  for (const chunk of log.chunks) {
    const gone = Math.max(0, Math.min(chunk.entries.length, through + 1 - chunk.from));
    if (gone === chunk.entries.length) continue;
    const entries = gone === 0 ? chunk.entries : chunk.entries.slice(gone);
    const size = gone === 0 ? chunk.bytes : bytesOf(entries);
    chunks.push({ from: chunk.from + gone, entries, bytes: size });
    bytes += size;
  }
  const tailFrom = Math.max(log.tailFrom, through + 1);
  return { first: through + 1, baseTerm: term as Term, last: log.last, runs, tailFrom, chunks, bytes };
}

/**
 * So many entries stay in memory though nobody is known to need them, unless the bounds are tighter: the newest may be
 * asked for again.
 */
export const RECENT = 64;

/**
 * Without the oldest chunks in memory, as long as they are durable and the tail exceeds its bounds, or nobody needs
 * them. Entries that are dropped while they are young cost a collector next to nothing; those that it moves among the
 * old ones, and what they hold, stay until it has looked at all of the heap.
 *
 * @param spent up to here nobody is known to need them
 */
export function evict(log: Log, durable: Index, spent: Index, limits: Limits): Log {
  let { bytes, tailFrom } = log;
  let drop = 0;
  while (drop < log.chunks.length) {
    const chunk = log.chunks[drop] as Chunk;
    const end = chunk.from + chunk.entries.length - 1;
    const count = log.last - end;
    const isOver = count >= limits.tailEntries || bytes - chunk.bytes >= limits.tailBytes;
    const isSpent = end <= spent && count >= RECENT;
    if (end > durable || !(isOver || isSpent)) break;
    bytes -= chunk.bytes;
    tailFrom = end + 1;
    drop++;
  }
  if (drop === 0) return log;
  const { first, baseTerm, last, runs } = log;
  return { first, baseTerm, last, runs, tailFrom, chunks: log.chunks.slice(drop), bytes };
}

function chunkAt(log: Log, index: Index): number {
  let low = 0;
  let high = log.chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((log.chunks[middle] as Chunk).from <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The entry at `index`, if it is in memory. */
export function entryAt(log: Log, index: Index): Entry | undefined {
  if (index < log.tailFrom || index > log.last) return undefined;
  const chunk = log.chunks[chunkAt(log, index)] as Chunk;
  return chunk.entries[index - chunk.from];
}

/**
 * The entries from `from` to `to`, as many as fit into `maxBytes` and at least one; `undefined` if they are not
 * in memory. Empty when there are none.
 */
export function slice(log: Log, from: Index, to: Index, maxBytes: number): readonly Entry[] | undefined {
  const end = Math.min(to, log.last);
  if (from > end) return [];
  if (from < log.tailFrom) return undefined;
  let at = chunkAt(log, from);
  const whole = log.chunks[at] as Chunk;
  if (whole.from === from && from + whole.entries.length - 1 === end && whole.bytes <= maxBytes) return whole.entries;
  const entries: Entry[] = [];
  let bytes = 0;
  for (; at < log.chunks.length; at++) {
    const chunk = log.chunks[at] as Chunk;
    const stop = Math.min(chunk.entries.length, end - chunk.from + 1);
    for (let i = Math.max(0, from - chunk.from); i < stop; i++) {
      const entry = chunk.entries[i] as Entry;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && entries.length > 0) return entries;
      entries.push(entry);
    }
    if (chunk.from + stop > end) break;
  }
  return entries;
}

/** The bytes of the entries from `from` to `to` that are in memory. */
export function bytesWithin({ chunks }: Log, from: Index, to: Index): number {
  let bytes = 0;
  for (const chunk of chunks) {
    const begin = Math.max(0, from - chunk.from);
    const end = Math.min(chunk.entries.length, to + 1 - chunk.from);
    if (begin >= end) continue;
    bytes += end - begin === chunk.entries.length ? chunk.bytes : bytesOf(chunk.entries.slice(begin, end));
  }
  return bytes;
}

/**
 * The prefix of loaded entries, from `first` to `last` at most, that agrees with the log. The storage may have read
 * before a truncate that was on its way to it, so the rest may have been overwritten since.
 */
export function agreeing(log: Log, entries: readonly Entry[], first: Index, last: Index): readonly Entry[] {
  let count = 0;
  for (; count < entries.length && first + count <= last; count++) {
    const { index, term } = entries[count] as Entry;
    if (index !== first + count || termAt(log, index) !== term) break;
  }
  return count === entries.length ? entries : entries.slice(0, count);
}
