/**
 * Where proposals stand in the log of a leader, for retries: is this one among the uncommitted entries, and where? It
 * is asked seldom, so nothing is kept until the first retry comes. From then on each entry is noted once, and forgotten
 * once when it is committed; with no further retries all of it is dropped.
 *
 * Only what this leader cannot change any more is noted. Values that the leader of Multi-Paxos has still to propose
 * again are looked through each time; as long as there are any, it takes nothing new.
 */

import { itemAtOrBelow, itemsThrough, withItem, withoutItem, withoutItems, type Book, type BookItem } from './book.js';
import type { Entry, EntryId, Index } from './protocol.js';

/** The uncommitted entries of one session: their indexes by their sequences. */
export interface StandingSession extends BookItem {
  readonly entries: Book<BookItem>;
}

/** @see noteStanding */
export interface StandingProposals {
  /** The entries up to here are noted. */
  readonly through: Index;
  readonly sessions: Book<StandingSession>;
}

const nothingNoted: StandingProposals = { through: 0, sessions: null };

const keyOf = ({ key }: BookItem): number => key;

function withSession(
  sessions: StandingProposals['sessions'],
  key: number,
  entries: StandingSession['entries'],
): StandingProposals['sessions'] {
  if (entries === null) return withoutItem(sessions, key);
  return withItem(sessions, { key, deadline: Infinity, at: entries.at, entries });
}

function entriesOf(sessions: StandingProposals['sessions'], session: number): StandingSession['entries'] {
  const found = itemAtOrBelow(sessions, session);
  return found?.key === session ? found.entries : null;
}

/** Without what is committed. */
function withoutCommitted(sessions: StandingProposals['sessions'], commit: Index): StandingProposals['sessions'] {
  let left = sessions;
  for (const { key, entries } of itemsThrough(sessions, commit)) {
    const gone = itemsThrough(entries, commit).map(keyOf);
    left = withSession(left, key, withoutItems(entries, gone));
  }
  return left;
}

/**
 * With all that stands above the commit index and up to `settled`.
 * @param entriesFrom the entries from an index on, ascending
 */
export function noteStanding(
  before: StandingProposals | null,
  commit: Index,
  settled: Index,
  entriesFrom: (from: Index) => readonly Entry[],
): StandingProposals {
  const { through, sessions } = before ?? nothingNoted;
  if (before !== null && through >= settled) {
    const left = withoutCommitted(sessions, commit);
    return left === sessions ? before : { through, sessions: left };
  }
  let left = through <= commit ? null : withoutCommitted(sessions, commit);
  for (const { id, index } of entriesFrom(Math.max(commit, through) + 1)) {
    if (index > settled) break;
    if (id === null) continue;
    const { session, sequence } = id;
    const item = { key: sequence, deadline: Infinity, at: index };
    left = withSession(left, session, withItem(entriesOf(left, session), item));
  }
  return { through: settled, sessions: left };
}

/** The index at which the proposal of this id stands; 0 if it is not noted. */
export function standingAt({ sessions }: StandingProposals, { session, sequence }: EntryId): Index {
  const found = itemAtOrBelow(entriesOf(sessions, session), sequence);
  return found?.key === sequence ? found.at : 0;
}
