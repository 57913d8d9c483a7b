/** What a file storage must not do, on a disk that loses what was not synced, fails a sync, or rots. */

import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { inspectStorage, verifyStorage } from '../../src/adapters/file-storage/inspect.js';
import type { StorageOp } from '../../src/replica/storage.js';
import { FaultyDisk, platformError, randomFrom, segmentsOf, settled, SimDisk } from '../adapters/file-storage-disks.js';
import {
  failsWhileMakingWay,
  holdsNothingUseless,
  trimFindsItFull,
  trimmedWhileFull,
} from '../adapters/file-storage-full.js';
import { altered, filesOfMember, flipped } from '../adapters/inspected-member.js';
import { orderOfTwo } from '../adapters/write-order.js';
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

type Files = Map<string, Uint8Array>;
const SLOTS = [4096, 8192] as const;

/** Changes the one segment of a log. */
function damaged(files: Files, change: (bytes: Uint8Array) => Uint8Array): Files {
  return new Map([...segmentsOf(files)].map(([name, bytes]) => [name, change(bytes.slice())]));
}

function opens(files: Files): Promise<boolean> {
  return succeeds(fileStorage('data', { fs: SimDisk.of(files), segmentBytes: 4096 }).open());
}

function flip(bytes: Uint8Array, word: string): Uint8Array {
  const at = Buffer.from(bytes).indexOf(word);
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
}

/** A byte of an entry changes that was followed by others, and both watermarks were lost: it is no torn end. */
async function rot(): Promise<void> {
  const files = damaged((await written()).files(), (bytes) => flip(bytes.fill(0, SLOTS[0], 3 * 4096), 'second'));
  demand(
    !(await opens(files)),
    'storage/acknowledged-survives: a log with damage below what was acknowledged is refused',
  );
}

/** A byte of the very last entry changes, after the process was idle: it was durable, and its watermark says so. */
async function rotAtTheEnd(): Promise<void> {
  const disk = await written();
  await disk.advance(10);
  const files = damaged(disk.files(), (bytes) => flip(bytes, 'third'));
  demand(!(await opens(files)), 'storage/damage-is-refused: what a watermark vouches for is refused');
}

/** The power goes while a group is under way: whatever of it and of the watermark beside it is kept, the log opens. */
async function tornGroup(): Promise<void> {
  for (let seed = 1; seed <= 40; seed++) {
    let image: SimDisk | undefined;
    let armed = false;
    const disk = new SimDisk();
    const faulty = new FaultyDisk(disk, (call) => {
      if (armed && call === 'datasync') image ??= disk.crash('some', randomFrom(seed));
      return undefined;
    });
    const storage = fileStorage('data', { fs: faulty, segmentBytes: 4096 });
    await storage.open();
    await storage.write(put(0));
    armed = true;
    await storage.write(put(1));
    demand(
      image !== undefined && (await opens(image.files())),
      'storage/watermark-is-never-early: a power cut leaves no watermark without its group',
    );
  }
}

/** A torn write of the newest watermark leaves the other one: a log that is cut below it is refused. */
async function tornWatermark(): Promise<void> {
  const disk = await written();
  await disk.advance(10);
  const [bytes = new Uint8Array(0)] = segmentsOf(disk.files()).values();
  const groupIn = (slot: number): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(slot + 8, true);
  const newest = groupIn(SLOTS[0]) > groupIn(SLOTS[1]) ? SLOTS[0] : SLOTS[1];
  const files = damaged(disk.files(), (all) =>
    all.fill(7, newest, newest + 32).slice(0, Buffer.from(all).indexOf('first')),
  );
  demand(!(await opens(files)), 'storage/one-slot-at-a-time: one of two watermarks is always there');
}

