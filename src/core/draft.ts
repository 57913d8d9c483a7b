/**
 * The draft of one step: a private copy of the state, and the outbound messages so far. It copies the state when the
 * first verb changes it, and `finish` gives the new state and the messages; a step that changed nothing gives the state
 * that it got. This class holds what both protocols share; each protocol adds its own verbs.
 *
 * `finish` does three things after every step: it puts all that the step persists into one message, which comes first
 * and ends with the hard state in force, commit index included; it evicts entries that memory need not hold; and it
 * raises one event if the role, the term or the leader changed.
 */

import { assert } from './assert.js';
import type { EndedAttempts } from './attempts.js';
import { noElectionTimer } from './election-timer.js';
import { endAllRequests } from './ending.js';
import type { CoreMessage } from './election-messages.js';
import type { ForwardProposals, ForwardRead, ForwardRefused } from './forwarding.js';
import { evict, RECENT } from './log.js';
import type { Member, ReplicaId } from './members.js';
import type {
  CoreEvent,
  Entry,
  HardState,
  Index,
  Lane,
  LogBase,
  Milliseconds,
  Outbound,
  Outcome,
  PersistOp,
  PersistSeq,
  Reason,
  RequestNumber,
  SnapshotName,
  Step,
  Term,
} from './protocol.js';
import type { ForwardedReads } from './reads.js';
import { leaderOf, placeOf, type CoreLeader, type CoreProgress, type CoreState } from './state.js';
import { spentOf } from './tail.js';
import { cutSynced, cutUnsynced, durableIndex, noteUnsynced, seqCovering } from './unsynced.js';

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** The leader's data in a state. */
export type LeaderOf<S extends CoreState> = Extract<S['role'], CoreLeader>;
/** A draft of either protocol, for what they share. */
export type AnyDraft = BaseDraft<CoreState, unknown>;

const NOTHING: readonly never[] = [];

export abstract class BaseDraft<S extends CoreState, M> {
  // Declared here and set by the constructor: a field with a definition of its own costs several times as much.
  /** What the host says the time is; never before the stored one. */
  declare readonly now: Milliseconds;
  declare private readonly before: S;
  declare private current: S;
  declare private readonly outbound: Outbound<M | CoreMessage>[];
  declare private ops: PersistOp[] | null;
  /** The persist message stands first in `outbound` already. */
  declare private placed: boolean;
  /** The leader's data, and the list of its peers, once this step has its own copy of them. */
  declare private owned: Mutable<LeaderOf<S>> | null;
  declare private ownedPeers: CoreLeader['peers'] | null;
  /** The leader's list `told`, once this step has its own copy of it. */
  declare private ownedTold: Index[] | null;

  constructor(state: S, now: Milliseconds) {
    this.now = now > state.now ? now : state.now;
    this.before = state;
    this.current = state;
    this.outbound = [];
    this.ops = null;
    this.placed = false;
    this.owned = null;
    this.ownedPeers = null;
    this.ownedTold = null;
  }

  /** A copy of all fields, written as a literal: ten times faster than a spread. */
  protected abstract copy(state: S): Mutable<S>;
  /** @see copy */
  protected abstract copyLeader(leader: LeaderOf<S>): Mutable<LeaderOf<S>>;
  /** The hard state in force; its commit index is a hint. */
  protected abstract hardState(): HardState;
  /** Everything up to here is known to be committed. */
  abstract get commitIndex(): Index;
  /** The term in force; in Multi-Paxos the ballot promised. */
  abstract termOf(state: S): Term;

  /** The state as it is now. Handlers read it, and change it only through verbs. */
  get state(): S {
    return this.current;
  }

  /** For verbs only: the copy to change. */
  protected edit(): Mutable<S> {
    if (this.current === this.before) this.current = this.copy(this.before);
    return this.current as Mutable<S>;
  }

  /** A number never used before in this cluster by this replica (see `firstNumberOf`). */
  freshNumber(): number {
    const next = this.edit();
    next.lastNumber += 1;
    return next.lastNumber;
  }

  // Persisting.

  /** Adds an operation to the persist of this step. Gives the number of that persist. */
  protected persist(op: PersistOp): PersistSeq {
    const seq = this.beginPersist();
    (this.ops as PersistOp[]).push(op);
    return seq;
  }

