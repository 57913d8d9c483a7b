/** A snapshot is begun only where it fits, whoever it is of (snapshots/begun-where-it-fits). */

import { ConsensusError } from '../errors.js';
import type { SnapshotStore } from '../storage.js';
import { answered } from './plug-ins.js';

/** @throws ConsensusError unless the storage has so many bytes free, or cannot tell */
export async function demandSpace(store: SnapshotStore, needed: number): Promise<void> {
  if (needed === 0 || store.free === undefined) return;
  const free: unknown = await answered('ERR_STORAGE_FAILED', 'snapshots.free', async () => store.free?.() ?? Infinity);
  if (typeof free !== 'number' || Number.isNaN(free)) throw new TypeError('snapshots.free gave no number');
  if (free >= needed) return;
  const message = `${free} bytes are free, and the snapshot may need ${needed}`;
  throw new ConsensusError(message, { code: 'ERR_STORAGE_FULL' });
}