/** A crash comes between the name of a segment and the seal of the one before; later the segment is lost. */
async function cutShort(): Promise<void> {
  const disk = new SimDisk();
  let image: SimDisk | undefined;
  const faulty = new FaultyDisk(disk, (call) => {
    if (call === 'write' && segmentsOf(disk.files()).size === 2) image ??= disk.crash('all', () => 0);
    return undefined;
  });
  const storage = fileStorage('data', { fs: faulty, segmentBytes: 4096 });
  await storage.open();
  for (let index = 1; image === undefined && index < 100; index++) {
    await storage.write([{ kind: 'put', entries: [{ index, term: 1, data: new Uint8Array(500) }] }]);
  }
  const next = fileStorage('data', { fs: image as unknown as SimDisk, segmentBytes: 4096 });
  await next.open();
  await next.close();
  const files = segmentsOf((image as unknown as SimDisk).files());
  files.delete([...files.keys()].at(-1) as string);
  demand(!(await opens(files)), 'storage/no-hole: a lost segment is noticed, also after a rotation that was cut short');
}

/** How full the disk is. */
function bytesOn(disk: SimDisk): number {
  return [...disk.files().values()].reduce((sum, { length }) => sum + length, 0);
}

/** The disk is full before there is a spare file, and the log takes what its file has: every start succeeds. */
async function startOnAFullDisk(): Promise<void> {
  let disk = new SimDisk();
  const segmentBytes = 64 * 1024;
  const first = fileStorage('data', { fs: disk, segmentBytes });
  await first.open();
  disk.capacity = bytesOn(disk);
  const left = first.status?.().spaceAhead ?? 0;
  // As many small groups as there is room for; the last one waits.
  for (let index = 1; index < left / 50; index++) {
    void succeeds(first.write([{ kind: 'put', entries: [{ index, term: 1, data: new Uint8Array(0) }] }]));
    await settled();
  }
  const { spaceAhead = 0 } = first.status?.() ?? {};
  demand(spaceAhead < 100, 'storage/restart-needs-no-space: the log takes what there is', () => spaceAhead);
  for (let boot = 2; boot < 10; boot++) {
    disk = disk.crash('none', () => 0);
    disk.capacity = bytesOn(disk);
    const found = await fileStorage('data', { fs: disk, segmentBytes })
      .open()
      .catch((error: Error) => ({ boot: error.message }));
    demand(found.boot === boot, 'storage/restart-needs-no-space: a start needs no free space', () => found.boot);
  }
}

async function* chunksOf(count: number): AsyncGenerator<Uint8Array> {
  for (let left = count; left > 0; left--) yield new Uint8Array(64 * 1024);
}

/** The log has no spare file yet, and there is space for one: a snapshot does not take it. */
async function snapshotOnAFullDisk(): Promise<void> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  disk.capacity = bytesOn(disk) + 1024 * 1024;
  const written = storage.snapshots?.write('one', chunksOf(8)) ?? Promise.resolve();
  const isWritten = await succeeds(written);
  await disk.advance(1000);
  const spares = [...disk.files()].filter(([name]) => name.startsWith('wal-spare'));
  demand(
    !isWritten && spares.length > 0,
    'storage/snapshots-leave-the-reserve: the log gets its space first, and the snapshot fails',
    () => [isWritten, spares.length],
  );
  await storage.close();
}

/** The disk has no space when the log needs some, and has it later: what waited is written. */
async function shortage(): Promise<void> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  await storage.open();
  disk.capacity = 0;
  const ops: StorageOp[] = [{ kind: 'put', entries: [{ index: 1, term: 1, data: new Uint8Array(6000) }] }];
  const written = succeeds(storage.write(ops));
  await disk.advance(1000);
  disk.capacity = Infinity;
  for (let step = 0; step < 4; step++) await disk.advance(1000);
  demand(await written, 'storage/shortage-is-no-fault: what waited for space is written');
}

/** @param what is taken away under an open storage */
async function lost(what: 'directory' | 'file'): Promise<void> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  await storage.write(put(0));
  if (what === 'directory') disk.replace(disk.files());
  else for (const name of segmentsOf(disk.files()).keys()) await disk.create(name);
  await disk.advance(500);
  demand(
    !(await succeeds(storage.write(put(1)))),
    'storage/lost-directory-is-noticed: nothing more is acknowledged',
    () => what,
  );
}