  private beginPersist(): PersistSeq {
    if (this.ops === null) {
      this.ops = [];
      const next = this.edit();
      if (next.unsyncedSince === Infinity) next.unsyncedSince = this.now;
      next.persistSeq += 1;
      // It comes first. Mostly nothing stands before it yet; moving messages later costs as much as a small step.
      this.placed = this.outbound.length === 0;
      if (this.placed) this.outbound.push({ kind: 'persist', persistSeq: this.current.persistSeq, ops: this.ops });
    }
    return this.current.persistSeq;
  }

  /** Notes that the term, vote or promise changed, so that the persist of this step makes it durable. */
  protected persistHard(): PersistSeq {
    const seq = this.beginPersist();
    this.edit().hardSeq = seq;
    return seq;
  }

  /** Notes that every persist up to `persistSeq` is durable. @throws RangeError when that was never issued */
  persisted(persistSeq: PersistSeq): void {
    const { current } = this;
    if (persistSeq > current.persistSeq) throw new RangeError(`persisted: ${persistSeq} was never issued`);
    if (persistSeq <= current.durableSeq) return;
    const next = this.edit();
    next.durableSeq = persistSeq;
    next.unsyncedSince = persistSeq < next.persistSeq ? this.now : Infinity;
    next.unsynced = cutSynced(next.unsynced, persistSeq);
  }

  /** The highest index up to which the log is durable here. */
  get durable(): Index {
    return durableIndex(this.current.unsynced, this.current.log.last);
  }

  /** The newest persist that the hard state in force and the entries from `from` to `to` wait for. */
  seqFor(from: Index, to: Index): PersistSeq {
    const { unsynced, hardSeq } = this.current;
    return unsynced.length === 0 ? hardSeq : Math.max(hardSeq, seqCovering(unsynced, from, to));
  }

  // Sending.

  /** @param after the newest persist that must be durable before the message may leave; 0 for none */
  send(to: ReplicaId, message: M | CoreMessage, after: PersistSeq, lane: Lane): void {
    const wait = after <= this.current.durableSeq ? 0 : after;
    this.outbound.push({ kind: 'send', to, message, after: wait, lane });
  }

  /** Sends a forward to the leader; if the transport refuses it, the host says so by its number. */
  sendForward(to: ReplicaId, message: ForwardProposals | ForwardRead, lane: Lane): void {
    this.outbound.push({ kind: 'send', to, message, after: 0, lane, forward: message.number });
  }

  /** Notes that a message of this step lets this peer adopt the commit index up to `index`. */
  noteTold(peer: ReplicaId, index: Index): void {
    const at = placeOf(this.current.options, peer);
    const { told } = this.leaderRole;
    if (index <= (told[at] as Index)) return;
    const leader = this.editLeader();
    if (told !== this.ownedTold) leader.told = this.ownedTold = told.slice();
    (leader.told as Index[])[at] = index;
  }

  /** Notes that the entry at `index` was forwarded by this peer. */
  noteForwarded(peer: ReplicaId, index: Index): void {
    const at = placeOf(this.current.options, peer);
    const { forwarded } = this.leaderRole;
    if (index > (forwarded[at] as Index))
      this.editLeader().forwarded = forwarded.map((each, place) => (place === at ? index : each));
  }

  /** Tells the host which members the transport must reach. */
  members(members: readonly Member[]): void {
    this.outbound.push({ kind: 'members', members });
  }

  // Roles.

  /**
   * Replaces the role's data, whichever role it is. A round of pre-votes ends, unless the leader that is still followed
   * asked for it.
   */
  protected putRole(role: S['role']): void {
    const next = this.edit();
    next.role = role;
    if (next.preVoting?.handover?.from !== leaderOf(next)) next.preVoting = null;
  }

  /** For `pre-vote.ts` alone. */
  setPreVoting(preVoting: S['preVoting']): void {
    if (preVoting !== this.current.preVoting) this.edit().preVoting = preVoting;
  }

  /** The leader's data, to be read; only while this replica leads. */
  get leaderRole(): LeaderOf<S> {
    return this.current.role as LeaderOf<S>;
  }

  /** This step's own copy of the leader's data, made once, to be changed in place. */
  editLeader(): Mutable<LeaderOf<S>> {
    const role = this.current.role as LeaderOf<S>;
    if (this.owned === role) return this.owned as Mutable<LeaderOf<S>>;
    assert(role.kind === 'leader', 'core/role-by-its-verb: only a leader has the data of one');
    this.owned = this.copyLeader(role);
    this.edit().role = this.owned;
    return this.owned;
  }

