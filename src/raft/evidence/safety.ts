/**
 * The safety of a whole Raft cluster: what no replica can see alone, as a fold over what happens. The ghost is what
 * must be remembered for it: who won which term, what a replica promised in messages that left, and what was committed
 * under whom. It changes at elections, votes and commits only. The rules are in `safety-rules.ts`.
 */

import { digestUnordered, type Digest } from '../../core/model.js';
import type { Safety, SendFact, StepFact } from '../../core/model.js';
import type { Index, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { lastTerm, termAt } from '../../core/log.js';
import type { RaftMessage } from '../messages.js';
import * as rules from './rules.js';
import type { RaftState } from '../state.js';
import type { RaftCluster } from './rules.js';

/** Who won a term. */
export interface ElectionWin {
  readonly term: Term;
  readonly leader: ReplicaId;
}

/** The newest term that a replica named in a claim which left it, and whom it gave its vote in it, if that left. */
export interface RaftPromise {
  readonly replica: ReplicaId;
  readonly term: Term;
  readonly vote: ReplicaId | null;
}

/** What was committed up to `through`, from the run before on: in which term it was appended, and committed first. */
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

export type RaftStepFact = StepFact<RaftState, RaftMessage>;

const initial: RaftGhost = { wins: [], promises: [], committed: [] };

function isWin(before: RaftState | null, after: RaftState): boolean {
  if (after.role.kind !== 'leader') return false;
  return before === null || before.role.kind !== 'leader' || before.term !== after.term;
}

function won(ghost: RaftGhost, after: RaftState, cluster: RaftCluster): RaftGhost {
  rules.checkWin(ghost, after, cluster);
  const { term, options } = after;
  const wins = [...ghost.wins, { term, leader: options.id }];
  return { ...ghost, wins: wins.sort((a, b) => a.term - b.term) };
}

/** What a leader has committed now and nobody before. */
function committed(ghost: RaftGhost, { log, term: by }: RaftState, from: Index, to: Index): RaftGhost {
  const runs = ghost.committed.slice();
  for (let through = from; through <= to; through++) {
    const term = termAt(log, through) as Term;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.term === term && last.by === by) runs.pop();
    runs.push({ through, term, by });
  }
  return { ...ghost, committed: runs };
}

function commitMoved(ghost: RaftGhost, after: RaftState, cluster: RaftCluster): RaftGhost {
  const known = rules.lastCommitted(ghost);
  if (after.commit <= known || after.role.kind !== 'leader') {
    rules.checkLearned(ghost, after);
    return ghost;
  }
  rules.checkDurable(after, known, cluster);
  rules.checkLogsAbove(after, cluster);
  if (known > 0) rules.checkCommittedAt(ghost, after, known);
  return committed(ghost, after, known + 1, after.commit);
}

function step(ghost: RaftGhost, { before, after }: RaftStepFact, cluster: RaftCluster): RaftGhost {
  if (before === null) rules.checkKept(ghost, after.options.id, after.term, after.vote);
  else if (before.log === after.log && before.commit === after.commit && before.role === after.role) return ghost;
  if (before === null || before.log !== after.log) {
    rules.checkLogMatching(before?.log ?? null, after, cluster);
    if (lastTerm(after.log) > (before === null ? 0 : lastTerm(before.log))) rules.checkComplete(ghost, after);
  }
  let next = ghost;
  if (isWin(before, after)) next = won(next, after, cluster);
  if (after.role.kind === 'leader') rules.checkMatches(before, after, after.role, cluster);
  if (after.commit !== (before?.commit ?? 0)) next = commitMoved(next, after, cluster);
  return next;
}

/** Whom the sender has voted for, if the message says so. `undefined`: it rests on nothing that must last. */
function voteIn({ from, to, message }: SendFact<RaftMessage>): ReplicaId | null | undefined {
  switch (message.kind) {
    case 'requestVote':
    case 'appendEntries':
      return from;
    case 'requestVoteReply':
      return message.granted ? to : undefined;
    case 'appendAccepted':
      return null;
    default:
      return undefined;
  }
}

function send(ghost: RaftGhost, fact: SendFact<RaftMessage>, cluster: RaftCluster): RaftGhost {
  const vote = voteIn(fact);
  if (vote === undefined) return ghost;
  rules.checkClaim(fact, vote, cluster);
  const { from, message } = fact;
  if (message.kind === 'appendAccepted') rules.checkAccepted(ghost, from, message, cluster);
  const { promises } = ghost;
  let at = 0;
  while (at < promises.length && (promises[at] as RaftPromise).replica !== from) at++;
  const known = promises[at];
  const { term } = message;
  if (known !== undefined) {
    rules.checkVote(known, term, vote);
    const newer = term > known.term || (term === known.term && known.vote === null && vote !== null);
    if (!newer) return ghost;
  }
  const next = promises.slice();
  next[at] = { replica: from, term, vote };
  return { ...ghost, promises: next };
}

function durable(ghost: RaftGhost, replica: ReplicaId, cluster: RaftCluster): RaftGhost {
  const { hard } = rules.viewOf(cluster, replica).disk;
  rules.checkKept(ghost, replica, hard?.term ?? 0, hard?.vote ?? null);
  rules.checkStillMatched(replica, cluster);
  return ghost;
}

function digestGhost({ wins, promises, committed: runs }: RaftGhost, digest: Digest): void {
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

/** @see Safety */
export const safety: Safety<RaftState, RaftMessage, RaftGhost> = { initial, step, send, durable, digest: digestGhost };
