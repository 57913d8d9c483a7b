/** Watermarks of a busy log whose groups are written through: few calls, and no more groups above them than is said. */

import { expect, test } from 'vitest';
import type { DiskFile } from '../../src/adapters/file-storage/disk.js';
import { SLOT_OFFSETS } from '../../src/adapters/file-storage/format.js';
import { fileStorage, inspectStorage } from '../../src/node.js';
import { SimDisk } from './file-storage-disks.js';
import { put } from './storage-laws.js';

/** The most groups above the last watermark, of a log that stays busy. */
const ABOVE = 16;
const SEGMENTS = [4096, 64 * 1024];

/** A disk that writes through; `onMark` is called before a watermark is written, which waits for it. */
function diskThatTells(onMark: () => Promise<void>): SimDisk {
  const disk = new SimDisk().offerThrough();
  const wrapped = (file: DiskFile): DiskFile => ({
    ...file,
    write: async (source, at, length, position) => {
      if (SLOT_OFFSETS.some((offset) => offset === position)) await onMark();
      return file.write(source, at, length, position);
    },
  });
  const { open, create } = disk;
  disk.open = async (path) => wrapped(await open.call(disk, path));
  disk.create = async (path) => wrapped(await create.call(disk, path));
  return disk;
}

async function groupsAbove(disk: SimDisk): Promise<number> {
  const { segments } = await inspectStorage('data', { fs: SimDisk.of(disk.files()) });
  const last = segments.at(-1);
  return (last?.lastGroup ?? 0) - Math.max(last?.vouched ?? 0, (last?.firstGroup ?? 0) - 1);
}

test.each(SEGMENTS)('at most 16 groups lie above the last one, in segments of %i bytes', async (segmentBytes) => {
  let marks = 0;
  const disk = diskThatTells(async () => void marks++);
  const storage = fileStorage('data', { fs: disk, segmentBytes });
  await storage.open();
  const seen: number[] = [];
  for (let index = 1; index <= 100; index++) {
    await storage.write([put([index, 1, 'x'.repeat(20)])]);
    seen.push(await groupsAbove(disk));
  }
  expect(Math.max(...seen)).toBeLessThanOrEqual(ABOVE);
  expect(marks).toBeLessThanOrEqual(Math.ceil(100 / ABOVE));
  await storage.close();
  expect(await groupsAbove(disk)).toBe(0);
});

test('a watermark that takes long keeps no group, and the next group makes up for it', async () => {
  let holds = false;
  let release = (): void => undefined;
  const disk = diskThatTells(() => new Promise((resolve) => (holds ? (release = resolve) : resolve())));
  const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
  const storage = fileStorage('data', { fs: disk, segmentBytes: 64 * 1024 });
  await storage.open();
  let index = 0;
  const write = () => storage.write([put([++index, 1, 'x'])]);
  while (index < 2 * ABOVE) await write(); // the log has gone on in a file that was got ahead
  holds = true;
  while (index < 6 * ABOVE) await write();
  expect(await groupsAbove(disk)).toBeGreaterThan(3 * ABOVE);
  holds = false;
  release();
  await turn();
  await write();
  await turn();
  expect(await groupsAbove(disk)).toBe(0);
});
