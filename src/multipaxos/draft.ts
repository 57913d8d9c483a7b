/**
 * One step of Multi-Paxos in the making: the verbs by which handlers change the state, each holding its own law.
 * `promise` and `vote` are for acceptor.ts alone, `choose…` for learner.ts.
 */

import { assert } from '../core/assert.js';
import type { Delivery } from '../core/delivery.js';
import { BaseDraft, type Mutable } from '../core/draft.js';
import { durableIndex, noteUnsynced, seqCovering, cutSynced } from '../core/unsynced.js';
import { append, evict } from '../core/log.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, Index, PersistSeq, Step } from '../core/protocol.js';
import { nextSeed } from '../core/random.js';
import type { ForwardedRead } from '../core/reads.js';
import type { EndedAttempts } from '../core/attempts.js';
import { addAttempt } from '../core/attempts.js';
import { startElectionTimer, resetElectionTimer, type ElectionTimer } from '../core/election-timer.js';
import type { Ballot } from './ballot.js';
import type { PaxosMessage } from './messages.js';
import type { PaxosProgress } from './progress.js';
import type { CatchingUp, PaxosLeader, Forwarder, PaxosRole, PaxosState, Serving } from './state.js';
import { above, runsThrough, withVotes } from './window.js';

export class PaxosDraft extends BaseDraft<PaxosState, PaxosMessage> {
  /** The leader's record that this step works on; its own copy once it was edited. */
  private led: Mutable<PaxosLeader> | null = null;
  private peersCopied = false;
  /** W in the newest hard state of this step; -1 when there is none. */
  private hardCommit = -1;
  /** Peers that hear W in this step anyway. */
  private sentThisStep: ReplicaId[] | null = null;

  protected override copy(s: PaxosState): Mutable<PaxosState> {
    return {
      now: s.now,
      persistSeq: s.persistSeq,
      durableSeq: s.durableSeq,
      hardSeq: s.hardSeq,
      lastNumber: s.lastNumber,
      options: s.options,
      seed: s.seed,
      promised: s.promised,
      window: s.window,
      unsynced: s.unsynced,
      log: s.log,
      leaderCommitBallot: s.leaderCommitBallot,
      leaderCommit: s.leaderCommit,
      delivery: s.delivery,
      catchingUp: s.catchingUp,
      serving: s.serving,
      role: s.role,
      highestBallotSeen: s.highestBallotSeen,
      electionTimer: s.electionTimer,
      attempts: s.attempts,
      reads: s.reads,
      stopped: s.stopped,
      fault: s.fault,
    };
  }

  // The acceptor's verbs.

  /** Promises to take part in nothing below `ballot`. */
  promise(ballot: Ballot): void {
    assert(ballot > this.state.promised, 'paxos/promise-never-falls: a promise is only raised');
    this.edit().promised = ballot;
    this.persistHard({ term: ballot, vote: null, commit: this.state.log.last });
    this.hardCommit = this.state.log.last;
  }

  /** Votes for consecutive slots above W, in the ballot promised. Gives the persist that makes it durable. */
  vote(entries: readonly Entry[]): PersistSeq {
    const { log, promised } = this.state;
    const head = entries[0] as Entry;
    assert(head.index > log.last, 'paxos/votes-above-commit: no vote at or below the commit index');
    assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');
    const persistSeq = this.persist({ kind: 'put', entries });
    const next = this.edit();
    next.window = withVotes(next.window, entries);
    next.unsynced = noteUnsynced(next.unsynced, head.index, head.index + entries.length - 1, promised, persistSeq);
    return persistSeq;
  }

  /** The newest persist that the promise in force and the votes from `from` to `to` wait for. */
  seqOfVotes(from: Index, to: Index): PersistSeq {
    const { unsynced, hardSeq } = this.state;
    return Math.max(hardSeq, seqCovering(unsynced, from, to));
  }

  /** Persists up to `persistSeq` are durable. */
  durableTo(persistSeq: PersistSeq): void {
    const next = this.edit();
    next.durableSeq = persistSeq;
    next.unsynced = cutSynced(next.unsynced, persistSeq);
  }

  // The learner's verbs.

  /** Everything up to `upTo` is chosen, and is what this replica voted for in the choosing ballot. */
  chooseVoted(upTo: Index): void {
    const next = this.edit();
    let { log } = next;
    const runs = runsThrough(next.window, upTo);
    for (let i = 0; i < runs.length; i++) log = append(log, (runs[i] as (typeof runs)[0]).entries);
    assert(log.last === upTo, 'log/no-gap: the commit index advances over votes without a gap');
    next.log = log;
    next.window = above(next.window, upTo);
  }

  /**
   * These are chosen, right after W. `foreign` are those that are not this replica's own votes in the choosing
   * ballot: they are put only now, in the persist whose hard state carries the W that passes them.
   */
  chooseLearned(entries: readonly Entry[], foreign: readonly Entry[]): void {
    const next = this.edit();
    next.log = append(next.log, entries);
    next.window = above(next.window, next.log.last);
    if (foreign.length === 0) return;
    const persistSeq = this.persist({ kind: 'put', entries: foreign });
    for (const { index } of foreign) next.unsynced = noteUnsynced(next.unsynced, index, index, 0, persistSeq);
  }

