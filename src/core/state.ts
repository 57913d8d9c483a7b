/**
 * What the state of a replica has whatever its protocol: who it is, its log and what of that is durable, what was
 * delivered, its role and timer, and the requests under way. A protocol adds what it votes by, and what its roles need.
 * Only the verbs of `BaseDraft` and of the protocol's own draft change any of it.
 */

import type { Attempts } from './attempts.js';
import { noDelivery, type Delivery } from './delivery.js';
import { noElectionTimer, newElectionTimer, type ElectionTimer } from './election-timer.js';
import type { Log } from './log.js';
import { checkConfiguration, type Member, type ReplicaId } from './members.js';
import type { Index, Limits, Milliseconds, PersistSeq, ProtocolOptions, Status, Timing } from './protocol.js';
import { nextSeed } from './random.js';
import type { ForwardedRead, ReadQueue } from './reads.js';
import { durableIndex, type Unsynced } from './unsynced.js';

/** What never changes during a start. */
export interface CoreOptions {
  readonly id: ReplicaId;
  /** The other members, ascending by number; everything that is kept for each peer is in this order. */
  readonly others: readonly Member[];
  readonly timing: Timing;
  readonly limits: Limits;
}

/** Entries up to `through` came from a peer that hears at once when they are committed. */
export interface Forwarder {
  readonly peer: ReplicaId;
  readonly through: Index;
}

export interface CoreFollower {
  readonly kind: 'follower';
  /** Who leads, `null` when unknown. */
  readonly leader: ReplicaId | null;
}

export interface CoreCandidate {
  readonly kind: 'candidate';
}

export interface CoreLeader {
  readonly kind: 'leader';
  /** The index of the no-op by which this leadership takes effect. */
  readonly noopIndex: Index;
  /** What it knows of each peer, in the order of `CoreOptions.others`. */
  readonly peers: readonly { readonly id: ReplicaId }[];
  readonly reads: ReadQueue;
  readonly forwarders: readonly Forwarder[];
}

export type CoreRole = CoreFollower | CoreCandidate | CoreLeader;

export interface CoreState {
  readonly options: CoreOptions;
  /** The `now` of the latest step that changed something. */
  readonly now: Milliseconds;
  /** The generator's state. */
  readonly seed: number;
  /** Counts loads, forwards and whatever else must be told apart within this start. */
  readonly lastNumber: number;
  /** The newest persist message issued. */
  readonly persistSeq: PersistSeq;
  /** The newest persist known to be durable. */
  readonly durableSeq: PersistSeq;
  /** The newest persist that holds the term, vote or promise in force. */
  readonly hardSeq: PersistSeq;
  /** Which entries are on their way to disk. */
  readonly unsynced: Unsynced;
  /** Raft's log; in Multi-Paxos the chosen prefix. */
  readonly log: Log;
  readonly delivery: Delivery;
  readonly role: CoreRole;
  /** Runs for the silence of the leader, of who answers a candidate, or, at a leader, of a quorum. */
  readonly electionTimer: ElectionTimer;
  /** Proposals of the own host: which attempts have neither taken effect nor failed? */
  readonly attempts: Attempts;
  /** Reads of the own host that were passed on: which wait for the leader's answer? */
  readonly reads: readonly ForwardedRead[];
  /** It takes no part any more; nothing changes. */
  readonly stopped: boolean;
  /** Why, if its storage failed. */
  readonly fault: string | null;
}

/** Numbers of one start lie in a range of their own, so that no answer of an earlier start can match (Identity). */
const NUMBERS_PER_BOOT = 2 ** 32;

/** The number before the first of this start, for `lastNumber`. @throws RangeError beyond 2^20 starts */
export function firstNumberOf(boot: number): number {
  if (!Number.isSafeInteger(boot) || boot < 1 || boot >= 2 ** 20) throw new RangeError(`boot: out of range: ${boot}`);
  return boot * NUMBERS_PER_BOOT;
}

/** @throws RangeError when the configuration breaks its rules or lacks this replica */
export function coreOptionsOf({ id, configuration, timing, limits }: ProtocolOptions): CoreOptions {
  checkConfiguration(configuration);
  const { members } = configuration;
  const others = members.filter((member) => member.id !== id);
  if (others.length === members.length) throw new RangeError(`id: ${id} is no member of the configuration`);
  return { id, others, timing, limits };
}

/** All of a replica that starts with this log, but what its protocol adds. */
export function startOf(start: ProtocolOptions, log: Log): Omit<CoreState, 'options' | 'role'> {
  const seed = nextSeed(start.seed);
  const isAlone = start.configuration.members.length === 1;
  return {
    now: start.now,
    seed,
    lastNumber: firstNumberOf(start.boot),
    persistSeq: 0,
    durableSeq: 0,
    hardSeq: 0,
    unsynced: [],
    log,
    delivery: noDelivery,
    electionTimer: isAlone ? noElectionTimer : newElectionTimer(seed, start.now, start.timing),
    attempts: [],
    reads: [],
    stopped: false,
    fault: null,
  };
}

/** Who leads as far as this replica knows, itself included. */
export function leaderOf({ role, options }: CoreState): ReplicaId | null {
  if (role.kind === 'leader') return options.id;
  return role.kind === 'follower' ? role.leader : null;
}

/** Where a peer stands in everything that is kept for each peer; -1 when it is none. */
export function placeOf({ others }: CoreOptions, id: ReplicaId): number {
  for (let at = 0; at < others.length; at++) if ((others[at] as Member).id === id) return at;
  return -1;
}

/** How many members there are, this one included. */
export function sizeOf({ others }: CoreOptions): number {
  return others.length + 1;
}

/** What an operator wants to see; the protocol tells its term, its commit index, its last index and its peers. */
export function coreStatus(state: CoreState, own: Pick<Status, 'term' | 'commit' | 'last' | 'peers'>): Status {
  const { options, role, delivery, unsynced, fault } = state;
  const { term, commit, last, peers } = own;
  return {
    id: options.id,
    role: role.kind,
    term,
    leader: leaderOf(state),
    commit,
    delivered: delivery.delivered,
    applied: delivery.applied,
    last,
    durable: durableIndex(unsynced, last),
    peers,
    fault,
  };
}
