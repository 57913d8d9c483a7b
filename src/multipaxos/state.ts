/**
 * The state of a Multi-Paxos replica. It is proposer (`role`), acceptor (`promised`, `window`) and learner (`log`) side
 * by side.
 *
 * Entries are in two stores: `log` is the chosen prefix, whose last index is the commit index; `window` holds the votes
 * above it. What survives a crash is `promised`, the votes, and the commit index as a hint: the disk holds votes only
 * above the commit index of the hard state, and chosen entries only at or below it.
 *
 * Above a gap an acceptor holds votes for α slots at most (paxos/alpha-window), of any size that an entry may have. No
 * limit of bytes stands beside that: `isSwamped` counts only what waits for the disk, and the leader's
 * `uncommittedBytes` only its own votes that it does not know to be chosen, which much of what is above the gap may be.
 */

import type { Mutable } from '../core/draft.js';
import type { Grants } from '../core/lease-reads.js';
import type { ReplicaId } from '../core/members.js';
import { bytesWithin } from '../core/log.js';
import type { Entry, Index, Milliseconds } from '../core/protocol.js';
import type { Preferred } from '../core/priority.js';
import type { ReadQueue } from '../core/reads.js';
import type { StandingProposals } from '../core/standing.js';
import type { CoreFollower, CoreLeader, CoreOptions, CoreState } from '../core/state.js';
import type { Transferring } from '../core/transferring.js';
import type { QuorumRead } from './quorum-reads.js';
import type { Ballot } from './ballot.js';
import type { VoteSpan } from './messages.js';
import type { PaxosProgress } from './progress.js';
import type { SlotRange } from './ranges.js';
import { votedBytes, type VoteWindow } from './window.js';

/** What never changes within a start. */
export interface PaxosOptions extends CoreOptions {
  /** This member's number: the lower part of its ballots. */
  readonly number: number;
  /** How many slots above the commit index may be under way. */
  readonly alpha: number;
}

/** A replica that proposes nothing. */
export interface PaxosFollower extends CoreFollower {
  /** The ballot in which that leader leads; 0 when unknown. */
  readonly ballot: Ballot;
}

/** What the pages of one acceptor's promise have covered so far. Their votes are in `PaxosState.reported`. */
export interface PromiseProgress {
  /** Every slot up to here is covered; `NO_END` when all are: only then the promise counts. */
  readonly upTo: Index;
  /** Covered beyond a gap: ascending ranges, apart from each other. */
  readonly beyond: readonly SlotRange[];
  /** The highest slot from which pages were asked for. */
  readonly asked: Index;
  /** The highest commit index of any page. */
  readonly commit: Index;
  /** When to ask again for what is not covered, unless a page comes before. */
  readonly retryAt: Milliseconds;
}

/** A proposer in Phase 1. */
export interface PaxosCandidate {
  readonly kind: 'candidate';
  readonly ballot: Ballot;
  /** The leader handed over to it: every Prepare says so. */
  readonly handover: boolean;
  /** The votes whose values it knew when it began: acceptors do not send them. */
  readonly held: readonly VoteSpan[];
  readonly promises: readonly PromiseProgress[];
  /** A page has come since the acceptors were last told of progress. */
  readonly progressed: boolean;
  /** When to tell the acceptors of progress, and to ask those again that have not answered. */
  readonly resendAt: Milliseconds;
}

/** A proposer in Phase 2. */
export interface PaxosLeader extends CoreLeader {
  readonly ballot: Ballot;
  /** The highest commit index that a promise reported: nothing at or below it is proposed. */
  readonly committedAtElection: Index;
  /** The slot of its own first no-op, right above `committedAtElection` and every vote that Phase 1 reported. */
  readonly noopIndex: Index;
  /** The next slot that it proposes. */
  readonly next: Index;
  /** Votes that Phase 1 reported and that are still to be proposed again, from `next` on; gaps become no-ops. */
  readonly toRepropose: readonly Entry[];
  readonly peers: readonly PaxosProgress[];
  readonly heartbeatAt: Milliseconds;
  readonly reads: ReadQueue;
  readonly told: readonly Index[];
  readonly forwarded: readonly Index[];
  readonly standing: StandingProposals | null;
  readonly grants: Grants;
  readonly transfer: Transferring | null;
  readonly giveWayAt: Milliseconds;
  readonly preferred: Preferred | null;
}

export type PaxosRole = PaxosFollower | PaxosCandidate | PaxosLeader;

/** Slots that a peer was asked for and that have not come. */
export interface Question extends SlotRange {
  /** The number of the CatchUp. */
  readonly number: number;
  /** How many bytes of the answer are expected to be under way still. */
  readonly bytes: number;
}

/** No page has come for long, and the peer was asked why: it answers once by each lane. */
export interface Doubt {
  /** The number of the CatchUp. */
  readonly number: number;
  /** One answer has come: the peer hears, so its pages may only be slow. */
  readonly isHeard: boolean;
  /** When the peer is given up, though it hears. */
  readonly until: Milliseconds;
}

/** What this replica asks peers for, until it has what it was told of. */
export interface CatchingUp {
  /** Who is asked. */
  readonly peer: ReplicaId;
  /** The highest commit index that a peer has claimed. */
  readonly target: Index;
  /** When to ask another peer, unless something comes before; `Infinity` when all were asked in vain. */
  readonly retryAt: Milliseconds;
  /** How many peers have been asked in vain. */
  readonly asked: number;
  /** What answers are waited for; while nobody answers, only of peers that were asked whether they do. */
  readonly questions: readonly Question[];
  /** How many bytes may be under way; 0 while nobody answers. */
  readonly window: number;
  /** The question whether the peer hears this replica, while pages are late; `null` while they are not. */
  readonly doubt: Doubt | null;
  /** The lowest index of a snapshot that would do, as peers say that have trimmed the entries; 0 while none said so. */
  readonly least: Index;
  /** Pages that came before the ones below them. */
  readonly ahead: readonly (readonly Entry[])[];
}

