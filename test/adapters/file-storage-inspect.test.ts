/** `inspectStorage` and `verifyStorage`: what they say of sound, torn and damaged logs, without changing a byte. */

import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createReplica, memoryNetwork, raft } from 'quorate';
import { fileStorage, inspectStorage, verifyStorage } from '../../src/node.js';
import { segmentsOf, SimDisk } from './file-storage-disks.js';
import { put, set } from './storage-laws.js';

const OPTIONS = { segmentBytes: 4096 };

async function logOf(entries: number): Promise<SimDisk> {
  const disk = new SimDisk();
  disk.flies = true;
  const storage = fileStorage('data', { fs: disk, ...OPTIONS });
  await storage.open();
  for (let index = 1; index <= entries; index++) {
    await storage.write([put([index, 1 + Math.floor(index / 10), 'x'.repeat(400)]), set('n', 'v')]);
  }
  return disk;
}

test('a sound log: its range, terms, values and files', async () => {
  const disk = await logOf(25);
  const report = await inspectStorage('data', { fs: disk });
  expect(report).toMatchObject({
    owner: null,
    boot: 1,
    first: 1,
    last: 25,
    runs: [
      { from: 1, term: 1 },
      { from: 10, term: 2 },
      { from: 20, term: 3 },
    ],
    values: [{ key: 'n', bytes: 1 }],
    problems: [],
    torn: null,
  });
  expect(report.segments.length).toBeGreaterThan(2);
  expect(report.segments.map(({ sealed }) => sealed)).toEqual(report.segments.map((_, at, all) => at < all.length - 1));
  expect(report.text).toContain('entries 1 to 25\n  from 1: term 1');
  expect(await verifyStorage('data', { fs: disk })).toEqual({
    sound: true,
    problems: [],
    torn: null,
    text: 'all that was acknowledged verifies',
  });
});

test('damage is named, in each file; a torn group is told from it', async () => {
  const disk = await logOf(25);
  const files = segmentsOf(disk.files());
  const names = [...files.keys()];
  for (const name of names.slice(0, 2)) files.get(name)?.fill(0xff, 13_000, 13_010);
  const { sound, problems, text } = await verifyStorage('data', { fs: SimDisk.of(files) });
  expect(sound).toBe(false);
  expect(problems.map(({ file }) => file)).toEqual(names.slice(0, 2));
  for (const { offset } of problems) expect(offset).toBeLessThanOrEqual(13_000);
  expect(text.split('\n')).toHaveLength(2);

  const torn = segmentsOf(disk.files());
  const last = torn.get(names.at(-1) ?? '') ?? new Uint8Array(0);
  const { segments } = await inspectStorage('data', { fs: disk });
  last.fill(0, (segments.at(-1)?.end ?? 0) - 10);
  last[last.length - 1] = 1;
  const verdict = await verifyStorage('data', { fs: SimDisk.of(torn) });
  expect(verdict.sound && verdict.torn === null).toBe(false);

  for (const name of names.slice(0, -1)) {
    const left = new Map(files);
    left.delete(name);
    const found = await verifyStorage('data', { fs: SimDisk.of(left) });
    expect(found).toMatchObject({
      sound: false,
      problems: expect.arrayContaining([expect.objectContaining({ file: name })]),
    });
  }
  await expect(inspectStorage('data', { fs: new SimDisk() })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});

test('of a running replica: whose it is, again and again while it writes, and not a byte is changed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'quorate-inspect-'));
  let count = 0;
  const machine = {
    apply: (_: string): number => ++count,
    snapshot: (): number => count,
    restore: (): void => undefined,
  };
  const options = { id: 'a', members: { a: 'x' }, bootstrap: true, protocol: raft(), machine };
  const transport = memoryNetwork().transport();
  const replica = await createReplica({ ...options, transport, storage: fileStorage(dir, OPTIONS) });
  let writing = true;
  const load = (async () => {
    while (writing) await replica.propose('x'.repeat(300));
  })();
  for (let nth = 0; nth < 20; nth++) {
    const { problems, owner } = await inspectStorage(dir);
    expect(problems).toEqual([]);
    expect(owner).toMatchObject({ id: 'a', protocol: 'raft', members: [{ id: 'a', address: 'x' }] });
  }
  writing = false;
  await load;
  await replica.close();
  const contents = async (): Promise<unknown> =>
    Promise.all(
      (await readdir(dir)).map(async (name) => [
        name,
        (await stat(join(dir, name))).mtimeMs,
        await readFile(join(dir, name)),
      ]),
    );
  const before = await contents();
  const { text, last } = await inspectStorage(dir);
  expect(last).toBeGreaterThan(count);
  expect(text).toMatch(/replica a .* of cluster .*, raft\n {2}member a at x\nentries 1 to/);
  expect(await contents()).toEqual(before);
  await rm(dir, { recursive: true, force: true });
});

test.each([[5], [undefined], [null], [''], ['a\0b']])('of %j is refused by a typed error', async (dir) => {
  for (const look of [inspectStorage, verifyStorage]) {
    await expect(look(dir as string)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(look('/tmp', null as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(look('/tmp', { nope: 1 } as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  }
});