  /** Replaces the leader's progress record of that peer. */
  setProgress(progress: LeaderOf<S>['peers'][number]): void {
    const { peers } = this.current.role as LeaderOf<S>;
    let at = 0;
    while (at < peers.length && peers[at]?.id !== progress.id) at++;
    if (peers[at] === progress) return;
    const leader = this.editLeader();
    if (leader.peers !== this.ownedPeers) leader.peers = this.ownedPeers = peers.slice();
    (leader.peers as CoreProgress[])[at] = progress;
  }

  /** For `log-time.ts` alone. */
  setClocks(clocks: S['clocks']): void {
    this.edit().clocks = clocks;
  }

  /** For `log-time.ts` alone: a stamp that is newer than all that were known before. */
  setStamp(stamp: Milliseconds): void {
    const next = this.edit();
    next.stamp = stamp;
    next.stampedAt = this.now;
  }

  /** For `log-time.ts` alone. */
  setWake(wake: S['wake']): void {
    this.edit().wake = wake;
  }

  /** For `lease-reads.ts` alone. */
  setBound(bound: S['bound']): void {
    const { to, until } = this.current.bound;
    if (bound.to !== to || bound.until !== until) this.edit().bound = bound;
  }

  /** For `freshness.ts` alone. */
  setFreshness(freshness: S['freshness']): void {
    const { at, heardAt, commit } = this.current.freshness;
    if (freshness.at === at && freshness.heardAt === heardAt && freshness.commit === commit) return;
    this.edit().freshness = freshness;
  }

  /** For `transfer.ts` alone. */
  setFitness(change: Partial<Pick<S, 'leaving' | 'storageFull' | 'refusedHandover'>>): void {
    Object.assign(this.edit(), change);
  }

  private raiseRoleEvent(): void {
    const { before, current } = this;
    const term = this.termOf(current);
    const { role } = current;
    if (before.role === role && this.termOf(before) === term) return;
    const leader = leaderOf(current);
    if (before.role.kind === role.kind && this.termOf(before) === term && leaderOf(before) === leader) return;
    this.event({ kind: 'role', role: role.kind, term, leader, fence: role.kind === 'leader' ? role.noopIndex : null });
  }

  /** For `election-timer.ts` and the quick retry of a leader after a Nack. */
  setElectionTimer(electionTimer: S['electionTimer'], seed: number = this.current.seed): void {
    const next = this.edit();
    next.electionTimer = electionTimer;
    next.seed = seed;
  }

  // Delivery.

  /** For `delivery.ts` alone. */
  setDelivery(delivery: S['delivery']): void {
    if (delivery !== this.current.delivery) this.edit().delivery = delivery;
  }

  /** For `compaction.ts` alone: the persist of this step names the snapshot, and what the log begins behind. */
  nameSnapshot(snapshot: SnapshotName, base: LogBase): void {
    this.persist({ kind: 'trim', snapshot, base });
    this.edit().snapshot = snapshot;
  }

  /** For `compaction.ts` alone. */
  setLog(log: S['log']): void {
    this.edit().log = log;
  }

  /**
   * The log begins behind a snapshot of a peer, in the persist of this step. `rest` is what stands behind it. What was
   * on its way to disk counts no longer, but for what is kept; the snapshot takes its place (durability/unsynced-runs).
   */
  protected replaceLog(snapshot: SnapshotName, rest: S['log'], keepsAbove: boolean): void {
    const { index, term } = snapshot;
    const from = Math.min(this.durable, this.commitIndex) + 1;
    const seq = this.persist({ kind: 'install', snapshot, keepsAbove });
    const next = this.edit();
    next.snapshot = snapshot;
    next.log = rest;
    next.unsynced = noteUnsynced(cutUnsynced(next.unsynced, 1, keepsAbove ? index : Infinity), from, index, term, seq);
  }

  /** For `compaction.ts` alone. */
  restore(snapshot: SnapshotName): void {
    this.outbound.push({ kind: 'restore', snapshot });
  }

  /** Asks the host for a snapshot of at least this index. */
  pull(least: Index): void {
    this.outbound.push({ kind: 'pull', least });
  }

