/**
 * The rules of a Multi-Paxos cluster that a step or a write can break, one function each: what the replica does is held
 * against what the ghost knows to be chosen, promised and voted for. docs/rules.md says where each comes from.
 */

import { sameValue } from '../../core/entries.js';
import { entryAt } from '../../core/log.js';
import type { ReplicaId } from '../../core/members.js';
import type { ClusterView, SendFact, StepFact } from '../../core/model.js';
import type { Commit, Index } from '../../core/protocol.js';
import type { Ballot } from '../ballot.js';
import type { PaxosMessage } from '../messages.js';
import { commitOf, type PaxosState } from '../state.js';
import { voteAt } from '../window.js';
import { chosenAt, highestVote, replicaAt, slotAt, violated, type GhostDraft, type PaxosGhost } from './ghost.js';

export type PaxosCluster = ClusterView<PaxosState>;
export type PaxosStepFact = StepFact<PaxosState, PaxosMessage>;
export type PaxosSendFact = SendFact<PaxosMessage>;

/** The position of a replica in the configuration. */
export function placeIn({ replicas }: PaxosCluster, id: ReplicaId): number {
  for (let at = 0; at < replicas.length; at++) if (replicas[at]?.id === id) return at;
  throw new RangeError(`${id} is no replica of this cluster`);
}

/** What a replica has committed is chosen. */
export function checkLearned(
  ghost: PaxosGhost,
  { replica, after }: PaxosStepFact,
  from: Index,
  { committed }: PaxosCluster,
): void {
  const commit = commitOf(after);
  if (commit > ghost.chosenTo) {
    violated('paxos/learned-is-chosen: a slot is taken for chosen that is not', {
      replica,
      commit,
      really: ghost.chosenTo,
    });
  }
  for (let slot = Math.max(from, after.log.tailFrom - 1) + 1; slot <= commit; slot++) {
    const ours = entryAt(after.log, slot);
    const truth = chosenAt(ghost, slot, committed);
    if (ours === undefined || truth === undefined || sameValue(ours, truth)) continue;
    violated('paxos/learned-is-chosen: another value is taken for chosen than the one that is', {
      replica,
      ours,
      truth,
    });
  }
}

/** Slots are delivered in order, without a gap, and only when they are chosen. */
export function checkDelivered(
  ghost: PaxosGhost,
  fact: PaxosStepFact,
  { entries }: Commit,
  from: Index,
  cluster: PaxosCluster,
): Index {
  let expected = from;
  for (const entry of entries) {
    expected++;
    if (entry.index === expected && entry.index <= commitOf(fact.after)) {
      const truth = chosenAt(ghost, entry.index, cluster.committed);
      if (truth === undefined || sameValue(entry, truth)) continue;
    }
    violated('log/delivered-in-order: something else is delivered than the next chosen slot', {
      replica: fact.replica,
      expected,
      entry,
    });
  }
  return expected;
}

/** No replica campaigns in a ballot that was prepared before. */
export function checkBallot(ghost: PaxosGhost, { replica, before, after }: PaxosStepFact, cluster: PaxosCluster): void {
  const { role } = after;
  if (role.kind !== 'candidate') return;
  if (before?.role.kind === 'candidate' && before.role.ballot === role.ballot) return;
  const { prepared } = replicaAt(ghost, placeIn(cluster, replica));
  if (role.ballot <= prepared)
    violated('paxos/ballot-used-once: a ballot is used again', { replica, ballot: role.ballot, prepared });
}

/** A start forgets nothing that was durable: neither the promise nor a vote. */
export function checkStart(ghost: PaxosGhost, fact: PaxosStepFact, cluster: PaxosCluster): void {
  const { replica, after } = fact;
  const at = placeIn(cluster, replica);
  const { promised } = replicaAt(ghost, at);
  if (after.promised < promised)
    violated('paxos/promise-never-falls: a promise is forgotten', { replica, promised, now: after.promised });
  for (let slot = Math.max(commitOf(after), ghost.base) + 1; slot <= ghost.base + ghost.slots.length; slot++) {
    const ballot = highestVote(slotAt(ghost, slot), at, Infinity);
    const vote = voteAt(after.window, slot);
    if ((vote?.term ?? 0) < ballot) violated('paxos/votes-stay: a vote is forgotten', { replica, slot, ballot, vote });
  }
}

/** An acceptor promises, accepts and answers heartbeats in no ballot below the one that it has promised. */
export function checkReply({ replica, after }: PaxosStepFact, message: PaxosMessage): void {
  const { kind } = message;
  if (kind !== 'promise' && kind !== 'accepted' && kind !== 'heartbeatReply') return;
  if (message.ballot === after.promised) return;
  violated('paxos/promise-binds: an answer is given below the promise', { replica, promised: after.promised, message });
}

/** The highest slot up to which every disk holds the slots as chosen, and all were delivered somewhere. */
export function committedEverywhere({ replicas, committed }: PaxosCluster): Index {
  let base = committed.last;
  for (const { disk } of replicas) base = Math.min(base, disk.hard?.commit ?? 0);
  return base;
}

/** On a disk everything up to the commit index of its hard state is chosen, since a start relies on it. */
export function checkPrefix(
  ghost: PaxosGhost,
  replica: ReplicaId,
  from: Index,
  to: Index,
  cluster: PaxosCluster,
): void {
  const { disk } = cluster.replicas[placeIn(cluster, replica)] as PaxosCluster['replicas'][0];
  if (to > ghost.chosenTo)
    violated('paxos/learned-is-chosen: a slot is durably taken for chosen that is not', { replica, chosen: to });
  for (let slot = from + 1; slot <= to; slot++) {
    const ours = disk.entry(slot);
    const truth = chosenAt(ghost, slot, cluster.committed);
    if (ours !== undefined && truth !== undefined && sameValue(ours, truth)) continue;
    violated('paxos/learned-is-chosen: a disk holds another value than the chosen one', { replica, slot, ours, truth });
  }
}

/**
 * Takes in the votes above the commit index of a disk. None is below a promise that was durable before it, none is
 * above the promise on the disk, and none that was there before is gone, or a chosen value could be lost.
 */
export function recordVotes(draft: GhostDraft, at: number, promised: Ballot, cluster: PaxosCluster): void {
  const { id, disk } = cluster.replicas[at] as PaxosCluster['replicas'][0];
  const term = disk.hard?.term ?? 0;
  const from = Math.max(disk.hard?.commit ?? 0, draft.now.base) + 1;
  const to = Math.max(disk.last, draft.now.base + draft.now.slots.length);
  for (let slot = from; slot <= to; slot++) {
    const vote = disk.entry(slot);
    const known = highestVote(slotAt(draft.now, slot), at, Infinity);
    if (vote === undefined) {
      if (known > 0) violated('paxos/votes-stay: a vote is gone from a disk', { replica: id, slot, ballot: known });
      continue;
    }
    if (vote.term > term)
      violated('paxos/vote-at-promise: a vote above the promise', { replica: id, promised: term, vote });
    if (known === vote.term) continue;
    if (vote.term < promised || vote.term < known) {
      violated('paxos/vote-at-promise: a vote below a promise, or below a later vote', {
        replica: id,
        promised,
        known,
        vote,
      });
    }
    draft.vote(at, vote);
  }
}
