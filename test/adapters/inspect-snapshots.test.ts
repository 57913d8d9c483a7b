/** `inspectStorage` and `verifyStorage` read the snapshots that the log names, as a start does. */

import { expect, test } from 'vitest';
import { createReplica } from 'quorate';
import { fileStorage, inspectStorage, verifyStorage } from 'quorate/node';
import { IDENTITY_KEY } from '../../src/replica/driver/stored-identity.js';
import { decodeSnapshots, encodeSnapshots, SNAPSHOTS_KEY } from '../../src/replica/driver/snapshot-list.js';
import { SimDisk } from './file-storage-disks.js';
import { altered, filesOfMember, flipped, inspectedOptions } from './inspected-member.js';

type Files = Map<string, Uint8Array>;
const verify = (files: Files) => verifyStorage('data', { fs: SimDisk.of(files) });
const startOn = (files: Files) => createReplica(inspectedOptions(SimDisk.of(files)));

test('the snapshots that the log names, newest first, and they verify', async () => {
  const { files, newest, older } = await filesOfMember();
  files.set('snapshot-of-nobody', new Uint8Array(10));
  const { snapshots, problems, text, first } = await inspectStorage('data', { fs: SimDisk.of(files) });
  expect(problems).toEqual([]);
  expect(snapshots.map(({ file, bytes, verifies }) => [file, bytes, verifies])).toEqual([
    [newest, files.get(newest)?.length, true],
    [older, files.get(older)?.length, true],
  ]);
  expect(first).toBeGreaterThan(1);
  expect(text).toContain(`a snapshot up to index ${snapshots[1]?.index} of term ${snapshots[1]?.term}, verifies`);
  expect(await verify(files)).toMatchObject({ sound: true, text: 'all that was acknowledged verifies' });
});

test('every damage of a snapshot is named, with its file and offset', async () => {
  const { files, newest, older } = await filesOfMember();
  for (const [name, other] of [[newest, older] as const, [older, newest] as const]) {
    const size = files.get(name)?.length ?? 0;
    const places = [...Array(40).keys(), size - 9, size - 1, ...[1, 2, 3].map((nth) => Math.floor((nth * size) / 4))];
    for (const at of places) {
      const { sound, problems } = await verify(altered(files, name, flipped(at)));
      expect({ sound, files: problems.map(({ file }) => file) }).toEqual({ sound: false, files: [name] });
      expect(problems[0]?.offset).toBeLessThanOrEqual(size);
    }
    const longer = (bytes: Uint8Array): Uint8Array => new Uint8Array([...bytes, 0]);
    const changes = [() => undefined, longer, (bytes: Uint8Array) => bytes.slice(0, -1), () => new Uint8Array(0)];
    for (const change of [...changes, () => files.get(other)]) {
      const { sound, problems, text } = await verify(altered(files, name, change));
      expect({ sound, files: problems.map(({ file }) => file) }).toEqual({ sound: false, files: [name] });
      expect(text).toMatch(new RegExp(`^damaged: ${name} at offset \\d+: `));
    }
  }
});

test('a start that finds none to restore names both files and where they are damaged', async () => {
  const { files, newest, older } = await filesOfMember();
  const one = altered(files, newest, flipped(100));
  const replica = await startOn(one);
  expect(await replica.read(({ words }) => words.length)).toBe(100);
  await replica.close();

  const both = altered(one, older, () => undefined);
  const { problems } = await verify(both);
  expect(problems.map(({ file }) => file)).toEqual([newest, older]);
  const nameOf = (file: string): string => file.slice('snapshot-'.length);
  await expect(startOn(both)).rejects.toMatchObject({
    code: 'ERR_STORAGE_CORRUPT',
    message: expect.stringMatching(
      new RegExp(
        `^no snapshot can be restored, and the log begins behind \\d+; ` +
          `the snapshot ${nameOf(newest)} at offset \\d+: .*; ${older} at offset 0: the snapshot is missing$`,
      ),
    ),
  });
});

