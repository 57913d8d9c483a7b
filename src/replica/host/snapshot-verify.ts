/** Reads snapshots back: every byte of a file is verified before anybody relies on it. */

import { Malformed } from '../../core/bytes.js';
import { decodeDriverPart } from '../driver/driver-part.js';
import { noSnapshots, type FoundSnapshots, type SnapshotList, type StoredSnapshot } from '../driver/snapshots.js';
import { ConsensusError, typedError } from '../errors.js';
import type { SnapshotStore } from '../storage.js';
import { answered } from './plug-ins.js';
import { SnapshotScan, corruptSnapshot, readBeginning, type SnapshotForm } from './snapshot-format.js';

/** Whose snapshots they are. */
export interface SnapshotOwner {
  readonly cluster: string;
  readonly protocol: string;
}

/** A file that verifies. */
export interface VerifiedSnapshot extends Pick<StoredSnapshot, 'index' | 'term' | 'checksum' | 'bytes'> {
  /** What the driver has in it. */
  readonly part: Uint8Array;
  readonly form: SnapshotForm;
}

/** What can read snapshots. */
export type ReadsSnapshots = Pick<SnapshotStore, 'read'>;

/** Verifies a snapshot from its first byte to its last. @throws ConsensusError ERR_STORAGE_CORRUPT */
export async function verifiedFile(
  store: ReadsSnapshots,
  file: string,
  owner: SnapshotOwner,
): Promise<VerifiedSnapshot> {
  const scan = scanOf(store, file);
  const { header, part } = await readBeginning(file, scan);
  const { index, term, cluster, protocol, form } = header;
  if (cluster !== owner.cluster || protocol !== owner.protocol)
    throw corruptSnapshot(file, 0, 'it is another snapshot');
  try {
    decodeDriverPart(part);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw corruptSnapshot(file, 0, error.message);
  }
  while ((await scan.next()) !== null);
  return { index, term, checksum: scan.checksum, bytes: scan.position, part, form };
}

/** The same, of a snapshot of this index and term. */
export async function verified(
  store: ReadsSnapshots,
  { file, index, term }: Pick<StoredSnapshot, 'file' | 'index' | 'term'>,
  owner: SnapshotOwner,
): Promise<VerifiedSnapshot> {
  const found = await verifiedFile(store, file, owner);
  if (found.index !== index || found.term !== term) throw corruptSnapshot(file, 0, 'it is another snapshot');
  return found;
}

/** The same, of a snapshot that the list names. */
export async function verifiedAsNamed(
  store: ReadsSnapshots,
  snapshot: StoredSnapshot,
  owner: SnapshotOwner,
): Promise<VerifiedSnapshot> {
  const found = await verified(store, snapshot, owner);
  if (found.checksum !== snapshot.checksum) throw corruptSnapshot(snapshot.file, 0, 'it is another snapshot');
  return found;
}

export function scanOf(store: ReadsSnapshots, file: string): SnapshotScan {
  return new SnapshotScan(file, (offset, maxBytes) =>
    answered('ERR_STORAGE_FAILED', 'snapshots.read', () => store.read(file, offset, maxBytes)),
  );
}

/**
 * The newest of the named snapshots that verifies and behind which the log goes on, and those before it; with what is
 * said of the others. Where there is none, the log is applied from its beginning.
 * @throws ConsensusError ERR_STORAGE_CORRUPT if the beginning was trimmed
 */
export async function findSnapshots(
  store: SnapshotStore,
  { named, base }: SnapshotList,
  owner: SnapshotOwner,
): Promise<{ readonly found: FoundSnapshots; readonly damaged: readonly ConsensusError[] }> {
  const damaged: ConsensusError[] = [];
  for (const [at, snapshot] of named.entries()) {
    if (snapshot.index < base.index) break;
    try {
      const { part } = await verifiedAsNamed(store, snapshot, owner);
      return { found: { named: named.slice(at), base, part }, damaged };
    } catch (error) {
      const typed = typedError(error, 'ERR_STORAGE_FAILED');
      if (typed.code !== 'ERR_STORAGE_CORRUPT') throw typed;
      damaged.push(typed);
    }
  }
  if (base.index === 0) return { found: noSnapshots, damaged };
  const why = damaged.map(({ message }) => `; ${message}`).join('');
  const message = `no snapshot can be restored, and the log begins behind ${base.index}${why}`;
  throw new ConsensusError(message, { code: 'ERR_STORAGE_CORRUPT', cause: damaged[0] });
}
