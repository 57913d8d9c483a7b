/**
 * The safety of a whole Raft cluster, which no replica can see alone, as a fold over what happens: every step, message
 * and write is held against the rules (`rules.ts`, `durability-claims.ts`), and what must be remembered for them is
 * put into the ghost. Where a rule needs no look at others it stands in `invariants.ts`.
 */

import { lastTerm } from '../../core/log.js';
import type { ReplicaId } from '../../core/members.js';
import type { Safety } from '../../core/model.js';
import type { RaftMessage } from '../messages.js';
import type { RaftState } from '../state.js';
import { checkClaims } from './durability-claims.js';
import { digestGhost, lastCommitted, noGhost, withCommitted, withWin, type RaftGhost } from './ghost.js';
import * as rules from './rules.js';
import type { RaftCluster, RaftStepFact } from './rules.js';

function isWin(before: RaftState | null, after: RaftState): boolean {
  if (after.role.kind !== 'leader') return false;
  return before === null || before.role.kind !== 'leader' || before.term !== after.term;
}

function won(ghost: RaftGhost, after: RaftState, cluster: RaftCluster): RaftGhost {
  rules.checkWin(ghost, after, cluster);
  const { term, options } = after;
  return withWin(ghost, { term, leader: options.id });
}

function commitMoved(ghost: RaftGhost, after: RaftState, cluster: RaftCluster): RaftGhost {
  const known = lastCommitted(ghost);
  if (after.commit <= known || after.role.kind !== 'leader') {
    rules.checkLearned(ghost, after);
    return ghost;
  }
  rules.checkDurable(after, known, cluster);
  rules.checkLogsAbove(after, cluster);
  if (known > 0) rules.checkCommittedAt(ghost, after, known);
  return withCommitted(ghost, after.log, after.term, known + 1, after.commit);
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

function durable(ghost: RaftGhost, replica: ReplicaId, cluster: RaftCluster): RaftGhost {
  const { hard } = rules.viewOf(cluster, replica).disk;
  rules.checkKept(ghost, replica, hard?.term ?? 0, hard?.vote ?? null);
  rules.checkStillMatched(replica, cluster);
  return ghost;
}

/** @see Safety */
export const safety: Safety<RaftState, RaftMessage, RaftGhost> = {
  initial: noGhost,
  step,
  send: checkClaims,
  durable,
  digest: digestGhost,
};
