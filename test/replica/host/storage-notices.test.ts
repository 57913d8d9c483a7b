/** What a storage tells by itself: it reaches those who listen, and a full one refuses new commands of own callers. */

import { describe, expect, it } from 'vitest';
import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type ReplicaEvent,
  type Storage,
  type StorageNotice,
} from 'quorate';
import { fileStorage } from '../../../src/adapters/file-storage/index.js';
import { SimDisk } from '../../adapters/file-storage-disks.js';
import { aloneOptions } from './alone.js';

class Counter {
  count = 0;
  apply(by: number): number {
    return (this.count += by);
  }
  snapshot(): number {
    return this.count;
  }
  restore(count: number): void {
    this.count = count;
  }
}

/** A storage that says what it is told to say. */
function talkative(early: readonly StorageNotice[] = []) {
  const memory = memoryStorage();
  let listener: (notice: StorageNotice) => void = () => undefined;
  const storage: Storage = {
    open: (events) => {
      listener = events ?? listener;
      for (const notice of early) listener(notice);
      return memory.open();
    },
    write: (ops) => memory.write(ops),
    read: (from, to, maxBytes) => memory.read(from, to, maxBytes),
    close: () => memory.close(),
    status: () => ({ durable: false, state: 'ready', spaceAhead: 7 }),
  };
  return { storage, say: (notice: StorageNotice) => listener(notice) };
}

async function alone(storage: Storage) {
  const events: ReplicaEvent[] = [];
  const replica = await createReplica(
    aloneOptions({ machine: new Counter(), storage, onEvent: (event) => events.push(event) }),
  );
  const told = (): ReplicaEvent[] => events.filter(({ kind }) => kind === 'storage' || kind === 'fault');
  return { replica, told };
}

describe('a storage that is full', () => {
  it('refuses new commands, without effect and for a while; reads are served', async () => {
    const { storage, say } = talkative();
    const { replica, told } = await alone(storage);
    expect(await replica.propose(1)).toBe(1);
    const cause = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    say({ kind: 'full', reason: 'no space', cause });
    await expect(replica.propose(1)).rejects.toMatchObject({
      code: 'ERR_STORAGE_FULL',
      outcome: 'none',
      retryable: true,
    });
    expect(await replica.read(({ count }) => count)).toBe(1);
    expect(replica.status()).toMatchObject({ phase: 'running', storage: { durable: false, spaceAhead: 7 } });
    say({ kind: 'resumed', reason: 'there is space', cause });
    expect(await replica.propose(1)).toBe(2);
    expect(told()).toMatchObject([
      { kind: 'storage', event: 'full', reason: 'no space', cause },
      { kind: 'storage', event: 'resumed' },
    ]);
    await replica.close();
  });

  it('goes on when there is space: a replica on a disk that filled up', async () => {
    const disk = new SimDisk();
    const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
    const { replica, told } = await alone(storage);
    expect(await replica.propose(1)).toBe(1);
    disk.capacity = 0;
    await disk.advance(0);
    await expect(replica.propose(1)).rejects.toMatchObject({ code: 'ERR_STORAGE_FULL', outcome: 'none' });
    expect(replica.status()).toMatchObject({ phase: 'running', storage: { durable: true, state: 'full' } });
    disk.capacity = Infinity;
    for (let step = 0; step < 3; step++) await disk.advance(1000);
    expect(await replica.propose(1)).toBe(2);
    expect(told()).toMatchObject([{ event: 'full' }, { event: 'resumed' }]);
    await replica.close();
  });
});

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('%s: of three replicas', (_, protocol) => {
  it('the leader that is full hands over, and all get their commands through but its own new callers', async () => {
    const network = memoryNetwork();
    const members = { a: 'a', b: 'b', c: 'c' };
    const storages = new Map(Object.keys(members).map((id) => [id, talkative()]));
    const replicas = await Promise.all(
      [...storages].map(([id, { storage }]) =>
        createReplica({
          id,
          members,
          machine: new Counter(),
          storage,
          transport: network.transport(),
          protocol: protocol({ timing: { heartbeat: 30, electionMin: 200, electionMax: 400 } }),
        }),
      ),
    );
    await Promise.all(replicas.map((replica) => replica.ready()));
    const full = replicas.find((replica) => replica.status().role === 'leader') as (typeof replicas)[0];
    const others = replicas.filter((replica) => replica !== full);
    const { say } = storages.get(full.status().id) as ReturnType<typeof talkative>;
    await Promise.all(others.map((replica) => replica.propose(1)));
    say({ kind: 'full', reason: 'no space' });
    await expect(full.propose(1)).rejects.toMatchObject({ code: 'ERR_STORAGE_FULL', outcome: 'none' });
    await Promise.all(others.map((replica) => replica.propose(1)));
    const { leader } = (others[0] as (typeof replicas)[0]).status();
    expect(others.map((replica) => replica.status().id)).toContain(leader);
    say({ kind: 'resumed', reason: 'there is space' });
    expect(await full.propose(1)).toBe(5);
    await Promise.all(replicas.map((replica) => replica.close({ timeout: 0 })));
  });
});

describe('what a storage tells', () => {
  it('while it opens, is heard once the replica runs', async () => {
    const { storage } = talkative([{ kind: 'dropped', reason: 'a torn group' }]);
    const { replica, told } = await alone(storage);
    expect(told()).toMatchObject([{ kind: 'storage', event: 'dropped', reason: 'a torn group' }]);
    expect(await replica.propose(1)).toBe(1);
    await replica.close();
  });

  it('halts the replica when the data is gone', async () => {
    const { storage, say } = talkative();
    const { replica, told } = await alone(storage);
    await replica.propose(1);
    say({ kind: 'failed', reason: 'the directory was deleted' });
    expect(replica.status()).toMatchObject({ phase: 'halted', fault: 'the directory was deleted' });
    await expect(replica.propose(1)).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED', outcome: 'none' });
    expect(told()).toMatchObject([{ event: 'failed' }, { kind: 'fault', code: 'ERR_STORAGE_FAILED' }]);
    await replica.close();
  });

  it('halts the replica when it is no notice', async () => {
    for (const wrong of [null, 'full', { kind: 'empty', reason: '' }, { kind: 'full' }]) {
      const { storage, say } = talkative();
      const { replica } = await alone(storage);
      say(wrong as StorageNotice);
      expect(replica.status()).toMatchObject({ phase: 'halted' });
      await replica.close();
    }
  });

  it('of itself is null where it tells nothing, and a status that throws halts', async () => {
    const quiet = await alone(memoryStorage());
    expect(quiet.replica.status().storage).toBeNull();
    await quiet.replica.close();
    const { storage } = talkative();
    storage.status = () => {
      throw new Error('no idea');
    };
    const { replica } = await alone(storage);
    expect(replica.status().storage).toBeNull();
    expect(replica.status()).toMatchObject({ phase: 'halted', fault: 'no idea' });
    await replica.close();
  });
});
