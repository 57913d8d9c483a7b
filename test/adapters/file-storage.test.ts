/**
 * The file storage on the real file system and on the simulated one: the shared laws, options, lock,
 * rotation.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockIndex } from '../../src/adapters/file-storage/block-index.js';
import { RECORD_HEADER_SIZE, RECORD_TARGET } from '../../src/adapters/file-storage/format.js';
import { WriteGroup } from '../../src/adapters/file-storage/group.js';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { FileStorageOptions } from '../../src/adapters/file-storage/index.js';
import type { Storage, StoredEntry } from '../../src/replica/storage.js';
import { FaultyDisk, SimDisk } from './file-storage-disks.js';
import { amount } from '../amount.js';
import { expectSame, Model, plain, put, set, storageLaws, text } from './storage-laws.js';

let folder = '';
let nth = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-files-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const newDir = (): string => join(folder, `data-${++nth}`);
const namesIn = async (dir: string, prefix: string): Promise<string[]> =>
  (await readdir(dir)).filter((name) => name.startsWith(prefix));

describe('fileStorage, on files', () => {
  storageLaws(
    async () => {
      const dir = newDir();
      return {
        next: () => fileStorage(dir, { segmentBytes: 4096 }),
        dispose: () => rm(dir, { recursive: true, force: true }),
      };
    },
    amount(15, 40),
  );
});

describe('fileStorage, on the simulated disk', () => {
  storageLaws(
    async () => {
      const disk = new SimDisk();
      return { next: () => fileStorage('data', { fs: disk, segmentBytes: 4096 }), dispose: async () => undefined };
    },
    amount(60, 150),
  );
});

describe('options', () => {
  test('are checked, and the message names what is wrong', () => {
    const bad: [unknown, unknown, RegExp][] = [
      [undefined, {}, /dir/],
      ['', {}, /dir/],
      [7, {}, /dir/],
      ['a\0b', {}, /dir/],
      ['d', null, /expected an object/],
      ['d', 'x', /expected an object/],
      ['d', [], /expected an object/],
      ['d', { segmentSize: 1 }, /unknown segmentSize/],
      ['d', { segmentBytes: 4095 }, /segmentBytes.*4096/],
      ['d', { segmentBytes: 2 ** 30 + 1 }, /segmentBytes/],
      ['d', { segmentBytes: 5000.5 }, /segmentBytes/],
      ['d', { segmentBytes: Symbol('x') }, /segmentBytes/],
      ['d', { segmentBytes: '9999' }, /segmentBytes/],
    ];
    for (const [dir, options, message] of bad) {
      let error: unknown;
      try {
        fileStorage(dir as string, options as FileStorageOptions);
      } catch (reason) {
        error = reason;
      }
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) as string });
    }
  });

  test('nothing is touched before open; then all is for the owner only', async () => {
    const dir = join(newDir(), 'deep', 'down');
    const storage = fileStorage(dir);
    expect(existsSync(dir)).toBe(false);
    await storage.open();
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const name of await namesIn(dir, 'wal-')) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    await storage.close();
  });

  test('a path that cannot be a directory is a typed error, with its cause, and may be tried again', async () => {
    const dir = newDir();
    await writeFile(dir, 'a file');
    const storage = fileStorage(dir);
    await expect(storage.open()).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED', cause: { code: 'EEXIST' } });
    await rm(dir);
    expect(await storage.open()).toMatchObject({ boot: 1 });
    await storage.close();
    await expect(storage.open()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('a storage that is closed while it opens, opens and closes', async () => {
    const dir = newDir();
    const storage = fileStorage(dir);
    const opened = storage.open();
    await storage.close();
    expect(await opened).toMatchObject({ boot: 1 });
    const next = fileStorage(dir);
    expect(await next.open()).toMatchObject({ boot: 2 });
    await next.close();
  });
});

describe('the lock', () => {
  test('is one for all ways to name the directory', async () => {
    const [dir, link] = [newDir(), newDir()];
    const storage = fileStorage(dir);
    await storage.open();
    await symlink(dir, link);
    await expect(fileStorage(link).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    await storage.close();
    const next = fileStorage(link);
    await next.open();
    await expect(fileStorage(dir).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    await next.close();
  });

  test('holds where the path is longer than a socket may have', async () => {
    const dir = join(newDir(), 'd'.repeat(120), 'e'.repeat(120));
    const storage = fileStorage(dir);
    await storage.open();
    await expect(fileStorage(dir).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    await storage.close();
    expect((await readdir(dir)).every((name) => name.startsWith('wal-'))).toBe(true);
  });

  test('of many who want it at once one gets it, however often', async () => {
    const dir = newDir();
    await mkdir(dir);
    for (let round = 0; round < 10; round++) {
      const many = Array.from({ length: 6 }, () => fileStorage(dir));
      const opened = await Promise.allSettled(many.map((storage) => storage.open()));
      expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of opened) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
      }
      await Promise.all(many.map((storage) => storage.close()));
      expect(await namesIn(dir, 'lock-')).toEqual([]);
    }
  });
});

describe('the log', () => {
  async function fill(storage: Storage, model: Model, from: number, count: number): Promise<void> {
    for (let index = from; index < from + count; index++) {
      const ops = [put([index, 1 + Math.floor(index / 50), `${index}`.repeat(30)]), set('last', String(index))];
      model.apply(ops);
      await storage.write(ops);
    }
  }

  test('grows by segments of the size asked for, and is read across them', async () => {
    const dir = newDir();
    const model = new Model();
    let storage = fileStorage(dir, { segmentBytes: 4096 });
    await storage.open();
    await fill(storage, model, 1, 200);
    const names = await namesIn(dir, 'wal-0');
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) expect((await stat(join(dir, name))).size).toBeLessThanOrEqual(3 * 4096 + 4096);
    expect(plain(await storage.read(90, 110, Infinity))).toEqual(model.range(90, 110));
    await storage.close();
    // Another size is no other format.
    storage = fileStorage(dir, { segmentBytes: 8192 });
    await expectSame(storage, await storage.open(), model);
    await fill(storage, model, 150, 100);
    await storage.close();
    storage = fileStorage(dir);
    await expectSame(storage, await storage.open(), model);
    await storage.close();
  });

  test('takes a call larger than a segment, and one larger than a flush', async () => {
    const dir = newDir();
    const storage = fileStorage(dir, { segmentBytes: 4096 });
    await storage.open();
    const large = Array.from({ length: 50 }, (_, at) => ({
      index: at + 1,
      term: 1,
      data: new Uint8Array(100_000).fill(at),
    }));
    await Promise.all([storage.write([{ kind: 'put', entries: large }]), storage.write([put([51, 1, 'after'])])]);
    const [first, second, ...more] = await storage.read(1, 51, 250_000);
    expect([first?.data.length, second?.data[99_999], more.length]).toEqual([100_000, 1, 0]);
    await storage.close();
    const again = fileStorage(dir);
    expect(await again.open()).toMatchObject({ first: 1, last: 51 });
    expect((await again.read(50, 50, 1))[0]?.data[5]).toBe(49);
    await again.close();
  });

  test('calls of one turn share a flush, and those that come meanwhile the next one', async () => {
    const disk = new FaultyDisk(new SimDisk(), () => undefined);
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    const before = disk.calls.length;
    const first = Promise.all([1, 2, 3].map((index) => storage.write([put([index, 1, 'x'])])));
    await Promise.resolve();
    await Promise.resolve(); // under way
    await Promise.all([first, ...[4, 5, 6, 7].map((index) => storage.write([put([index, 1, 'x'])]))]);
    expect(disk.calls.slice(before).filter((call) => call === 'datasync')).toHaveLength(2);
    expect(plain(await storage.read(1, 9, Infinity)).map(({ index }) => index)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await storage.close();
  });

  test('a read sees one moment, whatever is written while it runs', async () => {
    const storage = fileStorage(newDir(), { segmentBytes: 64 * 1024 });
    await storage.open();
    const all = (term: number): { kind: 'put'; entries: StoredEntry[] } => {
      const data = new Uint8Array(1000).fill(term);
      return { kind: 'put', entries: Array.from({ length: 300 }, (_, at) => ({ index: at + 1, term, data })) };
    };
    await storage.write([all(1)]);
    for (let term = 2; term < 12; term++) {
      const reading = storage.read(1, 300, Infinity);
      const writing = storage.write([{ kind: 'truncate', from: 1 }, all(term)]);
      const entries = await reading;
      expect(entries).toHaveLength(300);
      expect(new Set(entries.map((entry) => entry.term)).size).toBe(1);
      await writing;
      expect((await storage.read(300, 300, 1))[0]?.term).toBe(term);
    }
    await storage.close();
  });

  test('close waits for reads, and leaves no file open', async () => {
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const disk = new FaultyDisk(new SimDisk(), (call) => (call === 'read' ? gate : undefined));
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    await storage.write([put([1, 1, 'x'])]);
    const order: string[] = [];
    const reading = storage.read(1, 1, 1).then(() => order.push('read'));
    const closing = storage.close().then(() => order.push('closed'));
    // All of the simulated disk happens within this turn.
    await new Promise((resolve) => setImmediate(resolve));
    letGo();
    await Promise.all([reading, closing]);
    expect(order).toEqual(['read', 'closed']);
    expect(disk.openFiles).toBe(0);
  });

  test('other files in the directory are left alone', async () => {
    const dir = newDir();
    await mkdir(dir);
    await writeFile(join(dir, 'notes.txt'), 'mine');
    const storage = fileStorage(dir);
    await storage.open();
    await storage.close();
    expect(text(await readFile(join(dir, 'notes.txt')))).toBe('mine');
  });
});

describe('the index', () => {
  test('costs a block per 64 KiB of log, in order or not, and not a word per entry', () => {
    for (const indexOf of [(at: number) => at, (at: number) => (at * 7919) % 1_000_003, (at: number) => at % 500]) {
      const index = new BlockIndex();
      const data = new Uint8Array(16);
      let bytes = 0;
      for (let call = 0; call < 5000; call++) {
        const writeGroup = new WriteGroup();
        const indexes = Array.from({ length: 20 }, (_, at) => 1 + indexOf(call * 20 + at));
        writeGroup.add([{ kind: 'put', entries: indexes.map((index) => ({ index, term: 1, data })) }]);
        index.addRecord(
          1,
          bytes,
          bytes + writeGroup.length,
          writeGroup.bytes,
          writeGroup.view,
          RECORD_HEADER_SIZE,
          writeGroup.length,
        );
        bytes += writeGroup.length;
      }
      expect(index.size).toBeLessThanOrEqual(1 + bytes / RECORD_TARGET);
      expect(Math.max(...index.find(1, Infinity).map(({ ranges }) => ranges.length))).toBeLessThanOrEqual(8);
    }
  });

  test('indexes in wild disorder are found all the same', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk });
    await storage.open();
    const model = new Model();
    for (let call = 0; call < 60; call++) {
      const ops = [
        put(
          ...Array.from(
            { length: 10 },
            (_, at) => [1 + (((call * 10 + at) * 7919) % 601), 1, `${call}`.repeat(300)] as [number, number, string],
          ),
        ),
      ];
      model.apply(ops);
      await storage.write(ops);
    }
    for (const [from, to] of [
      [1, 601],
      [250, 260],
      [600, 10_000],
    ] as const) {
      expect(plain(await storage.read(from, to, Infinity))).toEqual(model.range(from, to));
    }
    await storage.close();
  });
});
