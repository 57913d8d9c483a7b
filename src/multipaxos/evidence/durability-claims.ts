/**
 * What a message claims when it leaves, held against the disk of its sender (durability/send-after-sync) and against
 * what is chosen (paxos/learned-is-chosen, paxos/yield-to-chosen). A later write to the same disk may have replaced
 * what is claimed; it proves the claim, since persists are in order.
 */

import type { ReplicaView } from '../../core/model.js';
import { sameValue } from '../../core/entries.js';
import type { Entry, Index } from '../../core/protocol.js';
import type { Ballot } from '../ballot.js';
import { chosenAt, GhostDraft, highestVote, replicaAt, slotAt, triedIn, violated, type PaxosGhost } from './ghost.js';
import type { Accept, Accepted, CatchUpReply, Prepare, PromisePage, VoteSpan } from '../messages.js';
import type { PaxosState } from '../state.js';
import { placeIn, type PaxosCluster, type PaxosSendFact } from './rules.js';

/** Everything up to a commit index that a message carries is chosen. */
function checkCommitClaim(ghost: PaxosGhost, commit: Index, fact: PaxosSendFact): void {
  const really = ghost.chosenTo;
  if (commit > really)
    violated('paxos/learned-is-chosen: a slot is said to be chosen that is not', { ...fact, really });
}

/** The promise that a message rests on is on the sender's disk. */
function checkPromised(sender: ReplicaView<PaxosState>, ballot: Ballot, fact: PaxosSendFact): void {
  const promised = sender.disk.hard?.term ?? 0;
  if (promised < ballot)
    violated('durability/send-after-sync: a message leaves before its promise is durable', { ...fact, promised });
}

/**
 * Up to the commit index that a leader's message carries, the leader's proposals in its ballot are what is chosen,
 * since an acceptor that voted for them takes them for chosen (paxos/yield-to-chosen).
 */
function checkLeaderCommit(
  ghost: PaxosGhost,
  ballot: Ballot,
  commit: Index,
  fact: PaxosSendFact,
  cluster: PaxosCluster,
): PaxosGhost {
  checkCommitClaim(ghost, commit, fact);
  const sameBallot = ghost.leaderCommitBallot === ballot;
  if (commit <= ghost.base || (sameBallot && commit <= ghost.leaderCommit)) return ghost;
  for (let slot = Math.max(ghost.base, sameBallot ? ghost.leaderCommit : 0) + 1; slot <= commit; slot++) {
    const proposed = triedIn(slotAt(ghost, slot), ballot);
    const truth = chosenAt(ghost, slot, cluster.committed);
    if (proposed === undefined || truth === undefined || sameValue(proposed.entry, truth)) continue;
    violated('paxos/yield-to-chosen: a leader calls chosen what it proposed itself, and is not', {
      ...fact,
      proposed,
      truth,
    });
  }
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  draft.setLeaderCommit(ballot, commit);
  return draft.now;
}

/** The vote is on the sender's disk, or was until a later write replaced it; then the ghost holds it. */
function claimVote(
  draft: GhostDraft,
  at: number,
  vote: Entry,
  fact: PaxosSendFact,
  { disk }: ReplicaView<PaxosState>,
): void {
  const { index, term } = vote;
  const tried = triedIn(slotAt(draft.now, index), term);
  if (index <= draft.now.base || (tried !== undefined && (tried.by >> at) % 2 === 1)) return draft.propose(vote);
  const later = disk.entry(index);
  const overtaken = later !== undefined && (later.term > term || index <= (disk.hard?.commit ?? 0));
  if (!overtaken)
    violated('durability/send-after-sync: a vote is reported before it is durable', { ...fact, vote, durable: later });
  draft.vote(at, vote);
}

function onPrepare(ghost: PaxosGhost, fact: PaxosSendFact, m: Prepare, at: number, cluster: PaxosCluster): PaxosGhost {
  const { replicas } = ghost;
  for (let other = 0; other < replicas.length; other++) {
    if (other !== at && replicas[other]?.prepared === m.ballot)
      violated('paxos/ballot-used-once: two replicas share a ballot', fact);
  }
  const known = replicaAt(ghost, at);
  if (m.ballot <= known.prepared) return ghost;
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  draft.setReplica(at, { ...known, prepared: m.ballot });
  return draft.now;
}

/** The votes that the candidate of a ballot named as held; `null` when nobody is in Phase 1 of it. */
function heldIn(ballot: Ballot, { replicas }: PaxosCluster): readonly VoteSpan[] | null {
  for (const { state } of replicas) {
    if (state?.role.kind === 'candidate' && state.role.ballot === ballot) return state.role.held;
  }
  return null;
}

/**
 * A page reports, for each slot of its range above the commit index, the sender's vote of the highest ballot below the
 * one promised. A page with votes in that ballot itself answers a late Prepare and does not count: its candidate leads
 * already.
 */
