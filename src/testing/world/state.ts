/**
 * The types of the values that a world consists of. `world.ts` explains a world as a whole; `turn.ts` and its parts
 * change it.
 */

import type { Configuration, ReplicaId } from '../../core/members.js';
import type { AnyModel } from '../../core/model.js';
import type { Entry, Index, Lane, Limits, Milliseconds, Timing } from '../../core/protocol.js';
import type { StorageOp } from '../../replica/storage.js';
import type { WorldDisk, WorldSnapshot } from './disk.js';
import type { PulledFile } from './snapshots.js';
import type { Holder, Machines } from './machine.js';
import type { Watch } from './observed.js';
import type { Payload, Program } from './process.js';
import type { WorldRecord } from './record.js';

/** The kinds of work that happen at once instead of by an action. */
export interface Eager {
  readonly written: boolean;
  readonly applied: boolean;
  readonly loaded: boolean;
}

/** The parts of a world that never change. */
export interface Rules {
  readonly model: AnyModel;
  readonly program: Program;
  readonly watch: Watch;
  readonly machines: Machines;
  readonly configuration: Configuration;
  readonly ids: readonly ReplicaId[];
  readonly places: ReadonlyMap<ReplicaId, number>;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly preVote: boolean;
  readonly seed: number;
  readonly eager: Eager;
}

/** A clock: `base` at true time `since`, and `rate` milliseconds of its own for each true one from there on. */
export interface WorldClock {
  readonly base: Milliseconds;
  readonly since: Milliseconds;
  readonly rate: number;
}

/** A range of entries that a replica asked its storage to read. */
export interface PendingLoad {
  readonly id: number;
  readonly from: Index;
  readonly to: Index;
  readonly maxBytes: number;
}

/** One replica: its process if it is up, its disk, and the work under way between them. */
export interface Slot {
  readonly id: ReplicaId;
  readonly disk: WorldDisk;
  /** The program's state, `null` while it is down. */
  readonly process: unknown;
  readonly clock: WorldClock;
  /** By how much its wall clock is ahead of that one; `null` while it has none. */
  readonly ahead: Milliseconds | null;
  /** What the process was told of it. */
  readonly toldAhead: Milliseconds | null;
  readonly paused: boolean;
  /** The write under way; `durable` holds once it is on the disk and the process was not told yet. */
  readonly writing: readonly StorageOp[] | null;
  readonly durable: boolean;
  /** Whether the write under way or the next one fails; `keep`: it is on the disk all the same. */
  readonly failing: { readonly keep: boolean } | null;
  /** How many writes a full disk has room for; `null` while it has space. */
  readonly room: number | null;
  readonly loads: readonly PendingLoad[];
  /** The entries that the machine was given. */
  readonly applying: readonly Entry[] | null;
  /** The time at which it is to be woken before a command; `null`: it is not woken. */
  readonly wakeAt: Milliseconds | null;
  readonly machine: Holder | null;
  /** The snapshot that is taken and not complete yet, and the one that the machine restores. */
  readonly taking: WorldSnapshot | null;
  readonly restoring: WorldSnapshot | null;
  /** The file that is pulled, and what has come of it. */
  readonly pulling: PulledFile | null;
  /**
   * The last index that this start delivered; how many commands took effect in it; the last index at which one did, or
   * the machine was woken.
   */
  readonly delivered: Index;
  readonly effects: number;
  readonly position: Index;
  /** Calls that wait here. */
  readonly waiting: readonly number[];
  /** The disk that was wiped, after which the replica must take no part; `null` while it has its first disk. */
  readonly wiped: WorldDisk | null;
}

/** The fields of a slot in which no process runs. */
export const NO_PROCESS = {
  process: null,
  paused: false,
  writing: null,
  durable: false,
  failing: null,
  loads: [],
  toldAhead: null,
  applying: null,
  wakeAt: null,
  machine: null,
  taking: null,
  restoring: null,
  pulling: null,
  delivered: 0,
  effects: 0,
  position: 0,
  waiting: [],
} satisfies Partial<Slot>;

/** Whether a write is under way that a disk can end now. */
export function isWritable({ writing, durable, room }: Slot): boolean {
  return writing !== null && (durable || room !== 0);
}

/** A message under way. */
export interface Flight {
  /** Its number among all messages ever sent on this link, 1-based. */
  readonly ordinal: number;
  readonly sentAt: Milliseconds;
  readonly lane: Lane;
  readonly payload: Payload;
}

/** The link from one replica to another. */
export interface Link {
  readonly sent: number;
  readonly cut: boolean;
  /** By lane: whether the sender's transport refuses what it is given. */
  readonly refuses: Readonly<Record<Lane, boolean>>;
  /** Oldest first. */
  readonly flights: readonly Flight[];
}

/** A cluster as an immutable value; `world.ts` makes and changes it. */
export interface World {
  readonly rules: Rules;
  /** True time, in milliseconds. */
  readonly now: Milliseconds;
  /** In the order of `rules.ids`. */
  readonly slots: readonly Slot[];
  /** At `from * size + to`. */
  readonly links: readonly Link[];
  readonly record: WorldRecord;
  /** The ghost state of the model's safety checks. */
  readonly ghost: unknown;
  /** The number of disks so far, wiped ones included. */
  readonly incarnations: number;
}

/** The first incarnation, too large to be mistaken for the place of a replica. */
export const FIRST_INCARNATION = 1001;

/** The time by a replica's own clock. */
export function localTime(clock: WorldClock, now: Milliseconds): Milliseconds {
  return Math.floor(clock.base + (now - clock.since) * clock.rate);
}

/** The first true time, in whole milliseconds and not before `now`, at which a clock shows `local`. */
export function trueTime(clock: WorldClock, local: Milliseconds, now: Milliseconds): Milliseconds {
  if (local === Infinity) return Infinity;
  let at = Math.max(now, Math.ceil(clock.since + (local - clock.base) / clock.rate));
  while (localTime(clock, at) < local) at++;
  return at;
}