test('a list that names nothing behind which the log begins, and one of another version', async () => {
  const { files } = await filesOfMember();
  const disk = SimDisk.of(files);
  disk.flies = true;
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  const { values } = await storage.open();
  const { base } = decodeSnapshots(values.get(SNAPSHOTS_KEY) as Uint8Array);
  const list = encodeSnapshots({ named: [], base });
  await storage.write([{ kind: 'set', key: SNAPSHOTS_KEY, value: list }]);
  const what = `the log begins behind ${base.index}, and no snapshot reaches as far`;
  expect(await verify(disk.files())).toMatchObject({ sound: false, problems: [{ offset: 0, what }] });
  await storage.write([{ kind: 'set', key: SNAPSHOTS_KEY, value: list.fill(99, 0, 1) }]);
  expect(await verify(disk.files())).toMatchObject({
    sound: false,
    problems: [{ what: expect.stringMatching(/^the list of snapshots cannot be read: /) }],
  });
  const named = decodeSnapshots(values.get(SNAPSHOTS_KEY) as Uint8Array).named.map((one) => ({ ...one, file: '../x' }));
  await storage.write([{ kind: 'set', key: SNAPSHOTS_KEY, value: encodeSnapshots({ named, base }) }]);
  expect(await verify(disk.files())).toMatchObject({
    problems: [{ what: 'the list of snapshots cannot be read: it names what can be no file' }],
  });
});

test('an identity that no start can read, and snapshots of nobody', async () => {
  const { files } = await filesOfMember();
  const disk = SimDisk.of(files);
  disk.flies = true;
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  const { values } = await storage.open();
  await storage.write([{ kind: 'set', key: IDENTITY_KEY, value: Uint8Array.of(99) }]);
  const { problems, owner } = await inspectStorage('data', { fs: disk });
  expect({ problems: problems.map(({ what }) => what), owner }).toEqual({
    problems: ['the identity cannot be read: an identity is of an unknown version'],
    owner: null,
  });
  await expect(startOn(disk.files())).rejects.toMatchObject({ code: 'ERR_STORAGE_CORRUPT' });

  const nobody = new SimDisk();
  const other = fileStorage('data', { fs: nobody });
  await other.open();
  expect(await verify(nobody.files())).toMatchObject({ sound: true });
  await other.write([{ kind: 'set', key: SNAPSHOTS_KEY, value: values.get(SNAPSHOTS_KEY) as Uint8Array }]);
  expect(await verify(nobody.files())).toMatchObject({
    sound: false,
    problems: [{ what: 'the log names snapshots, and not whose they are' }],
  });
});

test('of a log that does not verify, snapshots that do not are named, too, but none that is missing', async () => {
  const { files, older } = await filesOfMember();
  const log = [...files.keys()].filter((name) => /^wal-\d/.test(name)).at(-1) as string;
  const { segments } = await inspectStorage('data', { fs: SimDisk.of(files) });
  const broken = altered(files, log, flipped((segments.at(-1)?.end ?? 0) - 5));
  const named = async (changed: Files): Promise<string[]> => (await verify(changed)).problems.map(({ file }) => file);
  // The group that names the newest is lost: the list before it names one that is removed.
  expect(await named(broken)).toEqual([log]);
  expect(await named(altered(broken, older, flipped(100)))).toEqual([log, older]);
  expect(await named(altered(broken, older, () => undefined))).toEqual([log]);
});

test('while a replica writes, takes snapshots and trims, none is called damaged', async () => {
  const { files: before } = await filesOfMember();
  const { files: after } = await filesOfMember(before, 50);
  let isOver = false;
  for (let nth = 0; !isOver; nth++) {
    // The nth call of the disk, and all later ones, find what the replica has left by then.
    const disks = { before: SimDisk.of(before), after: SimDisk.of(after) };
    let calls = 0;
    const current = (): SimDisk => (calls++ < nth ? disks.before : disks.after);
    const fs = Object.assign(Object.create(disks.before) as SimDisk, {
      readdir: () => current().readdir(),
      openToRead: (path: string) => current().openToRead(path),
    });
    const { problems, snapshots } = await inspectStorage('data', { fs });
    expect({ nth, problems, verify: snapshots.map(({ verifies }) => verifies) }).toEqual({
      nth,
      problems: [],
      verify: [true, true],
    });
    isOver = calls < nth;
  }
});
