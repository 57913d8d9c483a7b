/**
 * The values that a world is made of. What they mean together stands in `world.ts`; how they change, in `turn.ts` and
 * what it is composed of.
 */

import type { Configuration, ReplicaId } from '../../core/members.js';
import type { AnyModel } from '../../core/model.js';
import type { Entry, Index, Limits, Milliseconds, Timing } from '../../core/protocol.js';
import type { StorageOp } from '../../replica/storage.js';
import type { WorldDisk } from './disk.js';
import type { Holder, Machines } from './machine.js';
import type { Watch } from './observed.js';
import type { Payload, Program } from './process.js';
import type { WorldRecord } from './record.js';

/** What happens at once instead of by an action. */
export interface Eager {
  readonly written: boolean;
  readonly applied: boolean;
  readonly loaded: boolean;
}

/** What does not change while a world runs. */
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
  readonly seed: number;
  readonly eager: Eager;
}

/** A clock: `base` at true time `since`, and `rate` milliseconds of its own for each true one from there on. */
export interface WorldClock {
  readonly base: Milliseconds;
  readonly since: Milliseconds;
  readonly rate: number;
}

/** What a replica asked its storage to read. */
export interface PendingLoad {
  readonly id: number;
  readonly from: Index;
  readonly to: Index;
  readonly maxBytes: number;
}

/** One replica: its process if it is up, its disk, and what is under way between them. */
export interface Slot {
  readonly id: ReplicaId;
  readonly disk: WorldDisk;
  /** The program's state, `null` while it is down. */
  readonly process: unknown;
  readonly clock: WorldClock;
  readonly paused: boolean;
  /** The write under way; `durable` once it is on the disk and the process does not know yet. */
  readonly writing: readonly StorageOp[] | null;
  readonly durable: boolean;
  /** The write under way or the next one fails; `keep` says whether it is on the disk all the same. */
  readonly failing: { readonly keep: boolean } | null;
  readonly loads: readonly PendingLoad[];
  /** What the machine was given. */
  readonly applying: readonly Entry[] | null;
  readonly machine: Holder | null;
  /** The last index that this start handed over; how many commands took effect in it; the last of their indexes. */
  readonly delivered: Index;
  readonly effects: number;
  readonly position: Index;
  /** Calls that wait here. */
  readonly waiting: readonly number[];
  /** The disk that it lost: it takes no part any more, if the driver is right. `null` while it has its first one. */
  readonly wiped: WorldDisk | null;
}

/** What stands in a slot while no process runs there. */
export const NO_PROCESS = {
  process: null,
  paused: false,
  writing: null,
  durable: false,
  failing: null,
  loads: [],
  applying: null,
  machine: null,
  delivered: 0,
  effects: 0,
  position: 0,
  waiting: [],
} satisfies Partial<Slot>;

/** A message under way. */
export interface Flight {
  /** Counts what was ever sent on this link, 1-based. */
  readonly ordinal: number;
  readonly sentAt: Milliseconds;
  readonly payload: Payload;
}

/** Everything from one replica to another. */
export interface Link {
  readonly sent: number;
  readonly cut: boolean;
  /** Oldest first. */
  readonly flights: readonly Flight[];
}

/** @see the opening comment */
export interface World {
  readonly rules: Rules;
  /** True time, in milliseconds. */
  readonly now: Milliseconds;
  /** In the order of `rules.ids`. */
  readonly slots: readonly Slot[];
  /** At `from * size + to`. */
  readonly links: readonly Link[];
  readonly record: WorldRecord;
  /** What the model's safety remembers. */
  readonly ghost: unknown;
  /** How many disks there ever were. */
  readonly incarnations: number;
}

/** Incarnations count from here, so that they are never taken for a place. */
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
