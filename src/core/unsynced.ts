/**
 * The entries that were written and are not yet known to be durable, as runs of indexes. A truncate or an overwriting
 * vote cuts the runs, and `persisted` removes those that it covers, so that a late acknowledgement by the disk never
 * counts for an entry that was overwritten since (durability/unsynced-runs). The durable index is the one below the
 * lowest run, never a stored maximum.
 */

import type { Index, PersistSeq, Term } from './protocol.js';

/** Entries `from`..`to`, of that term or ballot, are on their way to disk in persist `persistSeq`. */
export interface UnsyncedRun {
  readonly from: Index;
  readonly to: Index;
  readonly term: Term;
  readonly persistSeq: PersistSeq;
}

/** Ascending by the order of writing; runs never overlap. */
export type Unsynced = readonly UnsyncedRun[];

/**
 * While the disk is slow, so many runs are kept apart. A further one of the same term joins the one that it follows,
 * and counts as durable with the later persist: never too early.
 */
const MOST_RUNS = 64;

function overlaps(runs: Unsynced, from: Index, to: Index): boolean {
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i] as UnsyncedRun;
    if (run.from <= to && run.to >= from) return true;
  }
  return false;
}

const NONE: Unsynced = [];

/** Without the indexes `from`..`to`: they were overwritten or dropped. */
export function cutUnsynced(runs: Unsynced, from: Index, to: Index = Infinity): Unsynced {
  if (!overlaps(runs, from, to)) return runs;
  const kept: UnsyncedRun[] = [];
  for (const run of runs) {
    if (run.to < from || run.from > to) {
      kept.push(run);
      continue;
    }
    if (run.from < from) kept.push({ ...run, to: from - 1 });
    if (run.to > to) kept.push({ ...run, from: to + 1 });
  }
  return kept;
}

/** With `from`..`to` on their way in `persistSeq`, in place of earlier runs at these indexes. */
export function noteUnsynced(runs: Unsynced, from: Index, to: Index, term: Term, persistSeq: PersistSeq): Unsynced {
  if (runs.length === 0) return [{ from, to, term, persistSeq }];
  const kept = cutUnsynced(runs, from, to);
  const last = kept[kept.length - 1];
  const follows = last !== undefined && last.term === term && last.to === from - 1;
  if (follows && (last.persistSeq === persistSeq || kept.length >= MOST_RUNS)) {
    return [...kept.slice(0, -1), { from: last.from, to, term, persistSeq }];
  }
  return [...kept, { from, to, term, persistSeq }];
}

/** Without the runs that persist `persistSeq` and those before it have made durable. */
export function cutSynced(runs: Unsynced, persistSeq: PersistSeq): Unsynced {
  const newest = runs[runs.length - 1];
  if (newest === undefined || (runs[0] as UnsyncedRun).persistSeq > persistSeq) return runs;
  return newest.persistSeq <= persistSeq ? NONE : runs.filter((run) => run.persistSeq > persistSeq);
}

/** The highest index up to which everything is durable, in a log that ends at `last`. */
export function durableIndex(runs: Unsynced, last: Index): Index {
  let durable = last;
  for (let i = 0; i < runs.length; i++) durable = Math.min(durable, (runs[i] as UnsyncedRun).from - 1);
  return durable;
}

/** Whether the entry at `index` is durable as it now stands. */
export function isSynced(runs: Unsynced, index: Index): boolean {
  return !runs.some((run) => run.from <= index && index <= run.to);
}

/** The newest persist that any of `from`..`to` waits for; 0 for none. */
export function seqCovering(runs: Unsynced, from: Index, to: Index): PersistSeq {
  let persistSeq = 0;
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i] as UnsyncedRun;
    if (run.from <= to && run.to >= from && run.persistSeq > persistSeq) persistSeq = run.persistSeq;
  }
  return persistSeq;
}
