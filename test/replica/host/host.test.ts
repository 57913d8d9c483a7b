import { describe, expect, it } from 'vitest';
import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  raft,
  type Replica,
  type ReplicaOptions,
  type Storage,
  type TransportHandler,
} from 'quorate';
import { aloneOptions, timing } from './alone.js';

/** Keeps the very bytes it was given, and gives its own away. */
class Keeper {
  readonly kept: Uint8Array[] = [];
  apply(command: Uint8Array): Uint8Array {
    this.kept.push(command);
    return command;
  }
  snapshot(): number {
    return this.kept.length;
  }
  restore(): void {}
}

const bytes = { encode: (value: Uint8Array) => value, decode: (value: Uint8Array) => value };

function alone(change: Partial<ReplicaOptions<Keeper>> = {}): Promise<Replica<Keeper>> {
  return createReplica(aloneOptions({ machine: new Keeper(), codec: bytes, resultCodec: bytes, ...change }));
}

describe('the host around the driver', () => {
  it('a result that cannot be decoded fails its caller alone', async () => {
    let broken = true;
    const resultCodec = {
      encode: bytes.encode,
      decode: (value: Uint8Array) => {
        if (broken) throw new Error('no such thing');
        return value;
      },
    };
    const replica = await alone({ resultCodec });
    const failure = {
      code: 'ERR_RESULT_NOT_SERIALIZABLE',
      outcome: 'unknown',
      message: expect.stringContaining('no such thing'),
    };
    await expect(replica.propose(Uint8Array.of(1))).rejects.toMatchObject(failure);
    broken = false;
    expect(await replica.propose(Uint8Array.of(2))).toEqual(Uint8Array.of(2));
    await replica.close();
  });

  it('bytes are copied on every way through a codec', async () => {
    const machine = new Keeper();
    const storage = memoryStorage();
    const replica = await alone({ machine, storage });
    const given = Uint8Array.of(1, 2, 3);
    const proposed = replica.propose(given);
    given.fill(9);
    const result = await proposed;
    expect(result).toEqual(Uint8Array.of(1, 2, 3));
    result.fill(8);
    expect(machine.kept[0]).toEqual(Uint8Array.of(1, 2, 3));
    machine.kept[0]?.fill(7);
    await replica.close();
    const again = new Keeper();
    const second = await alone({ machine: again, storage });
    await second.ready();
    expect(await second.read(({ kept }) => kept[0])).toEqual(Uint8Array.of(1, 2, 3));
    await second.close();
  });

  it('a codec that gives no bytes fails the proposal at once', async () => {
    const codec = { encode: () => 'text' as unknown as Uint8Array, decode: bytes.decode };
    const replica = await alone({ codec });
    expect(() => replica.propose(Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'ERR_NOT_SERIALIZABLE' }));
    await replica.close();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('gone');
      },
    ],
    ['rejects with no error', () => Promise.reject('gone')],
  ])('a storage that %s halts the replica, and every request ends', async (_, fail) => {
    const storage: Storage = memoryStorage();
    const replica = await alone({ storage });
    await replica.propose(Uint8Array.of(1));
    storage.write = fail as Storage['write'];
    await expect(replica.propose(Uint8Array.of(2))).rejects.toMatchObject({
      code: 'ERR_STORAGE_FAILED',
      outcome: 'unknown',
    });
    expect(replica.status()).toMatchObject({ phase: 'halted', fault: 'gone' });
    const later = {
      code: 'ERR_STORAGE_FAILED',
      outcome: 'none',
      retryable: false,
      message: expect.stringContaining('gone') as string,
    };
    await expect(replica.propose(Uint8Array.of(3))).rejects.toMatchObject(later);
    await expect(replica.read((machine) => machine.kept)).rejects.toMatchObject(later);
    await expect(replica.read((machine) => machine.kept, { consistency: 'stale' })).rejects.toMatchObject(later);
    await expect(replica.ready()).rejects.toMatchObject(later);
    await replica.close();
    expect(() => replica.propose(Uint8Array.of(4))).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('what the transport says of a peer reaches the core as it is: a lost connection, and a peer out of reach', async () => {
    const heard: object[] = [];
    const chosen = raft({ timing });
    const step: typeof chosen.protocol.step = (state, inbound) => {
      if (inbound.kind === 'disconnected' || inbound.kind === 'unreachable') heard.push({ ...inbound, now: 0 });
      return chosen.protocol.step(state, inbound);
    };
    const transport = memoryNetwork().transport();
    let handler: TransportHandler | undefined;
    const { start } = transport;
    transport.start = (identity, self, peers, given) => start.call(transport, identity, self, peers, (handler = given));
    const replica = await alone({ protocol: { ...chosen, protocol: { ...chosen.protocol, step } }, transport });
    handler?.onDisconnected('b', 'bulk');
    handler?.onDisconnected('b', 'control');
    handler?.onUnreachable('b');
    expect(heard).toEqual([
      { kind: 'disconnected', now: 0, peer: 'b', lane: 'bulk' },
      { kind: 'disconnected', now: 0, peer: 'b', lane: 'control' },
      { kind: 'unreachable', now: 0, peer: 'b' },
    ]);
    await replica.close();
  });

  it('status says what the transport holds for each peer, and nothing if it cannot tell', async () => {
    const transport = memoryNetwork().transport();
    const replica = await alone({ transport });
    expect(replica.status().unsent).toEqual([]);
    transport.unsent = () => [{ peer: 'b', bytes: 7 }];
    expect(replica.status().unsent).toEqual([{ peer: 'b', bytes: 7 }]);
    delete (transport as { unsent?: unknown }).unsent;
    Object.defineProperty(transport, 'unsent', { value: undefined });
    expect(replica.status().unsent).toBeNull();
    await replica.close();
  });

  it('ready rejects when the replica is closed from within a callback', async () => {
    const lonely = { members: { a: 'a', b: 'b' }, bootstrap: false };
    let closed: Promise<void> | undefined;
    const network = memoryNetwork();
    const replica = await alone({ ...lonely, transport: network.transport() });
    const waiting = replica.ready();
    const read = replica.read(
      () => {
        closed = replica.close();
      },
      { consistency: 'stale' },
    );
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await read;
    await closed;
  });

  it('one signal is listened to once for thousands of waits, ends them all, and is let go', async () => {
    const replica = await alone({ members: { a: 'a', b: 'b' }, bootstrap: false });
    const controller = new AbortController();
    const { signal } = controller;
    let listening = 0;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...given: Parameters<typeof add>) => (listening++, add(...given));
    signal.removeEventListener = (...given: Parameters<typeof remove>) => (listening--, remove(...given));
    const waiting = Array.from({ length: 10_000 }, () => replica.propose(Uint8Array.of(1), { signal }));
    expect(listening).toBe(1);
    const ended = Promise.allSettled(waiting);
    controller.abort();
    for (const each of await ended) expect(each.status).toBe('rejected');
    expect(listening).toBe(0);
    await replica.close();
  });

  it('a start that fails tells why, though its storage cannot even be closed, and leaves its transport alone', async () => {
    const storage = memoryStorage();
    storage.open = () => Promise.reject(new Error('cannot open'));
    let closed = false;
    storage.close = async () => {
      closed = true;
      throw new Error('cannot close');
    };
    const transport = memoryNetwork().transport();
    await expect(alone({ storage, transport })).rejects.toThrow('cannot open');
    expect(closed).toBe(true);
    const replica = await alone({ transport });
    expect(await replica.propose(Uint8Array.of(1))).toEqual(Uint8Array.of(1));
    await replica.close();
  });

  it.each([
    ['its storage', false, { code: 'ERR_TRANSPORT_FAILED' }],
    ['the storage of the first', true, { code: 'ERR_STORAGE_LOCKED' }],
  ])('a second replica on a transport in use, with %s, is refused, and the first goes on', async (_, same, refusal) => {
    const network = memoryNetwork();
    const protocol = raft({ timing });
    const base = { members: { a: 'a', b: 'b' }, bootstrap: false, protocol };
    const transport = network.transport();
    const storage = memoryStorage();
    const [a, b] = await Promise.all([
      alone({ ...base, transport, storage }),
      alone({ ...base, id: 'b', transport: network.transport() }),
    ]);
    expect(await a.propose(Uint8Array.of(1))).toEqual(Uint8Array.of(1));
    const second = memoryStorage();
    await expect(alone({ ...base, transport, storage: same ? storage : second })).rejects.toMatchObject(refusal);
    // What only the second had is let go of.
    if (!same) await (await second.open(), second.close());
    expect(await b.propose(Uint8Array.of(2))).toEqual(Uint8Array.of(2));
    expect(await a.read((machine) => machine.kept.length)).toBe(2);
    await Promise.all([a.close(), b.close()]);
  });
});
