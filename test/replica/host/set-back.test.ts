/** A storage that was set back behind a later start of its replica must never make an acknowledgement false. */

import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft, type Replica } from '../../../src/index.js';
import { fileStorage } from '../../../src/node.js';

const IDS = ['a', 'b', 'c'];
/** Short enough to be waited for, and so long that a slow machine elects within it. */
const timing = { heartbeat: 100, electionMin: 1000, electionMax: 2000 };

class Journal {
  written: string[] = [];
  apply(command: string): number {
    return this.written.push(command);
  }
  snapshot(): string[] {
    return this.written;
  }
  restore(written: string[]): void {
    this.written = written;
  }
}

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-set-back-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

it.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('over %s, one start back, and with one seed for all starts', async (_, protocol) => {
  const network = memoryNetwork();
  const own = join(directory, 'a');
  const copy = join(directory, 'copy');
  const storages = new Map([
    ['b', memoryStorage()],
    ['c', memoryStorage()],
  ]);
  const start = (id: string, requestTimeout = 30_000): Promise<Replica<Journal>> =>
    createReplica({
      id,
      members: { a: 'a', b: 'b', c: 'c' },
      protocol: protocol({ timing }),
      transport: network.transport(),
      storage: storages.get(id) ?? fileStorage(own),
      machine: new Journal(),
      requestTimeout,
      seed: 7,
    });
  const [first, ...others] = (await Promise.all(IDS.map((id) => start(id)))) as [
    Replica<Journal>,
    ...Replica<Journal>[],
  ];
  await first.propose('before');
  await first.close();
  cpSync(own, copy, { recursive: true });
  const second = await start('a');
  await second.propose('between');
  await second.close();
  rmSync(own, { recursive: true });
  renameSync(copy, own);
  // What it asks for may wait in vain: then it has no acknowledgement.
  const third = await start('a', 3000);
  const acknowledged = await third.propose('after').then(
    () => true,
    () => false,
  );
  const written = await (others[0] as Replica<Journal>).read(({ written: all }) => [...all]);
  expect(written.slice(0, 2)).toEqual(['before', 'between']);
  expect(written.includes('after') || !acknowledged).toBe(true);
  await Promise.all([third, ...others].map((replica) => replica.close()));
});