function onPromise(
  ghost: PaxosGhost,
  fact: PaxosSendFact,
  m: PromisePage,
  at: number,
  cluster: PaxosCluster,
): PaxosGhost {
  const sender = cluster.replicas[at] as ReplicaView<PaxosState>;
  checkPromised(sender, m.ballot, fact);
  checkCommitClaim(ghost, m.commit, fact);
  if (m.votes.some(({ term }) => term >= m.ballot)) return ghost;
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  for (const vote of m.votes) claimVote(draft, at, vote, fact, sender);
  const end = m.next === 0 ? ghost.base + ghost.slots.length : m.next - 1;
  const held = heldIn(m.ballot, cluster);
  if (held === null) return draft.now; // its Phase 1 is over: the page counts for nothing
  for (let slot = Math.max(m.from, m.commit + 1, ghost.base + 1); slot <= end; slot++) {
    const highest = highestVote(slotAt(ghost, slot), at, m.ballot);
    if (highest === 0 || held.some(({ from, to, ballot }) => from <= slot && slot <= to && ballot === highest))
      continue;
    const reported = m.votes.find(({ index }) => index === slot);
    if (reported?.term !== highest)
      violated('paxos/promise-reports-votes: a promise does not report the highest vote', { ...fact, slot, highest });
  }
  return draft.now;
}

/** Accepts leave in parallel with the leader's own disk; only its promise must be durable. */
function onAccept(ghost: PaxosGhost, fact: PaxosSendFact, m: Accept, at: number, cluster: PaxosCluster): PaxosGhost {
  checkPromised(cluster.replicas[at] as ReplicaView<PaxosState>, m.ballot, fact);
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  for (const entry of m.entries) {
    if (entry.term !== m.ballot) violated('paxos/ballot-used-once: a proposal in another ballot than its Accept', fact);
    draft.propose(entry);
  }
  return checkLeaderCommit(draft.now, m.ballot, m.commit, fact, cluster);
}

/** What is accepted was proposed, and the vote is durable. */
function onAccepted(
  ghost: PaxosGhost,
  fact: PaxosSendFact,
  m: Accepted,
  at: number,
  cluster: PaxosCluster,
): PaxosGhost {
  const sender = cluster.replicas[at] as ReplicaView<PaxosState>;
  checkCommitClaim(ghost, m.commit, fact);
  if (m.from === 0) return ghost;
  checkPromised(sender, m.ballot, fact);
  const draft = new GhostDraft(ghost, cluster.replicas.length);
  for (let slot = Math.max(m.from, ghost.base + 1); slot <= m.to; slot++) {
    const tried = triedIn(slotAt(draft.now, slot), m.ballot);
    if (tried === undefined) violated('paxos/one-value-per-ballot: a vote for what nobody proposed', { ...fact, slot });
    else claimVote(draft, at, tried.entry, fact, sender);
  }
  return draft.now;
}

/** The durable index that a follower reports: its disk holds everything up to there as chosen. */
function checkDurable(ghost: PaxosGhost, fact: PaxosSendFact, durable: Index, at: number, cluster: PaxosCluster): void {
  const { disk } = cluster.replicas[at] as ReplicaView<PaxosState>;
  for (let slot = Math.max(ghost.base, replicaAt(ghost, at).commit) + 1; slot <= durable; slot++) {
    const ours = disk.entry(slot);
    const truth = chosenAt(ghost, slot, cluster.committed);
    if (ours !== undefined && truth !== undefined && sameValue(ours, truth)) continue;
    violated('durability/send-after-sync: a chosen slot is called durable that is not', { ...fact, slot, ours, truth });
  }
}

/** What a CatchUpReply carries is chosen. */
function checkTaught(ghost: PaxosGhost, fact: PaxosSendFact, m: CatchUpReply, cluster: PaxosCluster): void {
  checkCommitClaim(ghost, m.commit, fact);
  for (const entry of m.entries) {
    const truth = chosenAt(ghost, entry.index, cluster.committed);
    if (truth !== undefined && sameValue(entry, truth)) continue;
    violated('paxos/learned-is-chosen: something else is taught than what is chosen', { ...fact, entry, truth });
  }
}

/** Checks what a message claims. Gives the ghost with what is proposed, voted for or promised by it. */
export function checkClaims(ghost: PaxosGhost, fact: PaxosSendFact, cluster: PaxosCluster): PaxosGhost {
  const { message: m } = fact;
  const at = placeIn(cluster, fact.from);
  const sender = cluster.replicas[at] as ReplicaView<PaxosState>;
  switch (m.kind) {
    case 'prepare':
      checkPromised(sender, m.ballot, fact);
      return onPrepare(ghost, fact, m, at, cluster);
    case 'promise':
      return onPromise(ghost, fact, m, at, cluster);
    case 'accept':
      return onAccept(ghost, fact, m, at, cluster);
    case 'accepted':
      return onAccepted(ghost, fact, m, at, cluster);
    case 'nack':
      checkCommitClaim(ghost, m.commit, fact);
      return ghost;
    case 'heartbeat':
    case 'commit':
      checkPromised(sender, m.ballot, fact);
      return checkLeaderCommit(ghost, m.ballot, m.commit, fact, cluster);
    case 'readAnswer':
      checkPromised(sender, m.term, fact);
      return checkLeaderCommit(ghost, m.term, m.commit, fact, cluster);
    case 'heartbeatReply':
      checkCommitClaim(ghost, m.commit, fact);
      checkDurable(ghost, fact, m.durable, at, cluster);
      return ghost;
    case 'catchUpReply':
      checkTaught(ghost, fact, m, cluster);
      return ghost;
    default:
      return ghost;
  }
}