/** Most of a file is used: the next one, larger, is ready. */
async function spaceAhead(): Promise<void> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  await disk.advance(0);
  for (let index = 1; index <= 9; index++) {
    await storage.write([{ kind: 'put', entries: [{ index, term: 1, data: new Uint8Array(100_000) }] }]);
    await settled();
  }
  const largest = Math.max(
    ...[...disk.files()].map(([name, { length }]) => (name.startsWith('wal-spare') ? length : 0)),
  );
  demand(
    largest > 3 * 1024 * 1024,
    'storage/space-is-got-ahead: the next file is ready before it is needed',
    () => largest,
  );
  await storage.close();
}

/** The power goes right after a snapshot was written: it is there, and whole. */
async function snapshotAndPowerCut(): Promise<void> {
  const disk = new SimDisk();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  await storage.snapshots?.write('one', chunksOf(2));
  const next = fileStorage('data', { fs: disk.crash('all', () => 0) });
  await next.open();
  const content = await next.snapshots?.read('one', 0, Infinity).catch(() => undefined);
  demand(
    content?.length === 2 * 64 * 1024,
    'storage/snapshot-files-are-whole: a power cut takes nothing of it',
    () => content?.length,
  );
}

/** A log is killed while it is busy. */
async function busyWrittenThrough(): Promise<void> {
  const disk = new SimDisk().offerThrough();
  const storage = fileStorage('data', { fs: disk });
  await storage.open();
  for (let at = 0; at < 60; at++) await storage.write(put(at % 2));
  const { segments } = await inspectStorage('data', { fs: SimDisk.of(disk.files()) });
  const { lastGroup = 0, vouched = 0 } = segments.at(-1) ?? {};
  demand(lastGroup > 60, 'the log has its groups', () => lastGroup);
  demand(lastGroup - vouched <= 16, 'storage/watermark-follows: few groups lie above it', () => lastGroup - vouched);
}

/** One byte of a snapshot rots; or another one lies in its place. */
async function rotInASnapshot(): Promise<void> {
  const { files, newest, older } = await filesOfMember();
  const replaced = altered(files, newest, () => files.get(older));
  for (const damaged of [altered(files, newest, flipped(500)), replaced]) {
    const { problems } = await verifyStorage('data', { fs: SimDisk.of(damaged) });
    demand(
      problems.length === 1 && problems[0]?.file === newest,
      'storage/damage-is-found-beforehand: what does not verify is named, snapshots included',
      () => problems,
    );
  }
}

/** By name, for the tables. */
export const storageScripts = {
  'storage: trimmed while full': () => trimmedWhileFull(64 * 1024),
  'storage: trimmed while writes wait': () => trimmedWhileFull(1024 * 1024, 5),
  'storage: fails while making way': async () => {
    for (let nth = 1; await failsWhileMakingWay('ENOSPC', nth); nth += 2);
  },
  'storage: a trim finds the disk full': trimFindsItFull,
  'storage: nothing useless': holdsNothingUseless,
  'storage: the order of two writes': async () => orderOfTwo(),
  'storage: power cut': powerCut,
  'storage: failed sync': failedSync,
  'storage: rot': rot,
  'storage: rot at the end': rotAtTheEnd,
  'storage: busy, written through': busyWrittenThrough,
  'storage: rot in a snapshot': rotInASnapshot,
  'storage: torn group': tornGroup,
  'storage: torn watermark': tornWatermark,
  'storage: rotation cut short': cutShort,
  'storage: start on a full disk': startOnAFullDisk,
  'storage: snapshot on a full disk': snapshotOnAFullDisk,
  'storage: shortage': shortage,
  'storage: lost directory': () => lost('directory'),
  'storage: lost file': () => lost('file'),
  'storage: space ahead': spaceAhead,
  'storage: snapshot and power cut': snapshotAndPowerCut,
} as const;
