/**
 * The safety of a whole Multi-Paxos cluster, which no replica can see alone, as a fold over what happens: every step,
 * message and write is held against the rules (`rules.ts`, `durability-claims.ts`), and what must be remembered for
 * them is put into the ghost. Where a rule needs no look at others it stands in `invariants.ts`.
 */

import type { ReplicaId } from '../../core/members.js';
import type { Safety } from '../../core/model.js';
import type { PaxosMessage } from '../messages.js';
import { commitOf, type PaxosState } from '../state.js';
import { checkClaims } from './durability-claims.js';
import { digestGhost, GhostDraft, noGhost, replicaAt, violated, type PaxosGhost } from './ghost.js';
import * as rules from './rules.js';
import type { PaxosCluster, PaxosStepFact } from './rules.js';

function step(ghost: PaxosGhost, fact: PaxosStepFact, cluster: PaxosCluster): PaxosGhost {
  const { before, after, outbound } = fact;
  if (before === null) rules.checkStart(ghost, fact, cluster);
  const commit = before === null ? 0 : commitOf(before);
  if (commitOf(after) > commit) rules.checkLearned(ghost, fact, commit, cluster);
  if (before === null || before.role !== after.role) rules.checkBallot(ghost, fact, cluster);
  let delivered = (before === null ? after.snapshot?.index : before.delivery.delivered) ?? 0;
  for (let i = 0; i < outbound.length; i++) {
    const each = outbound[i] as (typeof outbound)[0];
    if (each.kind === 'restore') delivered = each.snapshot.index;
    else if (each.kind === 'commit') delivered = rules.checkDelivered(ghost, fact, each, delivered, cluster);
    else if (each.kind === 'send') rules.checkReply(fact, each.message);
  }
  return ghost;
}

function durable(ghost: PaxosGhost, replica: ReplicaId, cluster: PaxosCluster): PaxosGhost {
  const at = rules.placeIn(cluster, replica);
  const { hard } = (cluster.replicas[at] as PaxosCluster['replicas'][0]).disk;
  if (hard === null) return ghost;
  const known = replicaAt(ghost, at);
  if (hard.term < known.promised)
    violated('paxos/promise-never-falls: a promise is lowered', { replica, promised: known.promised, hard });
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  if (hard.term > known.promised || hard.commit > known.commit) {
    draft.setReplica(at, { ...known, promised: hard.term, commit: Math.max(known.commit, hard.commit) });
  }
  rules.recordVotes(draft, at, known.promised, cluster);
  if (hard.commit > known.commit) {
    rules.checkPrefix(draft.now, replica, Math.max(known.commit, ghost.base), hard.commit, cluster);
    draft.forget(rules.committedEverywhere(cluster));
  }
  return draft.now;
}

/** @see Safety */
export const safety: Safety<PaxosState, PaxosMessage, PaxosGhost> = {
  initial: noGhost,
  step,
  send: checkClaims,
  durable,
  digest: digestGhost,
};
