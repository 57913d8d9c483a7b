/**
 * The rules of a Raft cluster that a step or a write can break, one function each: the five properties of Figure 3, and
 * the inductive invariants from which they follow, which a search finds broken sooner. docs/rules.md says where each
 * comes from.
 */

import { entryAt, lastTerm, termAt, type Log } from '../../core/log.js';
import type { ClusterView, DiskView, ReplicaView, SendFact, StepFact } from '../../core/model.js';
import { sameValue } from '../../core/entries.js';
import type { Entry, Index, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { majority } from '../../core/quorum.js';
import type { RaftMessage } from '../messages.js';
import type { RaftLeader, RaftProgress, RaftState } from '../state.js';
import { committedTerm, lastCommitted, promiseOf, violated, winnerOf, type RaftGhost } from './ghost.js';

export type RaftCluster = ClusterView<RaftState>;
export type RaftStepFact = StepFact<RaftState, RaftMessage>;
export type RaftSendFact = SendFact<RaftMessage>;

export function viewOf(cluster: RaftCluster, id: ReplicaId): ReplicaView<RaftState> {
  const { replicas } = cluster;
  for (let at = 0; at < replicas.length; at++) {
    const view = replicas[at] as ReplicaView<RaftState>;
    if (view.id === id) return view;
  }
  return violated('raft/members-only: only members take part', { id });
}

/** Election Safety, and that votes of a majority are durable. (`checkComplete` checks Leader Completeness.) */
export function checkWin(ghost: RaftGhost, after: RaftState, cluster: RaftCluster): void {
  const { term, options } = after;
  const { id } = options;
  const known = winnerOf(ghost, term);
  if (known !== undefined) violated('raft/one-leader-per-term: a term is won once', { term, leaders: [known, id] });
  let votes = 0;
  for (const { disk } of cluster.replicas) {
    const hard = disk.hard;
    // A replica in a later term no longer knows its vote in this one.
    if (hard !== null && (hard.term > term || (hard.term === term && hard.vote === id))) votes++;
  }
  if (votes < majority(cluster.replicas.length)) {
    violated('raft/leader-by-majority: a leader has durable votes of a majority', { term, id, votes });
  }
  for (const { id: other, state } of cluster.replicas) {
    if (other === id || state === null) continue;
    if (state.log.runs.some((run) => run.term === term)) {
      violated('raft/candidate-term-is-new: no log has an entry of a term that is yet to be won', { term, id, other });
    }
  }
}

/** Leader Completeness, for all logs: a log that ends in a term has all that was committed in the terms before it. */
export function checkComplete(ghost: RaftGhost, { log, options, role, term }: RaftState): void {
  const last = lastTerm(log);
  for (const { through, term: entryTerm, by } of ghost.committed) {
    if (by >= last || through < log.first - 1 || termAt(log, through) === entryTerm) continue;
    const found = termAt(log, through) ?? null;
    const evidence = { id: options.id, term, last, index: through, committed: entryTerm, found };
    if (role.kind === 'leader')
      violated('raft/leader-completeness: a leader has every entry committed before its term', evidence);
    violated('raft/later-logs-are-complete: a log has every entry committed before the term that it ends in', evidence);
  }
}

/** The same the other way round: at a commit, logs that end in a later term have it already. */
export function checkLogsAbove({ log, commit, term }: RaftState, cluster: RaftCluster): void {
  for (const { id, state } of cluster.replicas) {
    if (state === null || lastTerm(state.log) <= term || commit < state.log.first - 1) continue;
    if (termAt(state.log, commit) === termAt(log, commit)) continue;
    violated('raft/later-logs-are-complete: what is committed is in every log that ends in a later term', {
      id,
      index: commit,
      term,
    });
  }
}

function checkEntry(log: Log, entry: Entry, other: Log, replicas: readonly ReplicaId[]): void {
  const { index, term } = entry;
  const theirs = entryAt(other, index);
  if (theirs !== undefined && !sameValue(entry, theirs)) {
    violated('raft/log-matching: one entry for an index and term', { index, term, replicas });
  }
  if (index > other.first - 1 && index > log.first - 1 && termAt(log, index - 1) !== termAt(other, index - 1)) {
    violated('raft/log-matching: logs agree before a common entry', { index, term, replicas });
  }
}

/** Log Matching: logs with the same index and term have the same entry there, and before it. Compares new entries. */
export function checkLogMatching(before: Log | null, { log, options }: RaftState, cluster: RaftCluster): void {
  const { replicas } = cluster;
  for (let index = log.last; index >= log.tailFrom; index--) {
    const entry = entryAt(log, index) as Entry;
    if (before !== null && entryAt(before, index) === entry) return;
    for (let at = 0; at < replicas.length; at++) {
      const { id, state } = replicas[at] as ReplicaView<RaftState>;
      if (id === options.id || state === null || termAt(state.log, index) !== entry.term) continue;
      checkEntry(log, entry, state.log, [options.id, id]);
    }
  }
}

/** What a leader commits is durable, with the same term, on a majority of disks. */
export function checkDurable({ log, commit, term, options }: RaftState, known: Index, cluster: RaftCluster): void {
  for (let index = commit; index > known; index--) {
    const expected = termAt(log, index);
    let holders = 0;
    for (const { disk } of cluster.replicas) if (disk.entry(index)?.term === expected) holders++;
    if (holders >= majority(cluster.replicas.length)) continue;
    violated('log/committed-on-majority: what is committed is durable on a majority', {
      id: options.id,
      term,
      index,
      of: expected,
      holders,
    });
  }
}

/** State Machine Safety: the log has at `index` the entry that was committed there. */
export function checkCommittedAt(ghost: RaftGhost, { log, options, term }: RaftState, index: Index): void {
  const expected = committedTerm(ghost, index);
  const found = termAt(log, index);
  if (found === expected) return;
  const evidence = { id: options.id, term, index, committed: expected, found: found ?? null };
  violated('log/one-value-per-index: one entry is committed at an index', evidence);
}

/** A commit index that was learned is one that a leader has reached, with the same log. */
export function checkLearned(ghost: RaftGhost, state: RaftState): void {
  const { commit, options } = state;
  const known = lastCommitted(ghost);
  if (commit > known) violated('raft/only-leader-commits: only a leader commits', { id: options.id, commit, known });
  checkCommittedAt(ghost, state, commit);
}

function unequal(disk: DiskView, log: Log, index: Index): boolean {
  return index >= log.first - 1 && disk.entry(index)?.term !== termAt(log, index);
}

/** A follower in a later term may have dropped what it once acknowledged. */
function checkMatch(leader: RaftState, { id, match }: RaftProgress, { disk }: ReplicaView<RaftState>): void {
  if (match === 0 || (disk.hard?.term ?? 0) > leader.term || !unequal(disk, leader.log, match)) return;
  const evidence = { leader: leader.options.id, term: leader.term, peer: id, match, durable: disk.last };
  violated('raft/match-is-durable: a matchIndex is durable at the peer and agrees', evidence);
}

/** raft/match-is-durable, when the leader learns it. */
export function checkMatches(before: RaftState | null, after: RaftState, role: RaftLeader, cluster: RaftCluster): void {
  const was = before !== null && before.role.kind === 'leader' && before.term === after.term ? before.role : null;
  if (was !== null && was.peers === role.peers) return;
  for (let at = 0; at < role.peers.length; at++) {
    const peer = role.peers[at] as RaftProgress;
    if (was?.peers[at] === peer || was?.peers[at]?.match === peer.match) continue;
    checkMatch(after, peer, viewOf(cluster, peer.id));
  }
}

/** raft/match-is-durable, when the peer's disk changes: what it acknowledged stays. */
export function checkStillMatched(replica: ReplicaId, cluster: RaftCluster): void {
  for (const { state } of cluster.replicas) {
    if (state === null || state.role.kind !== 'leader') continue;
    for (const peer of state.role.peers) {
      if (peer.id === replica) checkMatch(state, peer, viewOf(cluster, replica));
    }
  }
}

/** Neither a disk nor a start forgets a term or a vote that was promised. */
export function checkKept(ghost: RaftGhost, replica: ReplicaId, term: Term, vote: ReplicaId | null): void {
  const promise = promiseOf(ghost, replica);
  if (promise === undefined || term > promise.term) return;
  const evidence = { promise, held: { term, vote } };
  if (term < promise.term) violated('raft/term-never-falls: a term that was promised is never forgotten', evidence);
  if (promise.vote !== null && vote !== promise.vote)
    violated('raft/one-vote-per-term: a vote is never forgotten', evidence);
}
