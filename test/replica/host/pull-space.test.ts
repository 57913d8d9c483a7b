/** A pull is begun only where it fits (snapshots/begun-where-it-fits). */

import { expect, it } from 'vitest';
import { SnapshotPulls } from '../../../src/replica/host/snapshot-pulls.js';
import { storageWith } from './altered-storage.js';

const SNAPSHOT = { index: 9, term: 2, checksum: 1, time: 0, bytes: 1000 };

/** What becomes of a pull that has `from` bytes of the snapshot when so many are free, and whether it wrote any. */
async function pulled(free: number, from: number): Promise<readonly [string, boolean]> {
  let writes = 0;
  const { storage, snapshots } = storageWith((files) => ({
    write: (...args) => {
      writes += 1;
      return files.write(...args);
    },
    free: async () => free,
  }));
  await storage.open();
  return new Promise((resolve) => {
    const dispatch = (event: { readonly kind: string; readonly reason?: string }): void => {
      if (event.kind === 'chunkStored') resolve(['stored', writes > 0]);
      if (event.kind === 'pullFailed') resolve([event.reason ?? '', writes > 0]);
    };
    const pulls = new SnapshotPulls(snapshots, { cluster: 'c', protocol: 'raft' }, { dispatch } as never, () => null);
    pulls.perform({ kind: 'pullSnapshot', file: '9-1', snapshot: SNAPSHOT, from });
    pulls.perform({ kind: 'storeChunk', file: '9-1', data: new Uint8Array(100) });
    pulls.perform({ kind: 'storeChunk', file: '9-1', data: new Uint8Array(100) });
  });
}

it('writes nothing of what does not fit, and goes on where what is missing does', async () => {
  expect(await pulled(999, 0)).toEqual(['999 bytes are free, and the snapshot may need 1000', false]);
  expect(await pulled(1000, 0)).toEqual(['stored', true]);
  expect(await pulled(400, 700)).toEqual(['stored', true]);
});
