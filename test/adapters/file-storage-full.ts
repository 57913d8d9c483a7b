/** What must hold of a log on a full disk, as functions that throw a violation: the tests run them, and mutants' killers. */

import { fileStorage } from '../../src/adapters/file-storage/index.js';
import type { Storage, StorageOp } from '../../src/replica/storage.js';
import { demand } from '../violation.js';
import { FaultyDisk, platformError, settled, SimDisk } from './file-storage-disks.js';

const MIB = 1024 * 1024;
const RULE = 'storage/trimmed-goes-when-full: ';

/** How full the disk is. */
export function bytesOn(disk: SimDisk): number {
  return [...disk.files().values()].reduce((sum, { length }) => sum + length, 0);
}

type Fault = ConstructorParameters<typeof FaultyDisk>[1];

/** A log that fills its disk, space ahead and all. */
class FullLog {
  readonly disk = new SimDisk(1);
  readonly storage: Storage;
  readonly states: string[] = [];
  /** The last entry that was given to a write, and the last one that was acknowledged. */
  last = 0;
  acknowledged = 0;

  constructor(segmentBytes?: number, fault: Fault = () => undefined) {
    const fs = new FaultyDisk(this.disk, fault);
    this.storage = fileStorage('data', segmentBytes === undefined ? { fs } : { fs, segmentBytes });
  }

  async open(bytes: number): Promise<void> {
    await this.storage.open((event) => this.states.push(event.kind));
    await settled();
    while (bytesOn(this.disk) < bytes) {
      await this.fill(30_000);
      await this.disk.advance(1);
    }
  }

  /** Nothing more fits on the disk; the storage says so. */
  async fillDisk(): Promise<void> {
    this.disk.capacity = bytesOn(this.disk);
    for (let isWritten = true; isWritten; ) {
      const written = this.fill(30_000).catch(() => undefined);
      await settled();
      await this.disk.advance(1);
      isWritten = !this.isFull;
      if (isWritten) await written;
    }
  }

  get isFull(): boolean {
    return this.states.includes('full');
  }

  get left(): number {
    return this.storage.status?.().spaceAhead ?? 0;
  }

  async fill(bytes: number): Promise<void> {
    const index = ++this.last;
    await this.storage.write([{ kind: 'put', entries: [{ index, term: 1, data: new Uint8Array(bytes).fill(120) }] }]);
    this.acknowledged = index;
  }

  /** What a replica writes to trim its log. */
  trim(through: number): Promise<void> {
    const set: StorageOp = { kind: 'set', key: 'list', value: new Uint8Array(200) };
    return this.storage.write([set, { kind: 'trim', through }]);
  }

  async wait(turns: number, isOver: () => boolean = () => false): Promise<void> {
    for (let turn = 0; turn < turns && !isOver(); turn++) {
      await settled();
      await this.disk.advance(1000);
    }
  }
}

/** What is trimmed makes room on a full disk, also for so many writes that wait for space already. */
export async function trimmedWhileFull(segmentBytes: number, waiting = 0): Promise<void> {
  const log = new FullLog(segmentBytes);
  const { disk, storage, states } = log;
  await log.open(8 * MIB);
  await log.fillDisk();
  const full = bytesOn(disk);
  const through = log.last - 3;
  const waits: Promise<void>[] = [];
  if (waiting > 0) {
    await log.fill(log.left - 120); // with what is written around it, all but a few bytes
    waits.push(log.fill(log.left + 1));
    await settled();
  }
  while (waits.length < waiting) waits.push(log.fill(500));
  const trimmed = log.trim(through);
  await log.wait(50, () => states.includes('resumed'));
  demand(states.includes('resumed'), `${RULE}there is space again`, () => states);
  demand(bytesOn(disk) < full - 2 * MIB, `${RULE}the segments are gone`, () => [full, bytesOn(disk)]);
  await Promise.all([trimmed, ...waits]);
  await storage.close();
  const again = fileStorage('data', { fs: disk, segmentBytes });
  const opened = await again.open();
  demand(opened.last === log.last, `${RULE}what is left is whole`, () => [opened.last, log.last]);
  demand(opened.first > through, `${RULE}what is trimmed is gone`, () => [opened.first, through]);
  await again.close();
}

