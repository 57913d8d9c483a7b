/**
 * The scope of an exhaustive search, as data: the number of replicas, the behaviour of the network, and how many
 * elections, proposals, crashes … may happen; and the moves that a scope allows from a world. A move is an action, or a
 * crash with the restart after it.
 *
 * No time passes in a search. A timeout makes the replica's clock leap to its deadline and is possible at any moment,
 * as if the other replicas had been slow.
 */

import type { AnyModel, Model } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';
import type { Tuning } from '../../core/tuning.js';
import type { Action } from '../world/actions.js';
import { newestOn } from '../world/snapshots.js';
import { isWritable, type Slot, type World } from '../world/state.js';

/** A scope. Numbers are upper bounds; events whose number is not given do not happen. */
export interface Scope {
  /** `raftModel` or `multipaxosModel`. */
  readonly model: Model<any, any, any>;
  /** The number of replicas, 1 to 7. */
  readonly replicas: number;
  /**
   * `set`: a message that was ever sent can arrive at any time and any number of times, so that loss, duplication and
   * reordering are one. `consume`: it arrives once, at any time, or never.
   */
  readonly network: 'set' | 'consume';
  /** Elections that may begin, of all replicas together. */
  readonly elections?: number;
  /** Elections that may begin, of each replica. */
  readonly electionsEach?: number;
  /** No election begins in a higher term (Multi-Paxos: ballot). Of no use with pre-votes, which precede the term. */
  readonly maxTerm?: number;
  /** How many replicas, from the first on, may begin elections; all unless given. */
  readonly candidates?: number;
  /** How elections begin. `timeout` (the default): by the election timeout. `campaign`: on request. */
  readonly electionsBy?: 'timeout' | 'campaign';
  /** Timeouts that begin no election: heartbeats and retransmissions. */
  readonly beats?: number;
  /** Commands, each at a replica that leads. */
  readonly proposals?: number;
  /** Linearizable reads, each at a replica that leads. */
  readonly reads?: number;
  /** Whether calls are made at all replicas, not only at a leader. */
  readonly callAnywhere?: boolean;
  /** Crashes, each one move together with the restart after it. */
  readonly crashes?: number;
  /** Snapshots that are taken, each at once and of all that is applied, up to which the log is trimmed. */
  readonly snapshots?: number;
  /**
   * Snapshots of a peer that are installed, each brought in one move, at any time: a pull takes as long as it likes,
   * and the core may have asked for it long ago. One that it refuses does not count.
   */
  readonly installs?: number;
  /** Whether the end of a write is a move of its own, before which a crash can lose it; else writes take no time. */
  readonly splitWrites?: boolean;
  /** Whether applying is a move of its own; else it takes no time. */
  readonly splitApplies?: boolean;
  readonly tuning?: Tuning;
}

/** The counters of a scope's limits that the world does not contain. */
export interface Spent {
  /** By replica. */
  readonly elections: readonly number[];
  readonly beats: number;
  readonly crashes: number;
  readonly snapshots: number;
  readonly installs: number;
}

/** One move. */
export interface Move {
  readonly actions: readonly Action[];
  /** The replica whose timeout this is, else -1. Only its outcome tells whether it is an election or a beat. */
  readonly timeout: number;
  /** The counter that it counts in, if it is no timeout. */
  readonly counter: 'crashes' | 'snapshots' | 'installs' | null;
}

/** The term in a replica's status; 0 when it is down. */
export function termOf(world: World, slot: Slot): number {
  const status = statusOf(world, slot);
  return status === null ? 0 : status.term;
}

/** Whether a replica leads. */
export function leads(world: World, slot: Slot): boolean {
  return statusOf(world, slot)?.role === 'leader';
}

function statusOf({ rules }: World, { process }: Slot): ReturnType<AnyModel['protocol']['status']> | null {
  if (process === null || rules.program.health(process) !== 'running') return null;
  const core = rules.program.core(process);
  return core === null ? null : rules.model.protocol.status(core);
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += numbers[i] as number;
  return total;
}

/** Whether a replica may begin an election. */
export function mayElect(scope: Scope, spent: Spent, place: number): boolean {
  if (place >= (scope.candidates ?? Infinity)) return false;
  if ((spent.elections[place] as number) >= (scope.electionsEach ?? Infinity)) return false;
  return sum(spent.elections) < (scope.elections ?? (scope.electionsEach === undefined ? 0 : Infinity));
}

