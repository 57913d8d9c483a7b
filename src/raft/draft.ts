/**
 * One step of Raft in the making: the verbs by which handlers change the state, each holding its own law. The roles'
 * own data is replaced whole, by `lead`, `follow` and their like.
 */

import { assert } from '../core/assert.js';
import { nextDelivery, noteDelivered } from '../core/delivery.js';
import { BaseDraft, type Mutable } from '../core/draft.js';
import { cutUnsynced, durableIndex, noteUnsynced, seqCovering, cutSynced } from '../core/unsynced.js';
import { append, evict, lastTerm, truncate } from '../core/log.js';
import { bytesOf } from '../core/entries.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, Index, Outcome, Reason, PersistSeq, Step, Term } from '../core/protocol.js';
import type { EndedAttempts } from '../core/attempts.js';
import { endAllAttempts, completeCommitted, endOnLeaderChange } from '../core/attempts.js';
import { allReads } from '../core/reads.js';
import { nextSeed } from '../core/random.js';
import { startElectionTimer, resetElectionTimer } from '../core/election-timer.js';
import type { RaftMessage } from './messages.js';
import {
  copyLeader,
  copyProgress,
  copyState,
  leaderOf,
  type RaftCandidate,
  type RaftFollower,
  type RaftLeader,
  type RaftProgress,
  type RaftState,
} from './state.js';

export class RaftDraft extends BaseDraft<RaftState, RaftMessage> {
  private readonly old: RaftState;
  private hardWritten = false;
  /** The leader's data, once this step has its own copy of it. */
  private owned: Mutable<RaftLeader> | null = null;
  /** Peers that an append left for in this step: they know the commit index. */
  private readonly sentThisStep: ReplicaId[] = [];

  constructor(state: RaftState, now: number) {
    super(state, now);
    this.old = state;
  }

  protected override copy(state: RaftState): Mutable<RaftState> {
    return copyState(state);
  }

  private writeHard(): void {
    const { term, vote, commit } = this.state;
    this.persistHard({ term, vote, commit });
    this.hardWritten = true;
  }

  /** Enters a newer term, without a vote in it. */
  enterTerm(term: Term): void {
    assert(term > this.state.term, 'raft/term-never-falls: terms only grow');
    const next = this.edit();
    next.term = term;
    next.vote = null;
    this.writeHard();
  }

  /** A newer term was seen (Rules for Servers): follower of it, with nobody leading yet and the timer running on. */
  yieldTo(term: Term): void {
    const { role } = this.state;
    this.leaveLeadership();
    this.enterTerm(term);
    const electionTimer = role.kind === 'follower' ? role.electionTimer : this.freshElectionTimer();
    this.edit().role = { kind: 'follower', leader: null, electionTimer, matched: 0, readRound: 0 };
    this.leaderChanged();
  }

  /** Votes, at most once in a term (§5.2). */
  voteFor(candidate: ReplicaId): void {
    const { vote } = this.state;
    assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');
    if (vote === candidate) return;
    this.edit().vote = candidate;
    this.writeHard();
  }

  /** Draws a new silence from the seed. */
  freshElectionTimer(): RaftFollower['electionTimer'] {
    const next = this.edit();
    next.seed = nextSeed(next.seed);
    return startElectionTimer(next.seed, this.now, next.options.timing);
  }

  /** Follows `leader`, or nobody yet; whatever a former role was about ends. */
  follow(leader: ReplicaId | null): void {
    this.leaveLeadership();
    this.edit().role = { kind: 'follower', leader, electionTimer: this.freshElectionTimer(), matched: 0, readRound: 0 };
    this.leaderChanged();
  }

  /** The leader of this term was heard. */
  hearLeader(leader: ReplicaId): void {
    const { role } = this.state;
    if (role.kind === 'follower' && role.leader === leader) {
      const electionTimer = resetElectionTimer(role.electionTimer, this.now);
      if (electionTimer.deadline === role.electionTimer.deadline && !role.electionTimer.forgiven) return;
      this.edit().role = { kind: 'follower', leader, electionTimer, matched: role.matched, readRound: role.readRound };
    } else this.follow(leader);
  }

  /** This round of the leader was confirmed. */
  noteReadRound(readRound: number): void {
    const { leader, electionTimer, matched } = this.state.role as RaftFollower;
    this.edit().role = { kind: 'follower', leader, electionTimer, matched, readRound };
  }

