/**
 * Every call to the file system fails once, for every kind of failure (the k-th call for each k, until a run
 * passes untouched; for every change one k in three, for each kind others, and all in the deep suite). A failed write or sync of a group is never tried again, what only gets space ahead is, and nothing
 * acknowledged is lost.
 */
import { describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { ConsensusError } from '../../src/replica/errors.js';
import type { Storage, StorageOp } from '../../src/replica/storage.js';
import { amount, swept } from '../amount.js';
import { FaultyDisk, platformError, SimDisk } from './file-storage-disks.js';
import type { Fault } from './file-storage-disks.js';
import { expectSame, Model, put, set } from './storage-laws.js';

const segmentBytes = 4096;

/** Some 30 flushes over several segments; every call's fate is written down. */
const WORKLOAD: StorageOp[][] = Array.from({ length: 30 }, (_, at) => [
  set('calls', String(at + 1)),
  put([at + 1, 1, 'x'.repeat(at % 5 === 0 ? 1800 : 10)], [at + 2, 1, 'next']),
]);

interface Run {
  readonly disk: SimDisk;
  readonly faulty: FaultyDisk;
  opened: boolean;
  acknowledged: number;
  readonly errors: unknown[];
  closeError?: unknown;
}

async function run(fault: Fault, disk = new SimDisk(), through = false): Promise<Run> {
  if (through) disk.offerThrough();
  disk.flies = true; // what waits for a shortage to pass
  const faulty = new FaultyDisk(disk, fault);
  const result: Run = { disk, faulty, opened: false, acknowledged: 0, errors: [] };
  const storage = fileStorage('data', { fs: faulty, segmentBytes });
  try {
    await storage.open();
    result.opened = true;
    for (const [at, ops] of WORKLOAD.entries()) {
      await storage.write(ops).then(
        () => {
          result.acknowledged = at + 1;
        },
        (error) => result.errors.push(error),
      );
    }
  } catch (error) {
    result.errors.push(error);
  }
  await storage.close().catch((error: unknown) => {
    result.closeError = error;
  });
  return result;
}

/** Holds for what the processes left in the cache, and for what is left when the power goes next. */
async function expectAcknowledged(result: Run): Promise<void> {
  await expectAcknowledgedOn(
    result.disk.crash('all', () => 0),
    result,
  );
  await expectAcknowledgedOn(result.disk, result);
}

async function expectAcknowledgedOn(disk: SimDisk, { acknowledged, opened }: Run): Promise<void> {
  const storage = fileStorage('data', { fs: disk, segmentBytes });
  const found = await storage.open();
  const calls = Number(Buffer.from(found.values.get('calls') ?? []).toString() || '0');
  // Of the call under way nothing is known; of those after it, that they never happened.
  expect(calls === acknowledged || calls === acknowledged + 1, `${calls} of ${acknowledged}`).toBe(true);
  if (!opened) expect(calls).toBe(0);
  const model = new Model();
  for (const ops of WORKLOAD.slice(0, calls)) model.apply(ops);
  await expectSame(storage, found, model);
  await storage.close();
}

function expectPoisoned(result: Run, code: string): void {
  if (!result.opened) {
    expect(result.errors).toMatchObject([{ code: 'ERR_STORAGE_FAILED', cause: { code }, retryable: false }]);
  } else if (result.errors.length > 0) {
    const [first, ...later] = result.errors;
    expect(first).toMatchObject({ code: 'ERR_STORAGE_FAILED', cause: { code }, retryable: false });
    expect(result.errors).toHaveLength(WORKLOAD.length - result.acknowledged);
    for (const error of later) expect(error).toMatchObject({ code: 'ERR_STORAGE_FAILED', outcome: 'none' });
  }
  for (const error of [...result.errors, result.closeError ?? new ConsensusError('', { code: 'ERR_CLOSED' })]) {
    expect(error).toBeInstanceOf(ConsensusError);
  }
}

describe('fileStorage when the k-th call fails', () => {
  const CODES = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'EROFS'];
  const cases = CODES.flatMap((code, at) =>
    [false, true].map((through) => ({ code, through, phase: at + Number(through) })),
  );
  for (const { code, through, phase } of cases) {
    test(`${code}, for every k${through ? ', groups being written through' : ''}`, async () => {
      let hit = true;
      let tried = 0;
      for (let k = 1; hit; k++) {
        if (!swept(k, 3, phase)) continue;
        hit = false;
        const result = await run(
          (_call, count) => {
            if (count !== k) return undefined;
            hit = true;
            return platformError(code);
          },
          new SimDisk(),
          through,
        );
        if (hit) tried++;
        expectPoisoned(result, code);
        if (!hit) expect(result.errors).toEqual([]);
        expect(result.faulty.openFiles, `files left open at k = ${k}`).toBe(0);
        await expectAcknowledged(result); // and the lock is free
      }
      expect(tried).toBeGreaterThan(amount(33, 100));
    });
  }

  test('opening what is there, for every k: refused whole, and the next one opens all of it', async () => {
    const { disk } = await run(() => undefined);
    const files = disk.files();
    let tried = 0;
    for (let k = 1, hit = true; hit; k++) {
      hit = false;
      const copy = SimDisk.of(files);
      let opening = true;
      const faulty = new FaultyDisk(copy, (call, count) => {
        if (count !== k) return undefined;
        hit = opening;
        // Nothing hangs on closing what was only read.
        return call === 'close' || !opening ? undefined : platformError('EIO');
      });
      const storage = fileStorage('data', { fs: faulty, segmentBytes });
      const error = await storage.open().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      opening = false;
      if (error !== undefined) {
        tried++;
        expect(error, `k = ${k}`).toMatchObject({ code: 'ERR_STORAGE_FAILED', cause: { code: 'EIO' } });
        expect(faulty.openFiles, `k = ${k}`).toBe(0);
        // The same object may try again.
        expect(await storage.open()).toMatchObject({ first: 1, last: 31 });
      } else expect(!hit || faulty.calls[k - 1] === 'close', `k = ${k}`).toBe(true);
      await storage.close();
      expect(faulty.openFiles, `k = ${k}`).toBe(0);
      await expectAcknowledged({ disk: copy, faulty, opened: true, acknowledged: 30, errors: [] });
    }
    expect(tried).toBeGreaterThan(10);
  });

  test('a failed sync is not tried again, and nothing is written after it (storage/no-retry)', async () => {
    let failedAt = 0;
    const disk = new SimDisk();
    const faulty = new FaultyDisk(disk, (call) => {
      if (call !== 'datasync' || failedAt > 0 || !armed) return undefined;
      failedAt = faulty.calls.length;
      return platformError('EIO');
    });
    let armed = false;
    const storage = fileStorage('data', { fs: faulty });
    await storage.open();
    await disk.advance(0); // space is got ahead
    await storage.write([put([1, 1, 'x'])]);
    armed = true;
    await expect(storage.write([put([2, 1, 'y'])])).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
    await expect(storage.write([put([3, 1, 'z'])])).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
    await disk.advance(1000);
    await storage.close();
    expect(faulty.calls.slice(failedAt).filter((call) => call !== 'close' && call !== 'identity')).toEqual([]);
  });

  test('short writes are completed, for every write (storage/short-io)', async () => {
    for (const take of [7, 512, 4096]) {
      const result = await run((call) => (call === 'write' ? take : undefined), new SimDisk(take));
      expect(result.errors).toEqual([]);
      await expectAcknowledged(result);
      if (take === 7) expect(result.faulty.calls.length).toBeGreaterThan(10_000);
    }
    // A file that takes nothing is broken, not slow.
    let stuck = false;
    const storage = fileStorage('data', {
      fs: new FaultyDisk(new SimDisk(), (call) => (stuck && call === 'write' ? 0 : undefined)),
    });
    await storage.open();
    stuck = true;
    await expect(storage.write([put([1, 1, 'x'])])).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
    await storage.close();
  });

  test('calls that wait behind a failed one are rejected too, in order, as never written', async () => {
    let broken = false;
    const faulty = new FaultyDisk(new SimDisk(), (call) =>
      broken && call === 'datasync' ? platformError('EIO') : undefined,
    );
    const storage = fileStorage('data', { fs: faulty });
    await storage.open();
    broken = true;
    const order: string[] = [];
    const write = (storage_: Storage, name: string): Promise<void> =>
      storage_.write([set('k', name)]).catch((error: ConsensusError) => {
        order.push(`${name} ${error.code} ${error.outcome}`);
      });
    const first = write(storage, 'a');
    await Promise.resolve();
    await Promise.resolve(); // the first flush is under way
    await Promise.all([first, write(storage, 'b'), write(storage, 'c')]);
    await write(storage, 'd');
    expect(order).toEqual(
      ['a', 'b', 'c', 'd'].map((name) => `${name} ERR_STORAGE_FAILED ${name === 'a' ? 'unknown' : 'none'}`),
    );
    await storage.close();
  });

  test('a read that fails is told, and poisons nothing (storage/read-failure-is-told)', async () => {
    let broken = false;
    const faulty = new FaultyDisk(new SimDisk(), (call) =>
      broken && call === 'read' ? platformError('EIO') : undefined,
    );
    const storage = fileStorage('data', { fs: faulty });
    await storage.open();
    await storage.write([put([1, 1, 'x'])]);
    broken = true;
    await expect(storage.read(1, 1, 1)).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED', cause: { code: 'EIO' } });
    broken = false;
    await storage.write([put([2, 1, 'y'])]);
    expect(await storage.read(1, 2, 10)).toHaveLength(2);
    await storage.close();
    expect(faulty.openFiles).toBe(0);
  });
});
