/**
 * The power goes at a random call, with everything, some sectors and names, or nothing of what was not synced
 * lost (with 'none' it is the process that dies). Afterwards, and after crashes while
 * recovering: all that was acknowledged is there, what else is there is a prefix of the later calls, whole
 * and in order.
 */
import { describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { Opened, Storage, StorageOp } from '../../src/replica/storage.js';
import { amount } from '../amount.js';
import { FaultyDisk, randomFrom, SimDisk } from './file-storage-disks.js';
import type { Loss } from './file-storage-disks.js';
import { bytesOf, expectSame, Model, set, text } from './storage-laws.js';

const SEEDS = amount(150, 400);
const never = new Promise<never>(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** All calls of `write` over the lives of one disk, and how many of them are known to have been durable. */
interface History {
  readonly calls: StorageOp[][];
  acknowledged: number;
  boot: number;
}

function randomCall(random: () => number, nth: number): StorageOp[] {
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const ops: StorageOp[] = [set('calls', String(nth))];
  for (let left = upTo(3); left > 0; left--) {
    if (random() < 0.15) ops.push({ kind: 'truncate', from: 1 + upTo(60) });
    if (random() < 0.1) ops.push({ kind: 'trim', through: 1 + upTo(50) });
    const [from, term, size] = [1 + upTo(60), 1 + upTo(3), random() < 0.1 ? 1500 : 40];
    const entries = Array.from({ length: upTo(8) }, (_, at) => ({
      index: from + at,
      term,
      data: bytesOf(`${nth}/${at}`.padEnd(upTo(size), '.')),
    }));
    ops.push({ kind: 'put', entries });
  }
  return ops;
}

/** The disk dies at its `lifetime`-th call: neither that one nor a later one happens or comes back. */
function mortal(disk: SimDisk, lifetime: number): { disk: FaultyDisk; dead: Promise<'dead'> } {
  let die: (value: 'dead') => void;
  const dead = new Promise<'dead'>((resolve) => {
    die = resolve;
  });
  const faulty = new FaultyDisk(disk, (_call, count) => {
    if (count === lifetime) die('dead');
    return count >= lifetime ? never : undefined;
  });
  return { disk: faulty, dead };
}

/** The state is that of the first so many calls, where all acknowledged ones are among them. */
async function checkAfter(storage: Storage, opened: Opened, history: History): Promise<void> {
  const count = Number(text(opened.values.get('calls') ?? bytesOf('0')));
  expect(count).toBeGreaterThanOrEqual(history.acknowledged);
  expect(count).toBeLessThanOrEqual(history.calls.length);
  const model = new Model();
  for (const ops of history.calls.slice(0, count)) model.apply(ops);
  await expectSame(storage, opened, model);
  expect(opened.boot).toBeGreaterThan(history.boot);
  history.boot = opened.boot;
  // What did not survive never was.
  history.calls.length = count;
  history.acknowledged = count;
}

async function live(storage: Storage, history: History, random: () => number): Promise<void> {
  await checkAfter(storage, await storage.open(), history);
  for (let burst = 0; burst < 25; burst++) {
    const burstSize = 1 + Math.floor(random() * 4);
    const written = Array.from({ length: burstSize }, () => {
      const nth = history.calls.length + 1;
      history.calls.push(randomCall(random, nth));
      return storage.write(history.calls[nth - 1] as StorageOp[]).then(() => {
        history.acknowledged = nth;
      });
    });
    await Promise.all(written);
  }
  await storage.close();
}

async function runSeed(seed: number): Promise<number> {
  const random = randomFrom(seed);
  const history: History = { calls: [], acknowledged: 0, boot: 0 };
  let disk = new SimDisk(seed);
  let crashes = 0;
  for (let life = 0; life < 5; life++) {
    // Every other life ends early: while it opens.
    if ((seed + life) % 3 === 0) disk.offerThrough(); // the same data, written in another way
    const { disk: faulty, dead } = mortal(disk, 1 + Math.floor(random() * (random() < 0.4 ? 30 : 160)));
    const storage = fileStorage('data', { fs: faulty, segmentBytes: 4096 });
    const lived = live(storage, history, random).then(() => 'closed' as const);
    if ((await Promise.race([lived, dead])) === 'dead') crashes++;
    await turn(); // what was resolved before is told to its callers
    disk = disk.crash((['all', 'some', 'some', 'none'] as Loss[])[Math.floor(random() * 4)] as Loss, random);
  }
  await checkAfterLast(disk, history);
  return crashes;
}

async function checkAfterLast(disk: SimDisk, history: History): Promise<void> {
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  await checkAfter(storage, await storage.open(), history);
  await storage.close();
}

describe('fileStorage when the power goes', () => {
  test(`${SEEDS} random histories with up to five crashes each keep all that was acknowledged`, async () => {
    let crashes = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      crashes += await runSeed(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      });
    }
    expect(crashes).toBeGreaterThan(SEEDS); // no vacuous pass
  });
});