  commit(entries: readonly Entry[]): void {
    assert(entries.length > 0, 'log/delivered-in-order: a commit delivers something');
    this.outbound.push({ kind: 'commit', entries });
  }

  /** Asks the storage for entries. Gives the number of the load, which the answer carries. */
  load(from: Index, to: Index, maxBytes: number): number {
    const id = this.freshNumber();
    this.outbound.push({ kind: 'load', id, from, to, maxBytes });
    return id;
  }

  // Requests.

  resolve(requests: readonly RequestNumber[], outcome: Outcome): void {
    if (requests.length > 0) this.outbound.push({ kind: 'resolve', requests, outcome });
  }

  /** Ends requests that provably have no effect. */
  refuse(requests: readonly RequestNumber[], reason: Reason, leader: ReplicaId | null): void {
    this.resolve(requests, { kind: 'none', reason, leader });
  }

  /** Tells a peer that its forward is refused, as a whole. */
  refuseForward(
    to: ReplicaId,
    number: number,
    reason: ForwardRefused['reason'],
    leader: ReplicaId | null = leaderOf(this.current),
  ): void {
    const term = this.termOf(this.current);
    this.send(to, { kind: 'forwardRefused', term, number, reason, leader }, 0, 'control');
  }

  readReady(request: RequestNumber, index: Index): void {
    this.outbound.push({ kind: 'readReady', request, index });
  }

  /** The leader has these in its log, which were forwarded. */
  forwardTaken(requests: readonly RequestNumber[]): void {
    if (requests.length > 0) this.outbound.push({ kind: 'forwardTaken', requests });
  }

  /** For `patience.ts` alone. */
  setPatience(patience: Milliseconds): void {
    if (patience !== this.current.patience) this.edit().patience = patience;
  }

  /** For `patience.ts` alone. */
  setForwardedBytes(forwarded: number, answered: number): void {
    const { forwardedBytes, answeredBytes } = this.current;
    if (forwarded === forwardedBytes && answered === answeredBytes) return;
    const next = this.edit();
    next.forwardedBytes = forwarded;
    next.answeredBytes = answered;
  }

  setAttempts(attempts: S['attempts']): void {
    if (attempts !== this.current.attempts) this.edit().attempts = attempts;
  }

  endAttempts({ attempts, endings }: EndedAttempts): void {
    this.setAttempts(attempts);
    for (let i = 0; i < endings.length; i++) {
      const { requests, outcome } = endings[i] as EndedAttempts['endings'][0];
      this.resolve(requests, outcome);
    }
  }

  setReads(reads: ForwardedReads): void {
    if (reads !== this.current.reads) this.edit().reads = reads;
  }

  // Ends.

  event(event: CoreEvent): void {
    this.outbound.push({ kind: 'event', event });
  }

  /** The role of a replica that takes no part: a follower without a leader. */
  protected abstract idleRole(): S['role'];

  /** Ends every request and stops for good. @param fault why, if the storage failed */
  halt(fault: string | null): void {
    endAllRequests(this as unknown as AnyDraft, fault === null ? 'stopped' : 'storageFailed');
    const next = this.edit();
    next.role = this.idleRole();
    next.electionTimer = noElectionTimer;
    next.preVoting = null;
    next.stopped = true;
    next.fault = fault;
    if (fault !== null) this.event({ kind: 'fault', reason: fault });
  }

  private evict(): void {
    const { log, options } = this.current;
    const { tailEntries, tailBytes } = options.limits;
    if (log.last - log.tailFrom < Math.min(RECENT, tailEntries) && log.bytes < tailBytes) return;
    // What is not committed may have to be found again: by a retry, and by whoever truncates it.
    const kept = evict(log, Math.min(this.durable, this.commitIndex), spentOf(this.current, this.now), options.limits);
    if (kept !== log) this.edit().log = kept;
  }

  /** The step's result; the draft must not be used afterwards. */
  finish(): Step<S, M | CoreMessage> {
    const { outbound, ops } = this;
    if (this.current === this.before) return [this.current, outbound.length === 0 ? NOTHING : outbound];
    this.evict();
    if (ops !== null) {
      ops.push({ kind: 'hard', hard: this.hardState() });
      if (!this.placed) outbound.unshift({ kind: 'persist', persistSeq: this.current.persistSeq, ops });
    }
    this.raiseRoleEvent();
    this.edit().now = this.now;
    return [this.current, outbound];
  }
}
