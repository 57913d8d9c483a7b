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
import { isFileName } from '../storage-checks.js';
import { letGo, readFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { snapshotPath } from './snapshot-store.js';

const MISSING = 'the snapshot is missing';

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
  if (file === undefined) return { file: path, offset: 0, what: MISSING };
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

async function lookAtNamed(disk: Disk, dir: string, named: readonly StoredSnapshot[], owner: SnapshotOwner) {
  const seen: { readonly snapshot: NamedSnapshot; readonly problem: StorageProblem | undefined }[] = [];
  const files: OpenedSnapshot[] = [];
  try {
    for (const snapshot of named) files.push(await opened(disk, dir, snapshot));
    for (const file of files) {
      const problem = await problemIn(file, owner);
      const { index, term, bytes } = file.snapshot;
      seen.push({ snapshot: { file: file.path, bytes, index, term, verifies: problem === undefined }, problem });
    }
  } finally {
    for (const { file } of files) if (file !== undefined) await letGo(file);
  }
  return seen;
}

/** @throws Malformed */
function listIn(bytes: Uint8Array): SnapshotList {
  const list = decodeSnapshots(bytes);
  if (!list.named.every(({ file }) => isFileName(file))) throw new Malformed('it names what can be no file');
  return list;
}

/**
 * What the snapshots are that the log names, and what of them a start would refuse. Rejects when a file cannot be read.
 *
 * @param values the small values of the log, by key
 * @param owner whose the log is, if it says so
 * @param isWhole whether the log verifies; if not, its list may be an old one, whose files are long removed
 */
export async function lookAtSnapshots(
  disk: Disk,
  dir: string,
  values: ReadonlyMap<string, Uint8Array>,
  owner: SnapshotOwner | null,
  isWhole: boolean,
): Promise<SnapshotsLook> {
  const bytes = values.get(SNAPSHOTS_KEY);
  if (bytes === undefined) return { snapshots: [], problems: [] };
  const wholly = (what: string): StorageProblem => ({ file: dir, offset: 0, what });
  if (owner === null) {
    const problems = isWhole ? [wholly('the log names snapshots, and not whose they are')] : [];
    return { snapshots: [], problems };
  }
  let list: SnapshotList;
  try {
    list = listIn(bytes);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { snapshots: [], problems: [wholly(`the list of snapshots cannot be read: ${error.message}`)] };
  }
  const seen = await lookAtNamed(disk, dir, list.named, owner);
  const snapshots = seen.map(({ snapshot }) => snapshot);
  const damaged = seen.flatMap(({ problem }) => problem ?? []);
  if (!isWhole) return { snapshots, problems: damaged.filter(({ what }) => what !== MISSING) };
  const { index } = list.base;
  const isLost = index > 0 && !snapshots.some((snapshot) => snapshot.verifies && snapshot.index >= index);
  const lost = wholly(`the log begins behind ${index}, and no snapshot reaches as far`);
  return { snapshots, problems: isLost && damaged.length === 0 ? [lost] : damaged };
}
