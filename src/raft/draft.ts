/**
 * One step of Raft in the making: the verbs by which handlers change the state, each holding its own law. The roles'
 * own data is replaced whole, by `lead`, `follow` and their like.
 */

import { assert } from '../core/assert.js';
import { nextDelivery, handOver } from '../core/delivery.js';
import { BaseDraft, type Mutable } from '../core/draft.js';
import { cutUnsynced, durableIndex, noteUnsynced, seqCovering, settleUnsynced } from '../core/unsynced.js';
import { append, evict, lastTerm, truncate } from '../core/log.js';
import { bytesOf } from '../core/entries.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, Index, Outcome, Reason, Seq, Step, Term } from '../core/protocol.js';
import type { Settled } from '../core/attempts.js';
import { settleAll, settleCommitted, settleLeaderChanged } from '../core/attempts.js';
import { allReads } from '../core/reads.js';
import { nextSeed } from '../core/random.js';
import { beginSilence, heard } from '../core/election-timer.js';
import type { RaftMessage } from './messages.js';
import {
  copyLeader,
  copyPeer,
  copyState,
  leaderOf,
  type Candidate,
  type Follower,
  type Leader,
  type Peer,
  type RaftState,
} from './state.js';

export class RaftDraft extends BaseDraft<RaftState, RaftMessage> {
  private readonly old: RaftState;
  private hardWritten = false;
  /** The leader's data, once this step has its own copy of it. */
  private owned: Mutable<Leader> | null = null;
  /** Peers that an append left for in this step: they know the commit index. */
  private readonly told: ReplicaId[] = [];

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
    assert(term > this.state.term, 'terms only grow');
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
    const silence = role.kind === 'follower' ? role.silence : this.drawSilence();
    this.edit().role = { kind: 'follower', leader: null, silence, matched: 0, round: 0 };
    this.leaderChanged();
  }

  /** Votes, at most once in a term (§5.2). */
  voteFor(candidate: ReplicaId): void {
    const { vote } = this.state;
    assert(vote === null || vote === candidate, 'one vote a term');
    if (vote === candidate) return;
    this.edit().vote = candidate;
    this.writeHard();
  }

  /** Draws a new silence from the seed. */
  drawSilence(): Follower['silence'] {
    const next = this.edit();
    next.seed = nextSeed(next.seed);
    return beginSilence(next.seed, this.now, next.options.timing);
  }

  /** Follows `leader`, or nobody yet; whatever a former role was about ends. */
  follow(leader: ReplicaId | null): void {
    this.leaveLeadership();
    this.edit().role = { kind: 'follower', leader, silence: this.drawSilence(), matched: 0, round: 0 };
    this.leaderChanged();
  }

  /** The leader of this term was heard. */
  hear(leader: ReplicaId): void {
    const { role } = this.state;
    if (role.kind === 'follower' && role.leader === leader) {
      const silence = heard(role.silence, this.now);
      if (silence.deadline === role.silence.deadline && !role.silence.forgiven) return;
      this.edit().role = { kind: 'follower', leader, silence, matched: role.matched, round: role.round };
    } else this.follow(leader);
  }

  /** This round of the leader was confirmed. */
  confirmed(round: number): void {
    const { leader, silence, matched } = this.state.role as Follower;
    this.edit().role = { kind: 'follower', leader, silence, matched, round };
  }

  /** Our log agrees with the leader's up to here. */
  matchedTo(index: Index): void {
    const role = this.state.role as Follower;
    if (index <= role.matched) return;
    const { leader, silence, round } = role;
    this.edit().role = { kind: 'follower', leader, silence, matched: index, round };
  }

  /** Whom the transport must reach. */
  members(members: readonly Member[]): void {
    this.emit({ kind: 'members', members });
  }

  becomeCandidate(): void {
    this.leaveLeadership();
    this.enterTerm(this.state.term + 1);
    this.voteFor(this.state.options.id);
    this.edit().role = { kind: 'candidate', votes: [], silence: this.drawSilence() };
    this.leaderChanged();
  }

  becomeLeader(peers: readonly Peer[], role: Omit<Leader, 'kind' | 'peers'>): void {
    assert(this.state.role.kind === 'candidate', 'a leader was a candidate');
    this.edit().role = { kind: 'leader', peers, ...role };
  }

  /** Replaces a candidate's or follower's own data. */
  setRole(role: Candidate | Follower): void {
    assert(role.kind === this.state.role.kind, 'a role is changed by its own verb');
    this.edit().role = role;
  }

  /** The leader's data as this step's own copy, to be changed in place: made once, whatever is changed. */
  ownLeader(): Mutable<Leader> {
    const role = this.state.role as Leader;
    if (this.owned === role) return this.owned;
    this.owned = copyLeader(role);
    this.edit().role = this.owned;
    return this.owned;
  }

  /** Replaces the view of one follower. */
  setPeer(peer: Peer): void {
    const leader = this.ownLeader();
    const peers = leader.peers.slice();
    for (let i = 0; i < peers.length; i++) if ((peers[i] as Peer).id === peer.id) peers[i] = peer;
    leader.peers = peers;
  }

  /** Changes some of the view of one follower. */
  changePeer(peer: Peer, change: Partial<Peer>): void {
    this.setPeer(Object.assign(copyPeer(peer), change));
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
    if (attempts.length > 0) this.settle(settleLeaderChanged(attempts, leaderOf(this.state)));
    if (reads.length === 0) return;
    for (const read of reads) this.refuse(read.request, 'leaderChanged');
    this.edit().reads = [];
  }

  settle({ attempts, endings }: Settled): void {
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
    const seq = this.persist({ kind: 'put', entries });
    let from = 0;
    for (let i = 1; i <= entries.length; i++) {
      const first = entries[from] as Entry;
      if (i < entries.length && (entries[i] as Entry).term === first.term) continue;
      next.unsynced = noteUnsynced(next.unsynced, first.index, first.index + i - from - 1, first.term, seq);
      from = i;
    }
    next.log = append(next.log, entries);
    assert(lastTerm(next.log) <= next.term, 'no entry is of a term to come');
  }

  /** Drops `from` and above, which conflicts (§5.3); never a committed entry. */
  truncate(from: Index): void {
    assert(from > this.state.commit, 'a committed entry is never dropped');
    const next = this.edit();
    next.log = truncate(next.log, from);
    next.unsynced = cutUnsynced(next.unsynced, from);
    this.persist({ kind: 'truncate', from });
  }

  /** The newest persist that an acknowledgement up to `index` rests on. */
  seqFor(index: Index): Seq {
    const { unsynced, hardSeq } = this.state;
    return unsynced.length === 0 ? hardSeq : Math.max(hardSeq, seqCovering(unsynced, 1, index));
  }

  persisted(seq: Seq): void {
    const { state } = this;
    if (seq > state.seq) throw new RangeError(`persisted: ${seq} was never issued`);
    if (seq <= state.durableSeq) return;
    const next = this.edit();
    next.durableSeq = seq;
    next.unsynced = settleUnsynced(next.unsynced, seq);
  }

  get durable(): Index {
    return durableIndex(this.state.unsynced, this.state.log.last);
  }

  /** The commit index grows, never beyond the log. Everything that follows from it happens in `deliver`. */
  commitTo(index: Index): void {
    const { commit, log } = this.state;
    if (index <= commit) return;
    assert(index <= log.last, 'only what is in the log is committed');
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
        this.handOver(due);
        continue;
      }
      const loading = this.load(delivery.handed + 1, committed, options.limits.loadBytes);
      this.setDelivery({ ...this.state.delivery, loading });
      return;
    }
  }

  handOver(entries: readonly Entry[]): void {
    const { delivery, attempts } = this.state;
    this.edit().delivery = handOver(delivery, entries);
    super.commit(entries);
    if (attempts.length > 0) this.settle(settleCommitted(attempts, entries));
  }

  /** Sends an append, after our own vote is durable: no message of a leader leaves before. */
  tell(peer: ReplicaId, message: RaftMessage, lane: 'control' | 'bulk'): void {
    this.told.push(peer);
    this.send(peer, message, this.state.hardSeq, lane);
  }

  wasTold(peer: ReplicaId): boolean {
    return this.told.includes(peer);
  }

  /** Resolves everything and takes no part any more. */
  halt(fault: string | null): void {
    const reason: Reason = fault === null ? 'stopped' : 'storageFailed';
    const { role, attempts, reads } = this.state;
    if (role.kind === 'leader') {
      for (const read of allReads(role.reads)) if (read.peer === null) this.refuse(read.request, reason);
    }
    for (const read of reads) this.refuse(read.request, reason);
    this.settle(settleAll(attempts, reason));
    const next = this.edit();
    next.reads = [];
    const silence = { deadline: Infinity, timeout: Infinity, forgiven: false };
    next.role = { kind: 'follower', leader: null, silence, matched: 0, round: 0 };
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
    const fence = state.role.kind === 'leader' ? state.role.fence : null;
    this.event({ kind: 'role', role: state.role.kind, term: state.term, leader, fence });
  }
}