/** The call that trims is itself the first to find the disk full. */
export async function trimFindsItFull(): Promise<void> {
  let isSlow = false;
  let goOn: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  const log = new FullLog(256 * 1024, (call) => (isSlow && call === 'create' ? held : undefined));
  await log.open(3 * MIB);
  const { disk } = log;
  const segments = (): number => [...disk.files().keys()].filter((name) => name.endsWith('.log')).length;
  const before = segments();
  isSlow = true; // so nobody knows that there is no space for a spare file
  while (segments() === before) await log.fill(30_000);
  disk.capacity = bytesOn(disk);
  while (log.left > 40_000) await log.fill(30_000);
  await log.fill(log.left - 100);
  let isTrimmed = false;
  const trimmed = log.trim(log.last - 3).then(() => (isTrimmed = true));
  await settled();
  isSlow = false;
  goOn();
  await log.wait(20, () => isTrimmed);
  demand(isTrimmed, `${RULE}room is kept for a call that trims`, () => log.states);
  await log.wait(2);
  demand(segments() < before, `${RULE}the segments are gone`, () => segments());
  await trimmed;
  await log.storage.close();
}

/** What a log got of a full disk, and cannot use, it gives back. */
export async function holdsNothingUseless(): Promise<void> {
  const disk = new SimDisk(1);
  const storage = fileStorage('data', { fs: disk });
  let isFull = false;
  await storage.open((event) => (isFull ||= event.kind === 'full'));
  await settled();
  disk.capacity = bytesOn(disk) + 20_000;
  for (let index = 1; !isFull; index++) {
    const data = Buffer.alloc(30_000, 1);
    storage.write([{ kind: 'put', entries: [{ index, term: 1, data }] }]).catch(() => undefined);
    await settled();
  }
  await disk.advance(5000);
  await settled();
  const { logBytes = 0, snapshotBytes = 0 } = storage.status?.() ?? {};
  demand(logBytes + snapshotBytes === bytesOn(disk), `${RULE}all that is on the disk is counted`, () => bytesOn(disk));
  demand(disk.capacity > bytesOn(disk), `${RULE}what the log cannot use is free`, () => bytesOn(disk));
  disk.capacity = Infinity;
  await storage.close();
}

/**
 * A call of the disk fails while the log makes way for a write that waits: nothing that is acknowledged is lost,
 * whatever the failure is taken for.
 * @returns whether there was such a call
 */
export async function failsWhileMakingWay(code: string, nth: number): Promise<boolean> {
  let calls = -1;
  const log = new FullLog(undefined, () => {
    if (calls < 0 || ++calls !== nth) return undefined;
    return platformError(code);
  });
  await log.open(9 * MIB);
  await log.fillDisk();
  const { disk, storage } = log;
  const waits = log.fill(log.left + 5).catch(() => undefined);
  await settled();
  calls = 0;
  const trimmed = log.trim(log.last - 40).catch(() => undefined);
  await log.wait(4);
  const wasCalled = calls >= nth;
  calls = -1;
  disk.capacity += 8 * MIB;
  await log.wait(3);
  for (let more = 0; more < 3; more++) await Promise.race([log.fill(100).catch(() => undefined), log.wait(2)]);
  const again = fileStorage('data', { fs: disk.crash('kept', () => 0) });
  const { last } = await again.open();
  demand(last >= log.acknowledged, 'storage/acknowledged-survives: a failed rotation loses nothing', () => [
    code,
    nth,
    last,
    log.acknowledged,
  ]);
  await again.close();
  await storage.close().catch(() => undefined);
  await Promise.all([waits, trimmed]);
  return wasCalled;
}
