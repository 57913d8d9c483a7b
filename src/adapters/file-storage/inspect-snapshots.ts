/**
 * Looks at the snapshots that the log names: each is read from its first byte to its last, as a start does. All files
 * are opened before the first is read, so what a running replica removes meanwhile is still read to its end.
 */
import { Malformed } from '../../core/bytes.js';
import { decodeSnapshots, SNAPSHOTS_KEY } from '../../replica/driver/snapshot-list.js';
import type { SnapshotList, StoredSnapshot } from '../../replica/driver/snapshot-list.js';
import { problemOf } from '../../replica/errors.js';
import type { StorageProblem } from '../../replica/errors.js';
import { verifiedAsNamed } from '../../replica/host/snapshot-verify.js';
import type { SnapshotOwner } from '../../replica/host/snapshot-verify.js';
import { letGo, readFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { snapshotPath } from './snapshot-store.js';

/** One snapshot that the log names. */
export interface NamedSnapshot {
  readonly file: string;
  /** The size that its file has, or should have. */
  readonly bytes: number;
  /** The last index that it holds, and the term (Multi-Paxos: ballot) of that entry. */
  readonly index: number;
  readonly term: number;
  /** Whether every byte of its file verifies. */
  readonly verifies: boolean;
}

/** What the snapshots of a directory are, newest first, and what of them does not verify. */
export interface SnapshotsLook {
  readonly snapshots: readonly NamedSnapshot[];
  readonly problems: readonly StorageProblem[];
}

interface OpenedSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly path: string;
  /** Undefined if there is none. */
  readonly file: DiskFile | undefined;
}

async function opened(disk: Disk, dir: string, snapshot: StoredSnapshot): Promise<OpenedSnapshot> {
  const path = snapshotPath(disk, dir, snapshot.file);
  try {
    return { snapshot, path, file: await disk.openToRead(path) };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return { snapshot, path, file: undefined };
    throw error;
  }
}

/** What of the file does not verify; undefined if all of it does. */
async function problemIn(
  { snapshot, path, file }: OpenedSnapshot,
  owner: SnapshotOwner,
): Promise<StorageProblem | undefined> {
  if (file === undefined) return { file: path, offset: 0, what: 'the snapshot is missing' };
  const read = async (_: string, offset: number, maxBytes: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(maxBytes);
    return bytes.subarray(0, await readFully(file, bytes, 0, maxBytes, offset));
  };
  try {
    await verifiedAsNamed({ read }, snapshot, owner);
    return undefined;
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    return { ...problem, file: path };
  }
}

async function lookAtNamed(disk: Disk, dir: string, list: SnapshotList, owner: SnapshotOwner): Promise<SnapshotsLook> {
  const snapshots: NamedSnapshot[] = [];
  const problems: StorageProblem[] = [];
  const files: OpenedSnapshot[] = [];
  try {
    for (const snapshot of list.named) files.push(await opened(disk, dir, snapshot));
    for (const file of files) {
      const problem = await problemIn(file, owner);
      if (problem !== undefined) problems.push(problem);
      const { index, term, bytes } = file.snapshot;
      snapshots.push({ file: file.path, bytes, index, term, verifies: problem === undefined });
    }
  } finally {
    for (const { file } of files) if (file !== undefined) await letGo(file);
  }
  const { index } = list.base;
  const isLost = index > 0 && !snapshots.some((snapshot) => snapshot.verifies && snapshot.index >= index);
  if (isLost && problems.length === 0) {
    problems.push({ file: dir, offset: 0, what: `the log begins behind ${index}, and no snapshot reaches as far` });
  }
  return { snapshots, problems };
}

/** @param values the small values of the log, by key */
export async function lookAtSnapshots(
  disk: Disk,
  dir: string,
  values: ReadonlyMap<string, Uint8Array>,
  owner: SnapshotOwner,
): Promise<SnapshotsLook> {
  const bytes = values.get(SNAPSHOTS_KEY);
  if (bytes === undefined) return { snapshots: [], problems: [] };
  let list: SnapshotList;
  try {
    list = decodeSnapshots(bytes);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const what = `the list of snapshots cannot be read: ${error.message}`;
    return { snapshots: [], problems: [{ file: dir, offset: 0, what }] };
  }
  return lookAtNamed(disk, dir, list, owner);
}