  /** The leader of `ballot` says that everything up to `chosen` is. */
  noteLeaderCommit(ballot: Ballot, chosen: Index): void {
    const { leaderCommitBallot, leaderCommit } = this.state;
    if (ballot < leaderCommitBallot || (ballot === leaderCommitBallot && chosen <= leaderCommit)) return;
    const next = this.edit();
    next.leaderCommitBallot = ballot;
    next.leaderCommit = chosen;
  }

  setDelivery(delivery: Delivery): void {
    if (delivery !== this.state.delivery) this.edit().delivery = delivery;
  }

  setCatchingUp(catchingUp: CatchingUp | null): void {
    if (catchingUp !== this.state.catchingUp) this.edit().catchingUp = catchingUp;
  }

  setServing(serving: readonly Serving[]): void {
    this.edit().serving = serving;
  }

  /** Lets go of the oldest entries that are durable, beyond the bounds of the tail. */
  evict(): void {
    const { log, unsynced, options } = this.state;
    const kept = evict(log, durableIndex(unsynced, log.last), options.limits);
    if (kept !== log) this.edit().log = kept;
  }

  // The proposer's verbs.

  setRole(role: PaxosRole): void {
    this.edit().role = role;
    this.led = null;
    this.peersCopied = false;
  }

  /** The leader's record, to be edited. Only while it leads. */
  ownLeader(): Mutable<PaxosLeader> {
    if (this.led !== null) return this.led;
    const { role } = this.state;
    assert(role.kind === 'leader', 'core/role-by-its-verb: only a leader has a leader’s record');
    this.led = {
      kind: 'leader',
      ballot: role.ballot,
      committedAtElection: role.committedAtElection,
      noopIndex: role.noopIndex,
      next: role.next,
      toRepropose: role.toRepropose,
      peers: role.peers,
      heartbeatAt: role.heartbeatAt,
      quorumTimer: role.quorumTimer,
      reads: role.reads,
      forwarders: role.forwarders,
    };
    this.edit().role = this.led;
    return this.led;
  }

  /** Replaces what the leader knows of the peer at that place. */
  setProgress(at: number, peer: PaxosProgress): void {
    const { role } = this.state;
    if (role.kind === 'leader' && role.peers[at] === peer) return;
    const lead = this.ownLeader();
    if (!this.peersCopied) lead.peers = lead.peers.slice();
    this.peersCopied = true;
    (lead.peers as PaxosProgress[])[at] = peer;
  }

  /** A ballot that was held against one of ours. */
  noteBallotSeen(ballot: Ballot): void {
    if (ballot > this.state.highestBallotSeen) this.edit().highestBallotSeen = ballot;
  }

  /** The leader hears from us, or a candidate has our promise: the same draw counts from now on. */
  resetElectionTimer(): void {
    const { electionTimer } = this.state;
    if (electionTimer.deadline === this.now + electionTimer.timeout && !electionTimer.forgiven) return;
    this.edit().electionTimer = resetElectionTimer(electionTimer, this.now);
  }

  setElectionTimer(electionTimer: ElectionTimer): void {
    this.edit().electionTimer = electionTimer;
  }

  /** A fresh draw of how long a silence is borne, from now on. */
  restartElectionTimer(): void {
    const next = this.edit();
    next.seed = nextSeed(next.seed);
    next.electionTimer = startElectionTimer(next.seed, this.now, next.options.timing);
  }

  setSeed(seed: number): void {
    this.edit().seed = seed;
  }

  // Requests.

  book(...attempt: Parameters<typeof addAttempt> extends [unknown, ...infer Rest] ? Rest : never): void {
    this.edit().attempts = addAttempt(this.state.attempts, ...attempt);
  }

  /** Ends what is settled. */
  end({ attempts, endings }: EndedAttempts): void {
    if (endings.length === 0) return;
    this.edit().attempts = attempts;
    this.resolveAll(endings);
  }

  setReads(reads: readonly ForwardedRead[]): void {
    this.edit().reads = reads;
  }

  noteForwarder(peer: ReplicaId, through: Index): void {
    const lead = this.ownLeader();
    lead.forwarders = [...lead.forwarders, { peer, through }];
  }

  setForwarders(forwarders: readonly Forwarder[]): void {
    this.ownLeader().forwarders = forwarders;
  }

  /** This peer hears W in this step, with a message that leaves for it anyway. */
  noteSent(peer: ReplicaId): void {
    const { role } = this.state;
    if (role.kind === 'leader' && role.forwarders.length === 0) return; // nobody will ask
    if (this.sentThisStep === null) this.sentThisStep = [peer];
    else this.sentThisStep.push(peer);
  }

  wasSent(peer: ReplicaId): boolean {
    return this.sentThisStep !== null && this.sentThisStep.includes(peer);
  }

  /** Whom the transport must reach. */
  members(members: readonly Member[]): void {
    this.emit({ kind: 'members', members });
  }

  /** Nothing changes any more. */
  halt(fault: string | null): void {
    const next = this.edit();
    next.stopped = true;
    next.fault = fault;
  }

  /** W rides along as a hint with whatever is persisted anyway. */
  override finish(): Step<PaxosState, PaxosMessage> {
    const { log, promised } = this.state;
    if (this.persists && this.hardCommit !== log.last) {
      this.persist({ kind: 'hard', hard: { term: promised, vote: null, commit: log.last } });
    }
    return super.finish();
  }
}