/** A peer's CatchUp for which entries are being loaded. */
export interface Serving {
  /** The number of the load. */
  readonly load: number;
  readonly peer: ReplicaId;
  /** The number of the question. */
  readonly number: number;
  readonly from: Index;
  readonly to: Index;
  /** How many bytes the rest of the answer may take. */
  readonly bytes: number;
}

/** How long an acceptor bears the Phase 1s of others before it campaigns itself: liveness/phase1-is-borne. */
export interface Bearing {
  /** Until then; `Infinity` when none has begun since a leader was heard. */
  readonly until: Milliseconds;
  /** For how long in all. */
  readonly span: Milliseconds;
}

export interface PaxosState extends CoreState {
  readonly options: PaxosOptions;

  /** Acceptor: the highest ballot promised. */
  readonly promised: Ballot;
  /** Acceptor: the votes above the commit index. */
  readonly window: VoteWindow;
  readonly bearing: Bearing;
  /** How often in a row this replica gave way as leader, since it did not learn (liveness/stranded-gives-way). */
  readonly strandings: number;

  // Learner: the chosen prefix is `log`; its last index is the commit index.
  /** Learner: the newest commit index that a leader's message carried, and the ballot of that leader. */
  readonly leaderCommitBallot: Ballot;
  readonly leaderCommit: Index;
  readonly catchingUp: CatchingUp | null;
  readonly serving: readonly Serving[];
  /** Quorum reads of the own host that are not served yet. */
  readonly quorumReads: readonly QuorumRead[];

  /** Proposer. */
  readonly role: PaxosRole;
  /**
   * Proposer: the votes of others that promises reported since a leader was last heard, of each slot the one of the
   * highest ballot, as far as it is above the own vote. A later Phase 1 of this replica need not be sent them again.
   */
  readonly reported: VoteWindow;
  /** The highest ballot that a Nack reported: the next own ballot lies above it. */
  readonly highestBallotSeen: Ballot;
}

/** The commit index: everything up to here is known to be chosen. */
export function commitOf(state: PaxosState): Index {
  return state.log.last;
}

/**
 * Whether so much waits for the own disk that this replica takes nothing more: the tail of the log and the votes are in
 * memory, and what is not durable stays there (limits/disk-bounds-learning). Votes that are durable and wait for what
 * is missing below them do not count, however many: or what is missing would never be asked for.
 */
export function isSwamped({ log, window, unsynced, options }: PaxosState): boolean {
  const { tailBytes, inflightBytes } = options.limits;
  const most = tailBytes + 2 * inflightBytes;
  if (unsynced.length === 0 || log.bytes + window.bytes <= most) return false; // the common case costs two sums
  let waiting = 0;
  for (const { from, to } of unsynced) waiting += bytesWithin(log, from, to) + votedBytes(window, from, to);
  return waiting > most;
}

/** A copy to change, written as a literal: several times faster than a spread. */
export function copyState(s: PaxosState): Mutable<PaxosState> {
  return {
    options: s.options,
    now: s.now,
    seed: s.seed,
    lastNumber: s.lastNumber,
    persistSeq: s.persistSeq,
    durableSeq: s.durableSeq,
    hardSeq: s.hardSeq,
    unsyncedSince: s.unsyncedSince,
    unsynced: s.unsynced,
    log: s.log,
    delivery: s.delivery,
    role: s.role,
    electionTimer: s.electionTimer,
    preVoting: s.preVoting,
    attempts: s.attempts,
    reads: s.reads,
    patience: s.patience,
    leaving: s.leaving,
    storageFull: s.storageFull,
    refusedHandover: s.refusedHandover,
    bound: s.bound,
    freshness: s.freshness,
    snapshot: s.snapshot,
    stamp: s.stamp,
    stampedAt: s.stampedAt,
    clocks: s.clocks,
    wake: s.wake,
    forwardedBytes: s.forwardedBytes,
    answeredBytes: s.answeredBytes,
    stopped: s.stopped,
    fault: s.fault,
    promised: s.promised,
    window: s.window,
    bearing: s.bearing,
    strandings: s.strandings,
    leaderCommitBallot: s.leaderCommitBallot,
    leaderCommit: s.leaderCommit,
    catchingUp: s.catchingUp,
    serving: s.serving,
    quorumReads: s.quorumReads,
    reported: s.reported,
    highestBallotSeen: s.highestBallotSeen,
  };
}

/** @see copyState */
export function copyLeader(leader: PaxosLeader): Mutable<PaxosLeader> {
  return {
    kind: 'leader',
    ballot: leader.ballot,
    committedAtElection: leader.committedAtElection,
    noopIndex: leader.noopIndex,
    next: leader.next,
    toRepropose: leader.toRepropose,
    peers: leader.peers,
    heartbeatAt: leader.heartbeatAt,
    reads: leader.reads,
    told: leader.told,
    forwarded: leader.forwarded,
    standing: leader.standing,
    grants: leader.grants,
    transfer: leader.transfer,
    giveWayAt: leader.giveWayAt,
    preferred: leader.preferred,
  };
}
