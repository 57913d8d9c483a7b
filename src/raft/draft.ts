/**
 * The draft of one step of Raft: the verbs by which handlers change term, vote, role, log and commit index. Each verb
 * asserts the rule that it could break. The data of a role is replaced as a whole; a leader's is changed in place, in
 * this step's own copy.
 */

import { assert } from '../core/assert.js';
import { deliver } from '../core/delivery.js';
import { withNewest } from '../core/book.js';
import { BaseDraft, type Mutable } from '../core/draft.js';
import {
  resetElectionTimer,
  startCampaignTimer,
  startElectionTimer,
  startQuorumTimer,
} from '../core/election-timer.js';
import { endForLeaderChange } from '../core/ending.js';
import { bytesOf } from '../core/entries.js';
import { append, emptyBehind, lastTerm, termAt, trim, truncate } from '../core/log.js';
import { forgetClocks, noteStamps } from '../core/log-time.js';
import type { ReplicaId } from '../core/members.js';
import type { Entry, HardState, Index, Lane, SnapshotName, Term } from '../core/protocol.js';
import { cutUnsynced, noteUnsynced } from '../core/unsynced.js';
import type { AppendEntries, RaftMessage } from './messages.js';
import {
  copyLeader,
  copyProgress,
  copyState,
  type RaftCandidate,
  type RaftFollower,
  type RaftLeader,
  type RaftProgress,
  type RaftState,
} from './state.js';

function followerOf(leader: ReplicaId | null): RaftFollower {
  return { kind: 'follower', leader, matched: 0, readRound: 0 };
}

function lastOf({ prevIndex, entries }: AppendEntries): Index {
  return prevIndex + entries.length;
}

export class RaftDraft extends BaseDraft<RaftState, RaftMessage> {
  protected override copy(state: RaftState): Mutable<RaftState> {
    return copyState(state);
  }

  protected override copyLeader(leader: RaftLeader): Mutable<RaftLeader> {
    return copyLeader(leader);
  }

  protected override hardState(): HardState {
    const { term, vote, commit } = this.state;
    return { term, vote, commit };
  }

  protected override idleRole(): RaftFollower {
    return followerOf(null);
  }

  override get commitIndex(): Index {
    return this.state.commit;
  }

  override termOf(state: RaftState): Term {
    return state.term;
  }

  // Terms, votes and roles.

  /** Enters a newer term, without a vote in it. */
  private enterTerm(term: Term): void {
    assert(term > this.state.term, 'raft/term-never-falls: terms only grow');
    const next = this.edit();
    next.term = term;
    next.vote = null;
    this.persistHard();
  }

  /** Becomes a follower in a newer term, without a leader (Rules for Servers). A follower's election timer runs on. */
  yieldTo(term: Term): void {
    endForLeaderChange(this, null);
    this.enterTerm(term);
    if (this.state.role.kind !== 'follower') startElectionTimer(this);
    this.putRole(followerOf(null));
  }

  /** Votes for `candidate`, at most once in a term (§5.2). */
  voteFor(candidate: ReplicaId): void {
    const { vote } = this.state;
    assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');
    if (vote === candidate) return;
    const next = this.edit();
    next.vote = candidate;
    next.preVoting = null;
    this.persistHard();
  }

  /** Becomes a follower of `leader`, or of nobody yet. */
  follow(leader: ReplicaId | null): void {
    endForLeaderChange(this, leader);
    startElectionTimer(this);
    if (leader !== null) resetElectionTimer(this);
    this.putRole(followerOf(leader));
  }

  /** A message of the leader of this term came: follows it, and resets the election timer. */
  hearLeader(leader: ReplicaId): void {
    const { role } = this.state;
    if (role.kind === 'follower' && role.leader === leader) resetElectionTimer(this);
    else this.follow(leader);
  }

  /** Notes that this follower has confirmed this read round. */
  noteReadRound(readRound: number): void {
    const { leader, matched } = this.state.role as RaftFollower;
    this.putRole({ kind: 'follower', leader, matched, readRound });
  }

