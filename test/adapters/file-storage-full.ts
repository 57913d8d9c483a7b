/** What must hold of a log on a full disk, as a function that throws a violation: the tests run it, and a mutant's killer. */

import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { demand } from '../violation.js';
import { settled, SimDisk } from './file-storage-disks.js';

const MIB = 1024 * 1024;
const RULE = 'storage/trimmed-goes-when-full: ';

/** How full the disk is. */
export function bytesOn(disk: SimDisk): number {
  return [...disk.files().values()].reduce((sum, { length }) => sum + length, 0);
}

/** The log has filled the disk, space ahead and all; what is trimmed then makes room. */
export async function trimmedWhileFull(segmentBytes: number): Promise<void> {
  const disk = new SimDisk(1);
  const storage = fileStorage('data', { fs: disk, segmentBytes });
  const states: string[] = [];
  await storage.open((event) => states.push(event.kind));
  await settled();
  let last = 0;
  const data = new Uint8Array(30_000).fill(120);
  const fill = async (): Promise<void> => storage.write([{ kind: 'put', entries: [{ index: ++last, term: 1, data }] }]);
  while (bytesOn(disk) < 8 * MIB) await fill();
  disk.capacity = bytesOn(disk);
  for (let isWritten = true; isWritten; ) {
    const written = fill().catch(() => undefined);
    await settled();
    await disk.advance(1);
    isWritten = !states.includes('full');
    if (isWritten) await written;
  }
  const full = bytesOn(disk);
  const trimmed = storage.write([{ kind: 'trim', through: last - 3 }]);
  for (let turn = 0; turn < 50 && !states.includes('resumed'); turn++) {
    await settled();
    await disk.advance(1000);
  }
  demand(states.includes('resumed'), `${RULE}there is space again`, () => states);
  demand(bytesOn(disk) < full - 2 * MIB, `${RULE}the segments are gone`, () => [full, bytesOn(disk)]);
  await trimmed;
  await storage.close();
  const again = fileStorage('data', { fs: disk, segmentBytes });
  const opened = await again.open();
  demand(opened.last === last, `${RULE}what is left is whole`, () => [opened.last, last]);
  await again.close();
}