  /** Our log agrees with the leader's up to here. */
  matchedTo(index: Index): void {
    const role = this.state.role as RaftFollower;
    if (index <= role.matched) return;
    const { leader, electionTimer, readRound } = role;
    this.edit().role = { kind: 'follower', leader, electionTimer, matched: index, readRound };
  }

  /** Whom the transport must reach. */
  members(members: readonly Member[]): void {
    this.emit({ kind: 'members', members });
  }

  becomeCandidate(): void {
    this.leaveLeadership();
    this.enterTerm(this.state.term + 1);
    this.voteFor(this.state.options.id);
    this.edit().role = { kind: 'candidate', votes: [], electionTimer: this.freshElectionTimer() };
    this.leaderChanged();
  }

  becomeLeader(peers: readonly RaftProgress[], role: Omit<RaftLeader, 'kind' | 'peers'>): void {
    assert(this.state.role.kind === 'candidate', 'raft/leader-by-majority: a leader was a candidate');
    this.edit().role = { kind: 'leader', peers, ...role };
  }

  /** Replaces a candidate's or follower's own data. */
  setRole(role: RaftCandidate | RaftFollower): void {
    assert(role.kind === this.state.role.kind, 'core/role-by-its-verb: a role is changed by its own verb');
    this.edit().role = role;
  }

  /** The leader's data as this step's own copy, to be changed in place: made once, whatever is changed. */
  ownLeader(): Mutable<RaftLeader> {
    const role = this.state.role as RaftLeader;
    if (this.owned === role) return this.owned;
    this.owned = copyLeader(role);
    this.edit().role = this.owned;
    return this.owned;
  }

  /** Replaces the view of one follower. */
  setProgress(peer: RaftProgress): void {
    const leader = this.ownLeader();
    const peers = leader.peers.slice();
    for (let i = 0; i < peers.length; i++) if ((peers[i] as RaftProgress).id === peer.id) peers[i] = peer;
    leader.peers = peers;
  }

  /** Changes some of the view of one follower. */
  changeProgress(peer: RaftProgress, change: Partial<RaftProgress>): void {
    this.setProgress(Object.assign(copyProgress(peer), change));
  }

  private leaveLeadership(): void {
    const { role } = this.state;
    if (role.kind !== 'leader') return;
    for (const read of allReads(role.reads)) {
      if (read.peer === null) this.refuse(read.request, 'leaderChanged');
    }
  }

  private refuse(request: number, reason: Reason): void {
    const outcome: Outcome = { kind: 'none', reason, leader: leaderOf(this.state) };
    this.resolve([request], outcome);
  }

  /** What was passed on to another leader is out of our sight. */
  private leaderChanged(): void {
    const { attempts, reads } = this.state;
    if (attempts.length > 0) this.end(endOnLeaderChange(attempts, leaderOf(this.state)));
    if (reads.length === 0) return;
    for (const read of reads) this.refuse(read.request, 'leaderChanged');
    this.edit().reads = [];
  }

  end({ attempts, endings }: EndedAttempts): void {
    if (attempts !== this.state.attempts) this.edit().attempts = attempts;
    this.resolveAll(endings);
  }

  setAttempts(attempts: RaftState['attempts']): void {
    this.edit().attempts = attempts;
  }

  setReads(reads: RaftState['reads']): void {
    this.edit().reads = reads;
  }

  setSeed(seed: number): void {
    this.edit().seed = seed;
  }

  /** Appends after the last entry (Leader Append-Only; followers truncate first). */
  append(entries: readonly Entry[]): void {
    const next = this.edit();
    const persistSeq = this.persist({ kind: 'put', entries });
    let from = 0;
    for (let i = 1; i <= entries.length; i++) {
      const first = entries[from] as Entry;
      if (i < entries.length && (entries[i] as Entry).term === first.term) continue;
      next.unsynced = noteUnsynced(next.unsynced, first.index, first.index + i - from - 1, first.term, persistSeq);
      from = i;
    }
    next.log = append(next.log, entries);
    assert(lastTerm(next.log) <= next.term, 'raft/terms-rise-in-log: no entry is of a later term than the replica');
  }

  /** Drops `from` and above, which conflicts (§5.3); never a committed entry. */
  truncate(from: Index): void {
    assert(from > this.state.commit, 'raft/committed-stays: a committed entry is never dropped');
    const next = this.edit();
    next.log = truncate(next.log, from);
    next.unsynced = cutUnsynced(next.unsynced, from);
    this.persist({ kind: 'truncate', from });
  }

  /** The newest persist that an acknowledgement up to `index` rests on. */
  seqFor(index: Index): PersistSeq {
    const { unsynced, hardSeq } = this.state;
    return unsynced.length === 0 ? hardSeq : Math.max(hardSeq, seqCovering(unsynced, 1, index));
  }

