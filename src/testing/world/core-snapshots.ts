/**
 * Snapshots, as the host of a bare core has them (`core-program.ts`): one is taken of what is applied when an action
 * says so, and the log is trimmed up to it; one of a peer is installed when an action brings it, whatever the core has
 * asked for. Only the newest is named. What a driver would add is empty, but for log time.
 *
 * Invariants: one is taken at a time, between two runs of commands and never while one is restored; its file is named
 * by index and term, so one name is one content.
 */

import { noBase } from '../../core/log.js';
import type { Index, LogBase, Milliseconds, PersistOp, SnapshotName, Term } from '../../core/protocol.js';
import { decodeDriverPart, emptyPart, encodeDriverPart } from '../../replica/driver/driver-part.js';
import type { LaneOp } from '../../replica/driver/persist-lane.js';
import type { SnapshotInput } from '../../replica/driver/snapshot-events.js';
import {
  decodeSnapshots,
  encodeSnapshots,
  SNAPSHOTS_KEY,
  type StoredSnapshot,
} from '../../replica/driver/snapshot-list.js';
import { nameOf } from '../../replica/driver/snapshots.js';
import type { WorldDisk } from './disk.js';
import type { ProcessEffect } from './process.js';
import { newestOn } from './snapshots.js';

/** Where a machine stands: the last index that it applied, the term of that entry, and log time there. */
export interface Reached {
  readonly index: Index;
  readonly term: Term;
  readonly time: Milliseconds;
}

/** What the host of a bare core knows of snapshots. */
export interface CoreSnapshots {
  /** The index of the newest that the core was told of. */
  readonly newest: Index;
  readonly taking: Reached | null;
  /** The machine is to be restored from it; `begun`: nothing else touches the machine. */
  readonly restoring: { readonly snapshot: SnapshotName; readonly begun: boolean } | null;
}

export const noCoreSnapshots: CoreSnapshots = { newest: 0, taking: null, restoring: null };

/** What a start finds. */
export function foundOn(disk: WorldDisk): { readonly snapshot: SnapshotName | null; readonly base: LogBase } {
  const newest = newestOn(disk);
  if (newest === null) return { snapshot: null, base: noBase };
  const { base } = decodeSnapshots(disk.values.get(SNAPSHOTS_KEY) as Uint8Array);
  return { snapshot: nameOf(newest), base };
}

function fileOf({ index, term }: LogBase): string {
  return `${index}-${term}`;
}

function stored(snapshot: SnapshotName): StoredSnapshot {
  return { ...snapshot, file: fileOf(snapshot), bytes: 0 };
}

function listed(snapshot: SnapshotName, base: LogBase): LaneOp {
  return { kind: 'set', key: SNAPSHOTS_KEY, value: encodeSnapshots({ named: [stored(snapshot)], base }) };
}

/** An operation of a persist as the lane has it: the list of snapshots, and what goes from the log. */
export function inLane(op: PersistOp): readonly LaneOp[] {
  if (op.kind === 'trim') return [listed(op.snapshot, op.base), { kind: 'trim', through: op.base.index }];
  if (op.kind !== 'install') return [op];
  const { index, term } = op.snapshot;
  const gone: readonly LaneOp[] = op.keepsAbove ? [] : [{ kind: 'truncate', from: 1 }];
  return [listed(op.snapshot, { index, term }), ...gone, { kind: 'trim', through: index }];
}

/** The effect that takes one where the machine stands. */
export function takeAt({ index, term, time }: Reached): ProcessEffect {
  const part = encodeDriverPart({ ...emptyPart, time });
  return { kind: 'takeSnapshot', file: fileOf({ index, term }), index, term, part, needed: 0 };
}

export function restoreFrom(snapshot: SnapshotName): ProcessEffect {
  return { kind: 'restore', snapshot: stored(snapshot) };
}

/** The name of one that was brought. */
export function pulledName(event: Extract<SnapshotInput, { readonly kind: 'snapshotPulled' }>): SnapshotName {
  const { index, term, checksum, part } = event;
  return { index, term, checksum, time: decodeDriverPart(part).time };
}
