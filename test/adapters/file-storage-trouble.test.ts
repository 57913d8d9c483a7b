/**
 * Trouble that is no fault of the data: shortages that pass, a full disk, a directory that is taken away, an open that
 * hangs, a rotation that was cut short. Each is told, and nothing is lost by it.
 */
import { describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { LONGEST_CALL_MS } from '../../src/adapters/file-storage/opening-disk.js';
import type { ConsensusError } from '../../src/replica/errors.js';
import type { Storage, StorageNotice } from '../../src/replica/storage.js';
import { FaultyDisk, platformError, segmentsOf, settled, SimDisk } from './file-storage-disks.js';
import type { Fault } from './file-storage-disks.js';
import { plain, put, set, text } from './storage-laws.js';

const OPTIONS = { segmentBytes: 4096 };

interface Opening {
  readonly disk: SimDisk;
  readonly faulty: FaultyDisk;
  readonly storage: Storage;
  readonly events: StorageNotice[];
}

async function opened(fault: Fault = () => undefined, disk = new SimDisk()): Promise<Opening> {
  const faulty = new FaultyDisk(disk, fault);
  const storage = fileStorage('data', { fs: faulty, ...OPTIONS });
  const events: StorageNotice[] = [];
  await storage.open((event) => events.push(event));
  return { disk, faulty, storage, events };
}

const kinds = (events: readonly StorageNotice[]): string[] => events.map(({ kind }) => kind);

/** How full the disk is. */
function bytesOn(disk: SimDisk): number {
  return [...disk.files().values()].reduce((sum, { length }) => sum + length, 0);
}

/** Whether a promise has ended, and how. */
function watched(promise: Promise<unknown>): { readonly how: string } {
  const result = { how: 'waits' };
  promise.then(
    () => (result.how = 'done'),
    (error: ConsensusError) => (result.how = `${error.code} ${error.outcome}`),
  );
  return result;
}

describe('a shortage that passes (storage/shortage-is-no-fault)', () => {
  test.each(['EMFILE', 'ENFILE', 'ENOMEM'])(
    '%s while space is got ahead: the log goes on, and says so',
    async (code) => {
      let short = false;
      const { disk, storage, events } = await opened((call) =>
        short && call === 'create' ? platformError(code) : undefined,
      );
      short = true;
      await disk.advance(0);
      expect(kinds(events)).toEqual(['waiting']);
      expect(events[0]).toMatchObject({ reason: expect.stringContaining(code) as string, cause: { code } });
      expect(storage.status?.()).toMatchObject({ state: 'waiting', durable: true });
      await storage.write([put([1, 1, 'x'])]);
      for (let second = 0; second < 5; second++) await disk.advance(1000);
      expect(kinds(events)).toEqual(['waiting']);
      short = false;
      await disk.advance(1000);
      await disk.advance(1000);
      expect(kinds(events)).toEqual(['waiting', 'resumed']);
      expect(storage.status?.()).toMatchObject({ state: 'ready' });
      await storage.close();
    },
  );

  test('a ranged read waits for a descriptor, and closes those that nobody needs', async () => {
    let short = false;
    const { disk, faulty, storage, events } = await opened((call) =>
      short && call === 'openToRead' ? platformError('EMFILE') : undefined,
    );
    disk.flies = true;
    for (let index = 1; index <= 60; index++) await storage.write([put([index, 1, 'x'.repeat(500)])]);
    disk.flies = false;
    expect(await storage.read(1, 60, Infinity)).toHaveLength(60);
    const open = faulty.openFiles;
    short = true;
    const reading = storage.read(1, 60, Infinity);
    const state = watched(reading);
    await disk.advance(10);
    expect([state.how, kinds(events)]).toEqual(['waits', ['waiting']]);
    expect(faulty.openFiles).toBeLessThan(open);
    short = false;
    await disk.advance(1000);
    expect(await reading).toHaveLength(60);
    expect(kinds(events)).toEqual(['waiting', 'resumed']);
    await storage.close();
  });

  test('close ends the wait: what waited was never written', async () => {
    const { disk, storage } = await opened();
    await disk.advance(0);
    disk.capacity = 0;
    const writes = Array.from({ length: 40 }, (_, at) => watched(storage.write([put([at + 1, 1, 'x'.repeat(500)])])));
    await settled();
    expect(writes.at(-1)?.how).toBe('waits');
    const written = writes.filter(({ how }) => how === 'done').length;
    await storage.close();
    expect(writes.slice(written).every(({ how }) => how === 'ERR_STORAGE_FAILED none')).toBe(true);
    disk.capacity = Infinity;
    const again = await opened(undefined, disk);
    expect(await again.storage.read(1, 100, Infinity)).toHaveLength(written);
    await again.storage.close();
  });
});

describe('a full disk', () => {
  test('is told before anything has to wait; what waits goes on when there is space', async () => {
    const { disk, storage, events } = await opened();
    disk.capacity = 0;
    await disk.advance(0);
    expect(kinds(events)).toEqual(['full']);
    expect(events[0]).toMatchObject({ cause: { code: 'ENOSPC' } });
    const { state, spaceAhead = 0 } = storage.status?.() ?? {};
    expect(state).toBe('full');
    expect(spaceAhead).toBeGreaterThan(2000);
    await storage.write([put([1, 1, 'there is room'])]);
    const second = watched(storage.write([put([2, 1, 'x'.repeat(spaceAhead)])]));
    const third = watched(storage.write([set('vote', 'me')]));
    await disk.advance(5000);
    expect([second.how, third.how]).toEqual(['waits', 'waits']);
    disk.capacity = Infinity;
    for (let step = 0; step < 8; step++) await disk.advance(1000);
    expect([second.how, third.how]).toEqual(['done', 'done']);
    expect(kinds(events)).toEqual(['full', 'resumed']);
    expect(storage.status?.()).toMatchObject({ state: 'ready' });
    await storage.close();
  });

  test('leaves no temporary file behind', async () => {
    const { disk, storage } = await opened();
    disk.capacity = bytesOn(disk) + 5000;
    const names = [...disk.files().keys()];
    for (let step = 0; step < 5; step++) await disk.advance(1000);
    expect([...disk.files().keys()].filter((name) => !name.startsWith('wal-spare'))).toEqual(names);
    await storage.close();
    const failing = new SimDisk();
    failing.capacity = 40_000;
    await expect(fileStorage('data', { fs: failing, segmentBytes: 2 ** 20 }).open()).resolves.toBeDefined();
    const none = new SimDisk();
    none.capacity = 100;
    await expect(fileStorage('data', { fs: none }).open()).rejects.toMatchObject({ cause: { code: 'ENOSPC' } });
    expect([...none.files().keys()]).toEqual([]);
  });

  test.each(['empty', 'begun'])('opens with a spare file that a crash left %s', async (how) => {
    const disk = new SimDisk();
    const segmentBytes = 2 ** 20;
    const storage = fileStorage('data', { fs: disk, segmentBytes });
    await storage.open();
    await disk.advance(0);
    for (let index = 1; index <= 10; index++) await storage.write([put([index, 1, 'x'.repeat(2000)])]);
    await storage.close();
    // A new one was just being made, on a disk that got full; the reserve is there.
    await disk.unlink('wal-spare-2');
    const begun = await disk.create('wal-spare-2');
    if (how === 'begun') await begun.write(new Uint8Array(4096), 0, 4096, 0);
    for (let life = 2; life < 5; life++) {
      disk.capacity = bytesOn(disk);
      const next = fileStorage('data', { fs: disk, segmentBytes });
      expect(await next.open()).toMatchObject({ boot: life, last: 10 });
      await disk.advance(1000);
      await next.close();
    }
  });

  test.each([10, 400])(
    'opens again and again, with a log of %i calls (storage/restart-needs-no-space)',
    async (calls) => {
      let disk = new SimDisk();
      const segmentBytes = 2 ** 20;
      const storage = fileStorage('data', { fs: disk, segmentBytes });
      await storage.open();
      await disk.advance(0);
      for (let index = 1; index <= calls; index++) await storage.write([put([index, 1, 'x'.repeat(2000)])]);
      await disk.advance(0);
      await storage.close();
      for (let life = 2; life < 12; life++) {
        disk = disk.crash('none', () => 0);
        disk.capacity = bytesOn(disk);
        const next = fileStorage('data', { fs: disk, segmentBytes });
        expect(await next.open()).toMatchObject({ boot: life, last: calls });
        await next.write([set('vote', String(life))]);
        await disk.advance(1000);
        await next.close();
      }
      disk.capacity = Infinity;
      const last = fileStorage('data', { fs: disk, segmentBytes });
      expect(text((await last.open()).values.get('vote') ?? new Uint8Array(0))).toBe('11');
      await last.close();
    },
  );
});

describe('a directory that is taken away (storage/lost-directory-is-noticed)', () => {
  test.each(['deleted', 'replaced'] as const)(
    '%s: told within a second, and nothing more is acknowledged',
    async (how) => {
      const { disk, storage, events } = await opened();
      await storage.write([put([1, 1, 'x'])]);
      disk.replace(how === 'deleted' ? [] : disk.files());
      await disk.advance(500);
      expect(events).toMatchObject([{ kind: 'failed', cause: { code: 'ERR_STORAGE_FAILED' } }]);
      expect(storage.status?.()).toMatchObject({ state: 'failed' });
      await expect(storage.write([put([2, 1, 'y'])])).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
      await storage.close();
    },
  );

  test('one that stays is left in peace, through rotations', async () => {
    const { disk, storage, events } = await opened();
    disk.flies = true;
    for (let index = 1; index <= 40; index++) {
      await storage.write([put([index, 1, 'x'.repeat(500)])]);
      await disk.advance(500);
    }
    expect(events).toEqual([]);
    await storage.close();
  });
});

describe('an open that hangs', () => {
  test.each(['mkdir', 'lock', 'readdir', 'create', 'write', 'datasync', 'rename', 'syncDirectory'])(
    'in %s ends typed, after a bound',
    async (hung) => {
      const disk = new SimDisk();
      let hang = true;
      const faulty = new FaultyDisk(disk, (call) =>
        hang && call === hung ? new Promise<void>(() => undefined) : undefined,
      );
      const storage = fileStorage('data', { fs: faulty, ...OPTIONS });
      const opening = storage.open();
      const state = watched(opening);
      await settled();
      await disk.advance(LONGEST_CALL_MS - 1);
      expect(state.how).toBe('waits');
      await disk.advance(1);
      await expect(opening).rejects.toMatchObject({
        code: 'ERR_STORAGE_FAILED',
        message: expect.stringContaining('has not answered') as string,
      });
      hang = false;
      if (hung !== 'lock') expect(await storage.open()).toMatchObject({ boot: 1 });
      await storage.close();
    },
  );
});

describe('a rotation that was cut short (storage/no-hole)', () => {
  /** What a crash between the new segment's name and the old one's seal leaves. */
  async function cutShort(): Promise<SimDisk> {
    const disk = new SimDisk();
    disk.flies = true;
    let renames = 0;
    let image: SimDisk | undefined;
    const faulty = new FaultyDisk(disk, (call) => {
      if (call === 'rename') renames++;
      // The first write after the second name: the seal of the first segment.
      if (renames === 2 && call === 'write' && image === undefined) {
        if (segmentsOf(disk.files()).size === 2) image = disk.crash('all', () => 0);
      }
      return undefined;
    });
    const storage = fileStorage('data', { fs: faulty, ...OPTIONS });
    await storage.open();
    for (let index = 1; image === undefined; index++) await storage.write([put([index, 1, 'x'.repeat(500)])]);
    await storage.close();
    return image;
  }

  test('is sealed by the next start: the loss of the last segment is noticed from then on', async () => {
    const image = await cutShort();
    const { storage } = await opened(undefined, image);
    const entries = plain(await storage.read(1, Infinity, Infinity));
    expect(entries.length).toBeGreaterThan(3);
    await storage.close();
    const files = segmentsOf(image.files());
    const last = [...files.keys()].at(-1) ?? '';
    files.delete(last);
    await expect(fileStorage('data', { fs: SimDisk.of(files), ...OPTIONS }).open()).rejects.toMatchObject({
      code: 'ERR_STORAGE_CORRUPT',
      message: expect.stringContaining('the next segment is missing') as string,
    });
  });

  test('spare files without a segment are proof of a loss', async () => {
    const { disk, storage } = await opened();
    await disk.advance(0);
    await storage.close();
    const spares = [...disk.files()].filter(([name]) => name.startsWith('wal-spare'));
    expect(spares).toHaveLength(2);
    await expect(fileStorage('data', { fs: SimDisk.of(spares) }).open()).rejects.toMatchObject({
      code: 'ERR_STORAGE_CORRUPT',
    });
  });
});

describe('ranged reads (storage/reads-share-descriptors)', () => {
  test('share descriptors: many at once open each segment once, and keep a few', async () => {
    const { disk, faulty, storage } = await opened();
    disk.flies = true;
    for (let index = 1; index <= 400; index++) await storage.write([put([index, 1, 'x'.repeat(500)])]);
    const segments = segmentsOf(disk.files()).size;
    expect(segments).toBeGreaterThan(40);
    await settled();
    const before = faulty.openFiles;
    let most = 0;
    const reads = Array.from({ length: 20 }, () => storage.read(1, 400, Infinity));
    const watching = setInterval(() => (most = Math.max(most, faulty.openFiles)), 0);
    for (const entries of await Promise.all(reads)) expect(entries).toHaveLength(400);
    clearInterval(watching);
    expect(faulty.openFiles - before).toBeLessThanOrEqual(4);
    expect(faulty.calls.filter((call) => call === 'openToRead').length).toBeLessThan(4 * segments);
    await storage.close();
    expect(faulty.openFiles).toBe(0);
  });
});

describe('a storage that does not sync', () => {
  test('says so, and syncs nothing once it is open', async () => {
    const faulty = new FaultyDisk(new SimDisk(), () => undefined);
    const storage = fileStorage('data', { fs: faulty, sync: false, ...OPTIONS });
    await storage.open();
    expect(storage.status?.()).toMatchObject({ durable: false });
    const before = faulty.calls.length;
    for (let index = 1; index <= 30; index++) await storage.write([put([index, 1, 'x'.repeat(300)])]);
    expect(faulty.calls.slice(before)).not.toContain('datasync');
    await storage.close();
    expect(() => fileStorage('d', { sync: 1 as unknown as boolean })).toThrow(/sync must be/);
  });
});