  persisted(persistSeq: PersistSeq): void {
    const { state } = this;
    if (persistSeq > state.persistSeq) throw new RangeError(`persisted: ${persistSeq} was never issued`);
    if (persistSeq <= state.durableSeq) return;
    const next = this.edit();
    next.durableSeq = persistSeq;
    next.unsynced = cutSynced(next.unsynced, persistSeq);
  }

  get durable(): Index {
    return durableIndex(this.state.unsynced, this.state.log.last);
  }

  /** The commit index grows, never beyond the log. Everything that follows from it happens in `deliver`. */
  commitTo(index: Index): void {
    const { commit, log } = this.state;
    if (index <= commit) return;
    assert(index <= log.last, 'log/delivery-in-bounds: only what is in the log is committed');
    this.edit().commit = index;
    this.deliver();
  }

  setDelivery(delivery: RaftState['delivery']): void {
    if (delivery !== this.state.delivery) this.edit().delivery = delivery;
  }

  /** Hands over what is committed and in memory, and asks for what is not. */
  deliver(): void {
    for (;;) {
      const { delivery, log, commit: committed, options } = this.state;
      const due = nextDelivery(delivery, log, committed, options.limits);
      if (due === null) return;
      if (due !== 'load') {
        this.deliverEntries(due);
        continue;
      }
      const loading = this.load(delivery.delivered + 1, committed, options.limits.loadBytes);
      this.setDelivery({ ...this.state.delivery, loading });
      return;
    }
  }

  deliverEntries(entries: readonly Entry[]): void {
    const { delivery, attempts } = this.state;
    this.edit().delivery = noteDelivered(delivery, entries);
    super.commit(entries);
    if (attempts.length > 0) this.end(completeCommitted(attempts, entries));
  }

  /** Sends an append, after our own vote is durable: no message of a leader leaves before. */
  sendAppend(peer: ReplicaId, message: RaftMessage, lane: 'control' | 'bulk'): void {
    this.sentThisStep.push(peer);
    this.send(peer, message, this.state.hardSeq, lane);
  }

  wasSent(peer: ReplicaId): boolean {
    return this.sentThisStep.includes(peer);
  }

  /** Resolves everything and takes no part any more. */
  halt(fault: string | null): void {
    const reason: Reason = fault === null ? 'stopped' : 'storageFailed';
    const { role, attempts, reads } = this.state;
    if (role.kind === 'leader') {
      for (const read of allReads(role.reads)) if (read.peer === null) this.refuse(read.request, reason);
    }
    for (const read of reads) this.refuse(read.request, reason);
    this.end(endAllAttempts(attempts, reason));
    const next = this.edit();
    next.reads = [];
    const electionTimer = { deadline: Infinity, timeout: Infinity, forgiven: false };
    next.role = { kind: 'follower', leader: null, electionTimer, matched: 0, readRound: 0 };
    next.fault = fault;
    next.stopped = true;
    if (fault !== null) this.event({ kind: 'fault', reason: fault });
  }

  /** These entries of ours wait for their commit. */
  noteUncommitted(entries: readonly Entry[]): void {
    const leader = this.ownLeader();
    const bytes = bytesOf(entries);
    const through = (entries[entries.length - 1] as Entry).index;
    leader.uncommitted = [...leader.uncommitted, { through, bytes }];
    leader.uncommittedBytes += bytes;
  }

  override finish(): Step<RaftState, RaftMessage> {
    this.trim();
    if (this.persists && !this.hardWritten) {
      // The commit index rides along as a hint: nothing waits for it.
      const { term, vote, commit } = this.state;
      this.persist({ kind: 'hard', hard: { term, vote, commit } });
    }
    this.tellRole();
    return super.finish();
  }

  private trim(): void {
    const { log, options } = this.state;
    const { tailEntries, tailBytes } = options.limits;
    if (log.last - log.tailFrom < tailEntries && log.bytes < tailBytes) return;
    const kept = evict(log, this.durable, options.limits);
    if (kept !== log) this.edit().log = kept;
  }

  private tellRole(): void {
    const { old, state } = this;
    const leader = leaderOf(state);
    if (old.role.kind === state.role.kind && old.term === state.term && leaderOf(old) === leader) return;
    const fence = state.role.kind === 'leader' ? state.role.noopIndex : null;
    this.event({ kind: 'role', role: state.role.kind, term: state.term, leader, fence });
  }
}
