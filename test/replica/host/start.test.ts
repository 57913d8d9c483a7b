/** The order of a start: what is misconfigured is not stored, and what is in use stays as it is. */

import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, raft, type Replica, type ReplicaOptions } from 'quorate';
import { tcpTransport } from 'quorate/node';
import type { Storage } from '../../../src/replica/storage.js';
import { freeAddresses } from '../../adapters/transport-laws.js';

const timing = { heartbeat: 30, electionMin: 150, electionMax: 300 };
const machine = () => ({ apply: (): number => 1, snapshot: (): number => 1, restore: (): void => undefined });

const open: Replica[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((replica) => replica.close()));
});

async function start(options: Pick<ReplicaOptions<ReturnType<typeof machine>>, 'id' | 'members' | 'storage'>) {
  const all = { protocol: raft({ timing }), transport: tcpTransport(), machine: machine(), ...options };
  const replica = await createReplica(all);
  open.push(replica as Replica);
  return replica;
}

/** What is stored, and how often it was opened. */
async function contentsOf(storage: Storage): Promise<{ keys: string[]; boot: number }> {
  const { values, boot } = await storage.open();
  await storage.close();
  return { keys: [...values.keys()], boot };
}

describe('a start that fails leaves nothing behind', () => {
  it('a mistyped address is refused before the storage is opened', async () => {
    const storage = memoryStorage();
    const members = { a: '127.0.0.1:7001', b: '127.0.0.1:70002' };
    const refusal = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/members\.b: .*70002/) as string };
    const opening = async () => start({ id: 'a', members, storage });
    await expect(opening()).rejects.toMatchObject(refusal);
    expect(await contentsOf(storage)).toEqual({ keys: [], boot: 1 });
  });

  it('an address that cannot be taken is not stored, and the corrected one is used', async () => {
    const storage = memoryStorage();
    const addresses = await freeAddresses(['a', 'b', 'wrong']);
    const [a, b, wrong] = ['a', 'b', 'wrong'].map((id) => addresses.get(id) as string) as [string, string, string];
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(Number(wrong.split(':')[1]), '127.0.0.1', resolve));
    await expect(start({ id: 'a', members: { a: wrong, b }, storage })).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_FAILED',
    });
    expect(await contentsOf(storage)).toEqual({ keys: [], boot: 2 });
    const replica = await start({ id: 'a', members: { a, b }, storage });
    expect(replica.status().members.map(({ address }) => address)).toEqual([a, b]);
    await new Promise((resolve) => other.close(resolve));
  });

  it('a storage that cannot write leaves the address free', async () => {
    const storage = memoryStorage();
    const broken: Storage = {
      open: () => storage.open(),
      write: () => Promise.reject(new Error('disk full')),
      read: (...range) => storage.read(...range),
      close: () => storage.close(),
    };
    const network = memoryNetwork();
    const options = { id: 'a', members: { a: 'x', b: 'y' }, machine: machine(), protocol: raft({ timing }) };
    await expect(createReplica({ ...options, storage: broken, transport: network.transport() })).rejects.toThrow(
      'disk full',
    );
    open.push((await createReplica({ ...options, storage, transport: network.transport() })) as Replica);
  });

  it('a second start on data that is held is refused as locked', async () => {
    const storage = memoryStorage();
    const addresses = await freeAddresses(['a', 'b']);
    const members = Object.fromEntries(addresses);
    await start({ id: 'a', members, storage });
    await expect(start({ id: 'a', members, storage })).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
  });
});

describe('the own address', () => {
  it('is the given one, not the stored one, and differs without a word', async () => {
    const addresses = await freeAddresses(['a', 'b', 'later']);
    const storage = memoryStorage();
    const [a, b, later] = ['a', 'b', 'later'].map((id) => addresses.get(id) as string) as [string, string, string];
    const first = await start({ id: 'a', members: { a, b }, storage });
    await first.close();
    const events: string[] = [];
    const all = { id: 'a', protocol: raft({ timing }), transport: tcpTransport(), machine: machine(), storage };
    open.push(
      (await createReplica({ ...all, members: { a: later, b }, onEvent: ({ kind }) => events.push(kind) })) as Replica,
    );
    const taken = createServer();
    const listening = new Promise((resolve, reject) => {
      taken.once('error', reject);
      taken.listen(Number(later.split(':')[1]), '127.0.0.1', () => resolve(undefined));
    });
    await expect(listening).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(events).not.toContain('optionIgnored');
  });
});

describe('a first start that waits', () => {
  it('says who is missing, and so do the errors of its callers', async () => {
    const network = memoryNetwork();
    const options = { members: { a: 'x', b: 'y', c: 'z' }, protocol: raft({ timing }), requestTimeout: 20 };
    const of = async (id: string, members = options.members) => {
      const replica = await createReplica({
        ...options,
        id,
        members,
        machine: machine(),
        storage: memoryStorage(),
        transport: network.transport(),
      });
      open.push(replica as Replica);
      return replica;
    };
    const a = await of('a');
    const missing = { needed: 2, confirmed: [], noted: [], missing: ['b', 'c'], refused: [] };
    expect(a.status()).toMatchObject({ phase: 'establishing', firstStart: missing, connected: [] });
    const told = expect.stringMatching(/needs 2 of the 2 other members; b, c did not answer/) as string;
    await expect(a.propose(undefined)).rejects.toMatchObject({ code: 'ERR_NO_LEADER', message: told });
    await expect(a.read(() => 1)).rejects.toMatchObject({ code: 'ERR_TIMEOUT', message: told });
    const abort = new AbortController();
    const ready = a.ready({ signal: abort.signal });
    abort.abort();
    await expect(ready).rejects.toMatchObject({ code: 'ERR_TIMEOUT', message: told });
    // One was given other members: their cluster is another one.
    const refused = new Promise<void>((resolve) => {
      a.on('transport', ({ event, peer }) => event === 'refused' && peer === 'b' && resolve());
    });
    await of('b', { a: 'x', b: 'y', c: 'w' });
    await refused;
    await expect
      .poll(() => a.status().firstStart?.refused)
      .toEqual([{ peer: 'b', reason: expect.stringMatching(/another cluster/) as string }]);
    expect(a.status().connected).toEqual([]);
  });
});
