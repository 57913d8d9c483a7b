/** `inspectStorage` and `verifyStorage` read the snapshots that the log names, as a start does. */

import { expect, test } from 'vitest';
import { createReplica } from 'quorate';
import { fileStorage, inspectStorage, verifyStorage } from 'quorate/node';
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