  /** Notes that the log agrees with the leader's up to `index`. */
  matchedTo(index: Index): void {
    const { leader, matched, readRound } = this.state.role as RaftFollower;
    if (index > matched) this.putRole({ kind: 'follower', leader, matched: index, readRound });
  }

  becomeCandidate(): void {
    endForLeaderChange(this, null);
    this.enterTerm(this.state.term + 1);
    this.voteFor(this.state.options.id);
    startCampaignTimer(this);
    forgetClocks(this);
    this.putRole({ kind: 'candidate', votes: [] });
  }

  countVotes(votes: RaftCandidate['votes']): void {
    assert(this.state.role.kind === 'candidate', 'raft/votes-are-a-set: only a candidate counts votes');
    this.putRole({ kind: 'candidate', votes });
  }

  becomeLeader(role: RaftLeader): void {
    assert(this.state.role.kind === 'candidate', 'raft/leader-by-majority: a leader was a candidate');
    startQuorumTimer(this);
    this.putRole(role);
  }

  // A leader's progress records.

  /** Changes some fields of a progress record. */
  changeProgress(peer: RaftProgress, change: Partial<RaftProgress>): void {
    this.setProgress(Object.assign(copyProgress(peer), change));
  }

  /** Sends an append, once the own vote is durable: no message of a leader leaves before. */
  sendAppend(peer: RaftProgress, message: AppendEntries, lane: Lane): void {
    this.noteTold(peer.id, Math.min(message.commit, message.entries.length > 0 ? lastOf(message) : peer.match));
    this.send(peer.id, message, this.state.hardSeq, lane);
  }

  /** Counts these entries as uncommitted. */
  noteUncommitted(entries: readonly Entry[]): void {
    const leader = this.editLeader();
    const bytes = bytesOf(entries);
    const { index } = entries[entries.length - 1] as Entry;
    leader.uncommitted = withNewest(leader.uncommitted, [{ key: index, deadline: Infinity, at: index, bytes }]);
    leader.uncommittedBytes += bytes;
  }

  // The log.

  /** Appends after the last entry (a leader only appends; a follower truncates first where logs conflict). */
  append(entries: readonly Entry[]): void {
    const seq = this.persist({ kind: 'put', entries });
    const next = this.edit();
    let from = 0;
    for (let i = 1; i <= entries.length; i++) {
      const first = entries[from] as Entry;
      if (i < entries.length && (entries[i] as Entry).term === first.term) continue;
      next.unsynced = noteUnsynced(next.unsynced, first.index, first.index + i - from - 1, first.term, seq);
      from = i;
    }
    next.log = append(next.log, entries);
    noteStamps(this, entries);
    assert(lastTerm(next.log) <= next.term, 'raft/terms-rise-in-log: no entry is of a later term than the replica');
  }

  /** Drops the entries from `from` on, which conflict with the leader's (§5.3); never a committed one. */
  truncate(from: Index): void {
    assert(from > this.state.commit, 'raft/committed-stays: a committed entry is never dropped');
    const next = this.edit();
    next.log = truncate(next.log, from);
    next.unsynced = cutUnsynced(next.unsynced, from);
    this.persist({ kind: 'truncate', from });
  }

  /**
   * The log begins behind a snapshot of a peer, in a term that is not below the snapshot's. What stands behind it stays
   * only if the log agrees with it there: raft/suffix-if-it-matches.
   */
  install(snapshot: SnapshotName): void {
    const { index, term } = snapshot;
    if (term > this.state.term) this.yieldTo(term);
    else if (this.state.role.kind === 'candidate') this.follow(null);
    const { log } = this.state;
    const keeps = termAt(log, index) === term;
    this.replaceLog(snapshot, keeps ? trim(log, index) : emptyBehind(snapshot), keeps);
    this.edit().commit = index;
  }

  /** Raises the commit index, never beyond the log, and delivers what is committed. */
  commitTo(index: Index): void {
    const { commit, log } = this.state;
    if (index <= commit) return;
    assert(index <= log.last, 'log/delivery-in-bounds: only what is in the log is committed');
    this.edit().commit = index;
    deliver(this);
  }
}
