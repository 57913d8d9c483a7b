/**
 * A first start makes every directory above its own durable, as far as that can be done: where a file system does not
 * sync directories at all (procfs, some network file systems) nothing of ours can be lost by it (found by the process
 * rig, whose small disks lie below /proc).
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Disk } from '../../src/adapters/file-storage/disk.js';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { nodeDisk } from '../../src/adapters/file-storage/node-disk.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-ancestors-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A disk on which syncing `path` fails. */
function failing(path: string, code: string): { readonly disk: Disk; readonly synced: string[] } {
  const synced: string[] = [];
  const syncDirectory = async (dir: string): Promise<void> => {
    synced.push(dir);
    if (dir === path) throw Object.assign(new Error(`${code}: fsync`), { code });
    await nodeDisk.syncDirectory(dir);
  };
  return { disk: { ...nodeDisk, syncDirectory }, synced };
}

test.each(['EACCES', 'EPERM', 'EROFS', 'EINVAL'])('an ancestor that answers %s stops nobody', async (code) => {
  const { disk, synced } = failing(folder, code);
  const dir = join(folder, 'new', 'data');
  const storage = fileStorage(dir, { fs: disk });
  await storage.open();
  await storage.close();
  expect(synced).toEqual(expect.arrayContaining([dir, join(folder, 'new'), folder, dirname(folder)]));
});

test.each(['EIO', 'ENOSPC'])('an ancestor that answers %s does', async (code) => {
  const storage = fileStorage(join(folder, 'data'), { fs: failing(folder, code).disk });
  await expect(storage.open()).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
  await storage.close();
});

test.each(['EACCES', 'EINVAL', 'EIO'])('its own directory has to be synced: %s', async (code) => {
  const dir = join(folder, 'data');
  const storage = fileStorage(dir, { fs: failing(dir, code).disk });
  await expect(storage.open()).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
  await storage.close();
});
