/** What a file storage must not do, on a disk that loses what was not synced, fails a sync, or rots. */

import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { StorageOp } from '../../src/replica/storage.js';
import { FaultyDisk, platformError, SimDisk } from '../adapters/file-storage-disks.js';
import { demand } from '../violation.js';

const WORDS = ['first', 'second', 'third'] as const;

function put(at: number): readonly StorageOp[] {
  return [{ kind: 'put', entries: [{ index: at + 1, term: 1, data: Buffer.from(WORDS[at] as string) }] }];
}

/** Whether a promise is kept. */
async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/** Writes the words, one after the other, and gives the disk as it is then. */
async function written(): Promise<SimDisk> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  for (let at = 0; at < WORDS.length; at++) await storage.write(put(at));
  return disk;
}

/** The power goes, with all that was not synced: what was acknowledged is there. */
async function powerCut(): Promise<void> {
  const disk = (await written()).crash('all', () => 0);
  const { last } = await fileStorage('data', { fs: disk }).open();
  demand(
    last === WORDS.length,
    'storage/acknowledged-survives: what was acknowledged survives a power cut',
    () => last,
  );
}

/** A sync fails: nothing of it is acknowledged, then or later, since the system may have dropped the pages. */
async function failedSync(): Promise<void> {
  let failing = false;
  const disk = new FaultyDisk(new SimDisk(), (call) => {
    if (!failing || call !== 'datasync') return undefined;
    failing = false;
    return platformError('EIO');
  });
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  await storage.write(put(0));
  failing = true;
  demand(
    !(await succeeds(storage.write(put(1)))),
    'storage/acknowledged-survives: what was not synced is not acknowledged',
  );
  demand(
    !(await succeeds(storage.write(put(2)))),
    'storage/acknowledged-survives: nothing is written behind a failed sync',
  );
}

/** A byte of an entry changes that was followed by others: it was durable, so this is no torn end. */
async function rot(): Promise<void> {
  const files = (await written()).files();
  for (const bytes of files.values()) {
    const at = Buffer.from(bytes).indexOf('second');
    if (at >= 0) bytes[at] = (bytes[at] as number) ^ 1;
  }
  const opened = succeeds(fileStorage('data', { fs: SimDisk.of(files) }).open());
  demand(!(await opened), 'storage/acknowledged-survives: a log with damage below what was acknowledged is refused');
}

/** By name, for the tables. */
export const storageScripts = {
  'storage: power cut': powerCut,
  'storage: failed sync': failedSync,
  'storage: rot': rot,
} as const;
