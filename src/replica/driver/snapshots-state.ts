/** What a replica knows of its own snapshots; `snapshots.ts` changes it. */

import { noBase } from '../../core/log.js';
import type { Index, Milliseconds, Term } from '../../core/protocol.js';
import type { SnapshotList, StoredSnapshot } from './snapshot-list.js';
import type { PartialSnapshot } from './snapshot-messages.js';

/** A snapshot is taken when so many entries, or bytes of them, were applied since the last one was begun. */
export interface SnapshotPolicy {
  readonly entries: number;
  readonly bytes: number;
}

/** What a start found. */
export interface FoundSnapshots extends SnapshotList {
  /** What the driver has in the first of these, which verifies; `null` without one. */
  readonly part: Uint8Array | null;
  /** What an earlier start has pulled of a snapshot of a peer; absent without. */
  readonly partial?: PartialSnapshot | undefined;
}

export const noSnapshots: FoundSnapshots = { named: [], base: noBase, part: null };

/** The snapshot that the host takes. */
export interface TakingSnapshot {
  readonly file: string;
  readonly index: Index;
  readonly term: Term;
  readonly time: Milliseconds;
  readonly since: Milliseconds;
  /** What had been applied since the one before. */
  readonly entries: number;
  readonly bytes: number;
}

/** A complete snapshot of which the core has heard. */
export interface KnownSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly since: Milliseconds;
  /** Of one that was pulled: what the driver has in it. */
  readonly part: Uint8Array | null;
  /** Whether it is named already: the log is to be trimmed further, and no other one is to be named. */
  readonly isNamed: boolean;
}

/** A list on its way to the disk. */
export interface NamingSnapshot {
  /** The snapshot that is new in it; `null` if it only lacks one. */
  readonly known: KnownSnapshot | null;
  readonly list: SnapshotList;
  /** Whether it was also given to the storage beside the lane, to make room. */
  readonly makesRoom: boolean;
  /** The write that holds it. */
  readonly writeId: number;
}

/** The machine is to be restored. */
interface RestoringSnapshot extends Omit<KnownSnapshot, 'isNamed'> {
  /** The host was told: nothing else touches the machine. Before, it ends what it applies. */
  readonly begun: boolean;
}

/** @see SnapshotsDraft */
export interface SnapshotsState extends SnapshotList {
  /** Lists that are not durable yet, oldest first; `named` and `base` are the durable one. */
  readonly naming: readonly NamingSnapshot[];
  readonly restoring: RestoringSnapshot | null;
  readonly taking: TakingSnapshot | null;
  /** Told to the core, which has not named it. */
  readonly told: KnownSnapshot | null;
  /** Entries, and their bytes, that were applied since the last one was begun. */
  readonly entries: number;
  readonly bytes: number;
  /** How many failed in a row; after a failure there is none before `retryAt`. */
  readonly failures: number;
  readonly retryAt: Milliseconds;
  /** Since the storage became full, no snapshot has let the log go. */
  readonly wantsRoom: boolean;
  /** No sooner than this is one taken to make room: they take no more than a fifth of the time. */
  readonly roomAt: Milliseconds;
  /** What the log was last to be trimmed to because the storage was full. */
  readonly shrunkTo: Index;
}

/** At the start. */
export function initialSnapshots({ named, base, part }: FoundSnapshots, now: Milliseconds): SnapshotsState {
  const [snapshot] = named;
  const restoring = snapshot === undefined ? null : { snapshot, since: now, part, begun: true };
  const none = { naming: [], taking: null, told: null, entries: 0, bytes: 0, failures: 0, retryAt: -Infinity };
  return { named, base, restoring, ...none, wantsRoom: false, roomAt: -Infinity, shrunkTo: 0 };
}

/** When one is wanted: by the policy, or of anything new to give a full disk room. */
export function dueAt(state: SnapshotsState, policy: SnapshotPolicy | null): Milliseconds {
  const { entries, bytes, wantsRoom, retryAt, roomAt } = state;
  if (policy === null) return Infinity;
  if (entries >= policy.entries || bytes >= policy.bytes) return retryAt;
  return wantsRoom && entries > 0 ? Math.max(retryAt, roomAt) : Infinity;
}

/** When one that failed, or is to give room, is taken though nothing is applied; unless something has to end before. */
export function snapshotsDeadline(state: SnapshotsState, policy: SnapshotPolicy | null): Milliseconds {
  const { failures, taking, told, naming, restoring, wantsRoom } = state;
  const isBusy = taking !== null || told !== null || naming.length > 0 || restoring !== null;
  return (failures === 0 && !wantsRoom) || isBusy ? Infinity : dueAt(state, policy);
}