const AT_ONCE = { at: 0 } as const;

function single(action: Action, timeout = -1): Move {
  return { actions: [action], timeout, counter: null };
}

function crash(replica: ReplicaId, keep: boolean): Move {
  const actions: Action[] = [
    { ...AT_ONCE, kind: 'crash', replica, keep },
    { ...AT_ONCE, kind: 'restart', replica },
  ];
  return { actions, timeout: -1, counter: 'crashes' };
}

/** Collects the moves of one replica. */
function movesAt(scope: Scope, world: World, spent: Spent, place: number, moves: Move[]): void {
  const slot = world.slots[place] as Slot;
  const replica = slot.id;
  const status = statusOf(world, slot);
  const elects = mayElect(scope, spent, place);
  const campaigns = scope.electionsBy === 'campaign';
  const isLeader = status?.role === 'leader';
  if (status !== null) {
    const beats = spent.beats < (scope.beats ?? 0);
    if (campaigns && elects && !isLeader) moves.push(single({ ...AT_ONCE, kind: 'campaign', replica }, place));
    if (beats || (elects && !campaigns && !isLeader))
      moves.push(single({ ...AT_ONCE, kind: 'timeout', replica }, place));
    if (isWritable(slot)) moves.push(single({ ...AT_ONCE, kind: 'written', replica }));
    if (slot.restoring !== null) moves.push(single({ ...AT_ONCE, kind: 'restored', replica }));
    if (slot.applying !== null) moves.push(single({ ...AT_ONCE, kind: 'applied', replica }));
    if (isLeader || scope.callAnywhere === true) callsAt(scope, world, replica, moves);
    snapshotsAt(scope, world, spent, slot, moves);
  }
  if (spent.crashes >= (scope.crashes ?? 0)) return;
  moves.push(crash(replica, false));
  if (slot.writing !== null && !slot.durable) moves.push(crash(replica, true));
}

/** Snapshots that a replica can take, or be brought. */
function snapshotsAt(scope: Scope, world: World, spent: Spent, slot: Slot, moves: Move[]): void {
  const replica = slot.id;
  const { applied } = statusOf(world, slot)!;
  if (spent.snapshots < (scope.snapshots ?? 0) && applied > (newestOn(slot.disk)?.index ?? 0)) {
    const actions: Action[] = [
      { ...AT_ONCE, kind: 'compact', replica },
      { ...AT_ONCE, kind: 'snapshotted', replica, fails: false },
    ];
    moves.push({ actions, timeout: -1, counter: 'snapshots' });
  }
  if (spent.installs >= (scope.installs ?? 0)) return;
  for (const { id: peer, disk } of world.slots) {
    if (peer === replica || newestOn(disk) === null) continue;
    moves.push({ actions: [{ ...AT_ONCE, kind: 'install', replica, peer }], timeout: -1, counter: 'installs' });
  }
}

function callsAt(scope: Scope, { record }: World, replica: ReplicaId, moves: Move[]): void {
  const { calls } = record;
  let reads = 0;
  for (let i = 0; i < calls.length; i++) if (calls[i]?.kind === 'read') reads++;
  const proposals = calls.length - reads;
  if (proposals < (scope.proposals ?? 0)) {
    moves.push(single({ ...AT_ONCE, kind: 'propose', replica, command: proposals + 1, timeout: Infinity }));
  }
  if (reads < (scope.reads ?? 0)) {
    moves.push(single({ ...AT_ONCE, kind: 'read', replica, minIndex: null, timeout: Infinity }));
  }
}

/** All moves that a scope allows from a world, always in the same order. */
export function movesOf(scope: Scope, world: World, spent: Spent): readonly Move[] {
  const { slots, links, rules } = world;
  const moves: Move[] = [];
  for (let place = 0; place < slots.length; place++) movesAt(scope, world, spent, place, moves);
  const kind = scope.network === 'set' ? 'duplicate' : 'deliver';
  for (let at = 0; at < links.length; at++) {
    const { flights } = links[at]!;
    if (flights.length === 0) continue;
    const from = rules.ids[Math.floor(at / slots.length)] as ReplicaId;
    const to = rules.ids[at % slots.length] as ReplicaId;
    for (let i = 0; i < flights.length; i++) moves.push(single({ at: 0, kind, from, to, pick: flights[i]!.ordinal }));
  }
  return moves;
}
