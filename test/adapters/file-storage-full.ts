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

/**
 * The log has filled the disk, space ahead and all; what is trimmed then makes room, also for so many writes that wait
 * for space already.
 */
export async function trimmedWhileFull(segmentBytes: number, waiting = 0): Promise<void> {
  const disk = new SimDisk(1);
  const storage = fileStorage('data', { fs: disk, segmentBytes });
  const states: string[] = [];
  await storage.open((event) => states.push(event.kind));
  await settled();
  let last = 0;
  const fill = async (bytes: number): Promise<void> => {
    const entries = [{ index: ++last, term: 1, data: new Uint8Array(bytes).fill(120) }];
    return storage.write([{ kind: 'put', entries }]);
  };
  while (bytesOn(disk) < 8 * MIB) await fill(30_000);
  disk.capacity = bytesOn(disk);
  for (let isWritten = true; isWritten; ) {
    const written = fill(30_000).catch(() => undefined);
    await settled();
    await disk.advance(1);
    isWritten = !states.includes('full');
    if (isWritten) await written;
  }
  const full = bytesOn(disk);
  const through = last - 3;
  const left = (): number => storage.status?.().spaceAhead ?? 0;
  const waits: Promise<void>[] = [];
  if (waiting > 0) {
    await fill(left() - 120); // with what is written around it, all but a few bytes
    waits.push(fill(left() + 1));
    await settled();
  }
  while (waits.length < waiting) waits.push(fill(500));
  const trimmed = storage.write([
    { kind: 'set', key: 'list', value: new Uint8Array(200) },
    { kind: 'trim', through },
  ]);
  for (let turn = 0; turn < 50 && !states.includes('resumed'); turn++) {
    await settled();
    await disk.advance(1000);
  }
  demand(states.includes('resumed'), `${RULE}there is space again`, () => states);
  demand(bytesOn(disk) < full - 2 * MIB, `${RULE}the segments are gone`, () => [full, bytesOn(disk)]);
  await Promise.all([trimmed, ...waits]);
  await storage.close();
  const again = fileStorage('data', { fs: disk, segmentBytes });
  const opened = await again.open();
  demand(opened.last === last, `${RULE}what is left is whole`, () => [opened.last, last]);
  demand(opened.first > through, `${RULE}what is trimmed is gone`, () => [opened.first, through]);
  await again.close();
}
