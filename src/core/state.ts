/**
 * The state of a replica, as far as both protocols share it: its options, its log and how much of it is durable, the
 * delivery, the role, the election timer and the requests under way. Each protocol adds its term or promise and the
 * data of its roles. Only the verbs of `BaseDraft` and of the protocol's own draft change it.
 */

import type { Attempts } from './attempts.js';
import { deliveredTo, type Delivery } from './delivery.js';
import { noElectionTimer, newElectionTimer, type ElectionTimer } from './election-timer.js';
import { neverFresh, type Freshness } from './freshness.js';
import type { Bound, Grants } from './lease-reads.js';
import type { Log } from './log.js';
import { clockOffOf, clocksAtStart, neverWake, type Clocks, type Wake } from './log-time.js';
import { checkConfiguration, priorityOf, type Member, type ReplicaId } from './members.js';
import type {
  Index,
  Limits,
  Milliseconds,
  PersistSeq,
  ProtocolOptions,
  SnapshotName,
  Status,
  Timing,
} from './protocol.js';
import type { PreVoting } from './pre-vote.js';
import type { Preferred } from './priority.js';
import { nextSeed } from './random.js';
import type { ForwardedReads, ReadQueue } from './reads.js';
import type { StandingProposals } from './standing.js';
import { leastPatience } from './tuning.js';
import type { RefusedHandover, Transferring } from './transferring.js';
import { durableIndex, type Unsynced } from './unsynced.js';

/** What never changes during a start. */
export interface CoreOptions {
  readonly id: ReplicaId;
  /** The other members, ascending by number; everything that is kept for each peer is in this order. */
  readonly others: readonly Member[];
  readonly timing: Timing;
  readonly limits: Limits;
  readonly preVote: boolean;
  /** The own priority, and how many higher ones other members have. */
  readonly priority: number;
  readonly higherPriorities: number;
  /** For how long a member grants that it elects nobody else; 0: there are no lease reads. */
  readonly leaseReads: Milliseconds;
}

export interface CoreFollower {
  readonly kind: 'follower';
  /** Who leads, `null` when unknown. */
  readonly leader: ReplicaId | null;
}

export interface CoreCandidate {
  readonly kind: 'candidate';
}

/** A leader's view of one follower, as far as both protocols have it. */
export interface CoreProgress {
  readonly id: ReplicaId;
  /** Everything up to here it has acknowledged. */
  readonly match: Index;
  /** When it last answered; when this leadership began, if it has not; 0 since its process is unreachable. */
  readonly answeredAt: Milliseconds;
}

/** Whether nothing was heard of a peer for longer than an answer to a heartbeat may take, or its process is gone. */
export function isSilent({ answeredAt }: CoreProgress, timing: Timing, now: Milliseconds): boolean {
  return now > answeredAt + timing.heartbeat + leastPatience(timing);
}

export interface CoreLeader {
  readonly kind: 'leader';
  /** The index of the no-op by which this leadership takes effect; for applications the fencing token. */
  readonly noopIndex: Index;
  /** A progress record for each peer, in the order of `CoreOptions.others`. */
  readonly peers: readonly CoreProgress[];
  readonly reads: ReadQueue;
  /** For each peer the highest commit index that a message let it adopt, in the order of `CoreOptions.others`. */
  readonly told: readonly Index[];
  /** For each peer the highest index at which an entry stands that it forwarded; 0 for none. */
  readonly forwarded: readonly Index[];
  /** Where proposals stand that may be tried again; `null` unless some were. */
  readonly standing: StandingProposals | null;
  readonly grants: Grants;
  /** The transfer of this leadership; `null` while none is under way. */
  readonly transfer: Transferring | null;
  /** While its storage is full: when it next tries to let another one lead. `Infinity` otherwise. */
  readonly giveWayAt: Milliseconds;
  /** The member of a higher priority that could lead, and since when; `null` for none. */
  readonly preferred: Preferred | null;
}

export type CoreRole = CoreFollower | CoreCandidate | CoreLeader;

export interface CoreState {
  readonly options: CoreOptions;
  /** The `now` of the latest step that changed something. */
  readonly now: Milliseconds;
  /** The state of the random generator. */
  readonly seed: number;
  /** The number given last: to a load, a forward or anything else that must be told apart within this start. */
  readonly lastNumber: number;
  /** The newest persist message issued. */
  readonly persistSeq: PersistSeq;
  /** The newest persist known to be durable. */
  readonly durableSeq: PersistSeq;
  /** The persist that holds the term, vote or promise in force. */
  readonly hardSeq: PersistSeq;
  /** Since when the disk has made nothing durable of what it was given; `Infinity` while it has nothing to do. */
  readonly unsyncedSince: Milliseconds;
  /** The entries on their way to disk. */
  readonly unsynced: Unsynced;
  /** Raft's log; in Multi-Paxos the chosen prefix. */
  readonly log: Log;
  readonly delivery: Delivery;
  /** The newest snapshot that a persist of the lane names; `null` for none. */
  readonly snapshot: SnapshotName | null;
  readonly role: CoreRole;
  /** At a follower and a candidate the election timer, at a leader the timer of its quorum. */
  readonly electionTimer: ElectionTimer;
  /** At a follower that would campaign: who would let it? `null` while it does not ask. */
  readonly preVoting: PreVoting | null;
  /** Proposals of the own host: which attempts have neither taken effect nor failed? */
  readonly attempts: Attempts;
  /** Reads of the own host that were forwarded: which wait for the leader's answer? */
  readonly reads: ForwardedReads;
  /** How long the answer to a forward is waited for. */
  readonly patience: Milliseconds;
  /** The host will stop this replica soon: it does not campaign. */
  readonly leaving: boolean;
  /** The storage has no space: this replica takes no proposals, and leads only as long as nobody else can. */
  readonly storageFull: boolean;
  /** The last Handover that it has refused; `null` for none. */
  readonly refusedHandover: RefusedHandover | null;
  /** Whom alone it elects, since it granted that. */
  readonly bound: Bound;
  /** How fresh is what is applied here? */
  readonly freshness: Freshness;
  /** The newest stamp of all entries that this replica has met, 0 for none; and when it met that one. */
  readonly stamp: Milliseconds;
  readonly stampedAt: Milliseconds;
  readonly clocks: Clocks;
  /** When the state machine is to be woken. */
  readonly wake: Wake;
  /** Bytes of all forwards to the present leader, and up to where of these its answers reach. */
  readonly forwardedBytes: number;
  readonly answeredBytes: number;
  /** The replica has stopped for good: nothing changes any more. */
  readonly stopped: boolean;
  /** Why it stopped, if its storage failed. */
  readonly fault: string | null;
}

