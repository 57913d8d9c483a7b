/**
 * What a replica takes on disk, and how much that can become. The log begins behind the older of two snapshots, so it
 * holds three intervals of the policy at most: one between the two, one since, and one while the next is written.
 */

import type { SnapshotPolicy } from './snapshots.js';
import type { StorageStatus } from '../storage.js';

/** Intervals of the policy in the log. */
const INTERVALS = 3;
/** What an entry takes beside its data, with the records and the hard state that are written for it. */
const ENTRY_OVERHEAD = 256;
/** A file of the log is left when the next write does not fit: it may be half empty. */
const FILLING = 2;
/** Files of the log beside those: the one that is written, one that is trimmed in part, two of space got ahead. */
const OTHER_FILES = 4;
/** A snapshot is begun while so many times the size of the last one is free. */
const NEXT_SNAPSHOT = 1.5;

/** What a replica takes on disk, in bytes. */
export interface DiskStatus {
  readonly log: number;
  readonly snapshots: number;
  /**
   * What both take at most, the next snapshot included, while snapshots succeed within an interval of the policy, no
   * peer pulls one, and no command is larger than such an interval, or a file of the log; `null` where none are taken.
   */
  readonly bound: number | null;
}

/** The part of a status that is about what is stored. */
export interface StoredStatus {
  /** The storage's account of itself; `null` if it gives none. */
  readonly storage: StorageStatus | null;
  /** What the replica takes on disk; `null` if the storage does not tell. */
  readonly disk: DiskStatus | null;
}

/** @param newest the size of the newest snapshot, 0 if there is none */
export function diskStatus(storage: StorageStatus, policy: SnapshotPolicy | null, newest: number): DiskStatus | null {
  const { logBytes, snapshotBytes, segmentBytes } = storage;
  if (logBytes === undefined || snapshotBytes === undefined) return null;
  const disk = { log: logBytes, snapshots: snapshotBytes };
  if (policy === null || segmentBytes === undefined) return { ...disk, bound: null };
  const kept = INTERVALS * (policy.bytes + ENTRY_OVERHEAD * policy.entries);
  const log = FILLING * kept + OTHER_FILES * segmentBytes;
  return { ...disk, bound: Math.ceil(log + snapshotBytes + NEXT_SNAPSHOT * newest) };
}
