/**
 * What an exhaustive search covers, as data: how many replicas, how the network behaves, and how often what may
 * happen. And the moves that a scope allows from a world: each is an action, or a crash with the restart after it.
 *
 * No time passes in a search. Every replica has its own clock, which leaps to its deadline when its time is out: that
 * may happen at any moment, as if the others had been slow.
 */

import type { AnyModel, Model } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';
import type { Tuning } from '../../core/tuning.js';
import type { Action } from '../world/actions.js';
import type { Slot, World } from '../world/state.js';

/** A scope. What counts is at most so many; what is not given does not happen. */
export interface Scope {
  /** `raftModel` or `multipaxosModel`. */
  readonly model: Model<any, any, any>;
  /** 1 to 7. */
  readonly replicas: number;
  /**
   * `set`: a message that was ever sent can arrive at any time and any number of times, so that loss, duplication and
   * reordering are one. `consume`: it arrives once, at any time, or never.
   */
  readonly network: 'set' | 'consume';
  /** Elections that may begin, of all replicas together. */
  readonly elections?: number;
  /** And of each of them. */
  readonly electionsEach?: number;
  /** No election begins in a higher term (Multi-Paxos: ballot) than this. */
  readonly maxTerm?: number;
  /** How many of the replicas, from the first on, may begin one; all unless given. */
  readonly candidates?: number;
  /** `timeout` (unless given): a replica's time is out. `campaign`: it is told to, and its clock stands. */
  readonly electionsBy?: 'timeout' | 'campaign';
  /** Timeouts that begin no election: a leader's heartbeats, what is sent again. */
  readonly beats?: number;
  /** Commands, each at a replica that leads. */
  readonly proposals?: number;
  /** Linearizable reads, each at a replica that leads. */
  readonly reads?: number;
  /** Calls are made at all replicas, not only where one leads. */
  readonly callAnywhere?: boolean;
  /** A crash and the restart after it are one move. */
  readonly crashes?: number;
  /** A write is a move of its own, and a crash can lose it. Otherwise it is done at once. */
  readonly splitWrites?: boolean;
  /** Applying is a move of its own. Otherwise it is done at once. */
  readonly splitApplies?: boolean;
  readonly tuning?: Tuning;
}

/** What has happened so far of what a scope limits, and is not in the world. */
export interface Spent {
  /** By replica. */
  readonly elections: readonly number[];
  readonly beats: number;
  readonly crashes: number;
}

/** One move. */
export interface Move {
  readonly actions: readonly Action[];
  /** Whose time is out, -1 otherwise: only what comes of it tells whether it is an election or a beat. */
  readonly timeout: number;
  readonly crash: boolean;
}

/** The term that a replica is in, as it says itself; 0 when it is down. */
export function termOf(world: World, slot: Slot): number {
  const status = statusOf(world, slot);
  return status === null ? 0 : status.term;
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
  return { actions: [action], timeout, crash: false };
}

function crash(replica: ReplicaId, keep: boolean): Move {
  const actions: Action[] = [
    { ...AT_ONCE, kind: 'crash', replica, keep },
    { ...AT_ONCE, kind: 'restart', replica },
  ];
  return { actions, timeout: -1, crash: true };
}

/** Collects the moves of one replica. */
function movesAt(scope: Scope, world: World, spent: Spent, place: number, moves: Move[]): void {
  const slot = world.slots[place] as Slot;
  const replica = slot.id;
  const status = statusOf(world, slot);
  const elects = mayElect(scope, spent, place);
  const campaigns = scope.electionsBy === 'campaign';
  const leads = status?.role === 'leader';
  if (status !== null) {
    const beats = spent.beats < (scope.beats ?? 0);
    if (campaigns && elects && !leads) moves.push(single({ ...AT_ONCE, kind: 'campaign', replica }, place));
    if (beats || (elects && !campaigns && !leads)) moves.push(single({ ...AT_ONCE, kind: 'timeout', replica }, place));
    if (slot.writing !== null) moves.push(single({ ...AT_ONCE, kind: 'written', replica }));
    if (slot.applying !== null) moves.push(single({ ...AT_ONCE, kind: 'applied', replica }));
    if (leads || scope.callAnywhere === true) callsAt(scope, world, replica, moves);
  }
  if (spent.crashes >= (scope.crashes ?? 0)) return;
  moves.push(crash(replica, false));
  if (slot.writing !== null && !slot.durable) moves.push(crash(replica, true));
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

/** Everything that a scope allows from here, always in the same order. */
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