/** The numbers of each start lie in a range of their own, so that no answer to an earlier start can match. */
const NUMBERS_PER_BOOT = 2 ** 32;

/** The number before the first one of this start. @throws RangeError beyond 2^20 starts */
export function firstNumberOf(boot: number): number {
  if (!Number.isSafeInteger(boot) || boot < 1 || boot >= 2 ** 20) throw new RangeError(`boot: out of range: ${boot}`);
  return boot * NUMBERS_PER_BOOT;
}

/** @throws RangeError when the configuration breaks its rules or lacks this replica */
export function coreOptionsOf({ id, configuration, timing, limits, preVote }: ProtocolOptions): CoreOptions {
  checkConfiguration(configuration);
  const { members, constants } = configuration;
  const others = members.filter((member) => member.id !== id);
  if (others.length === members.length) throw new RangeError(`id: ${id} is no member of the configuration`);
  const priority = priorityOf(members.find((member) => member.id === id) as Member);
  const higherPriorities = new Set(others.map(priorityOf).filter((each) => each > priority)).size;
  return { id, others, timing, limits, preVote, priority, higherPriorities, leaseReads: constants.leaseReads };
}

/** The shared part of the state of a replica that starts with this log. @param stamp the newest of what it recovered */
export function startOf(
  start: ProtocolOptions,
  options: CoreOptions,
  log: Log,
  snapshot: SnapshotName | null,
  bound: Bound,
  stamp: Milliseconds,
): Omit<CoreState, 'options' | 'role'> {
  const seed = nextSeed(start.seed);
  const isAlone = options.others.length === 0;
  return {
    now: start.now,
    seed,
    lastNumber: firstNumberOf(start.boot),
    persistSeq: 0,
    durableSeq: 0,
    hardSeq: 0,
    unsyncedSince: Infinity,
    unsynced: [],
    log,
    delivery: deliveredTo(snapshot?.index ?? 0),
    snapshot,
    electionTimer: isAlone ? noElectionTimer : newElectionTimer(seed, start.now, options),
    preVoting: null,
    attempts: null,
    reads: null,
    patience: leastPatience(start.timing),
    leaving: false,
    storageFull: false,
    refusedHandover: null,
    bound,
    freshness: neverFresh,
    stamp: Math.max(stamp, snapshot?.time ?? 0),
    stampedAt: start.now,
    clocks: clocksAtStart(options, start.ahead ?? -Infinity),
    wake: neverWake,
    forwardedBytes: 0,
    answeredBytes: 0,
    stopped: false,
    fault: null,
  };
}

/** The leader as far as this replica knows, itself included; `null` when unknown. */
export function leaderOf({ role, options }: CoreState): ReplicaId | null {
  if (role.kind === 'leader') return options.id;
  return role.kind === 'follower' ? role.leader : null;
}

/** The position of a peer in `others`, and in every list in that order; -1 when it is no peer. */
export function placeOf({ others }: CoreOptions, id: ReplicaId): number {
  for (let at = 0; at < others.length; at++) if ((others[at] as Member).id === id) return at;
  return -1;
}

/** How many members there are, this one included. */
export function sizeOf({ others }: CoreOptions): number {
  return others.length + 1;
}

/** The status of a replica. @param own the part that depends on the protocol */
export function coreStatus(
  state: CoreState,
  own: Pick<Status, 'term' | 'commit' | 'last' | 'uncommittedBytes' | 'peers'>,
): Status {
  const { options, role, delivery, unsynced, fault } = state;
  const { term, commit, last, uncommittedBytes, peers } = own;
  return {
    id: options.id,
    role: role.kind,
    term,
    leader: leaderOf(state),
    commit,
    delivered: delivery.delivered,
    applied: delivery.applied,
    first: state.log.first,
    last,
    durable: durableIndex(unsynced, last),
    uncommittedBytes,
    unappliedBytes: delivery.unappliedBytes,
    leaving: state.leaving,
    newestStamp: state.stamp,
    clockOff: clockOffOf(state),
    peers,
    fault,
  };
}
