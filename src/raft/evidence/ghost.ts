/**
 * What an observer who sees everything remembers of a Raft cluster: who won which term, what each replica promised in
 * messages that left it, and what was committed in which term. It changes at elections, promises and commits only.
 * Immutable plain data; every change gives the next ghost.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
import { termAt, type Log } from '../../core/log.js';
import type { ReplicaId } from '../../core/members.js';
import { digestUnordered, type Digest } from '../../core/model.js';
import type { Index, Term } from '../../core/protocol.js';

/** Who won a term. */
export interface ElectionWin {
  readonly term: Term;
  readonly leader: ReplicaId;
}

/** The newest term in which a message of this replica left that rests on durable state, and the vote it claimed. */
export interface RaftPromise {
  readonly replica: ReplicaId;
  readonly term: Term;
  readonly vote: ReplicaId | null;
}

/**
 * The entries after the run before, up to `through`: the term they were appended in, and the one they were committed
 * in.
 */
export interface CommittedRun {
  readonly through: Index;
  readonly term: Term;
  readonly by: Term;
}

export interface RaftGhost {
  /** Ascending by term. */
  readonly wins: readonly ElectionWin[];
  /** One for each replica that promised anything, in the order of their first promises. */
  readonly promises: readonly RaftPromise[];
  readonly committed: readonly CommittedRun[];
}

export const noGhost: RaftGhost = { wins: [], promises: [], committed: [] };

export function violated(text: RuleText, evidence: Readonly<Record<string, unknown>>): never {
  throw new InvariantViolation(`${text}: ${JSON.stringify(evidence)}`, evidence);
}

/** The highest index that is committed anywhere. */
export function lastCommitted({ committed }: RaftGhost): Index {
  return committed[committed.length - 1]?.through ?? 0;
}

/** The term of the entry that is committed at `index`, if one is. */
export function committedTerm({ committed }: RaftGhost, index: Index): Term | undefined {
  let term: Term | undefined;
  for (let at = committed.length - 1; at >= 0; at--) {
    const run = committed[at] as CommittedRun;
    if (run.through < index) break;
    term = run.term;
  }
  return term;
}

/** The leader of that term, if it was won. */
export function winnerOf({ wins }: RaftGhost, term: Term): ReplicaId | undefined {
  return wins.find((win) => win.term === term)?.leader;
}

/** What that replica promised, if anything. */
export function promiseOf({ promises }: RaftGhost, replica: ReplicaId): RaftPromise | undefined {
  return promises.find((each) => each.replica === replica);
}

/** With one more term won. */
export function withWin(ghost: RaftGhost, win: ElectionWin): RaftGhost {
  return { ...ghost, wins: [...ghost.wins, win].sort((a, b) => a.term - b.term) };
}

/** With this promise in place of the earlier one of the same replica. */
export function withPromise(ghost: RaftGhost, promise: RaftPromise): RaftGhost {
  const promises = ghost.promises.slice();
  const at = promises.findIndex((each) => each.replica === promise.replica);
  promises[at < 0 ? promises.length : at] = promise;
  return { ...ghost, promises };
}

/** With the entries from `from` to `to` of this log committed, for the first time, by the leader of term `by`. */
export function withCommitted(ghost: RaftGhost, log: Log, by: Term, from: Index, to: Index): RaftGhost {
  const runs = ghost.committed.slice();
  for (let through = from; through <= to; through++) {
    const term = termAt(log, through) as Term;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.term === term && last.by === by) runs.pop();
    runs.push({ through, term, by });
  }
  return { ...ghost, committed: runs };
}

/** @see Safety.digest */
export function digestGhost({ wins, promises, committed: runs }: RaftGhost, digest: Digest): void {
  digest.value(wins.length);
  for (const { term, leader } of wins) {
    digest.value(term);
    digest.id(leader);
  }
  digestUnordered(digest, promises, ({ replica, term, vote }) => {
    digest.id(replica);
    digest.value(term);
    digest.id(vote);
  });
  digest.value(runs.length);
  for (const { through, term, by } of runs) {
    digest.value(through);
    digest.value(term);
    digest.value(by);
  }
}
