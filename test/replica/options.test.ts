import { describe, expect, it } from 'vitest';
import {
  ConsensusError,
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type ReplicaOptions,
} from 'quorate';

const machine = { apply: (): number => 1, snapshot: (): number => 1, restore: (): void => undefined };

function options(change: Record<string, unknown> = {}): ReplicaOptions<typeof machine> {
  return {
    id: 'a',
    members: { a: 'x', b: 'y', c: 'z' },
    protocol: raft(),
    transport: memoryNetwork().transport(),
    storage: memoryStorage(),
    machine,
    ...change,
  } as ReplicaOptions<typeof machine>;
}

/** Each: what is wrong, and what the error must name. */
const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ id: '' }, /^id: expected/],
  [{ id: 'two words' }, /^id: expected/],
  [{ id: 'd' }, /^members: expected d itself/],
  [{ members: null }, /^members: expected an object/],
  [{ members: ['a'] }, /^members: expected an object/],
  [{ members: { a: 'x', b: 'x' } }, /^members: the address "x" stands there twice/],
  [{ members: { a: '' } }, /^members: the address of a/],
  [{ members: { a: 5 } }, /^members: the address of a/],
  [{ members: { a: { address: 'a', priority: -1 } } }, /^members\.a\.priority: expected a whole number from 0/],
  [{ members: { a: { address: 'x' }, b: 'x' } }, /^members: the address "x" stands there twice/],
  [{ members: { a: { priority: 1 } } }, /^members: the address of a/],
  [{ members: Object.fromEntries('abcdefgh'.split('').map((id) => [id, `at-${id}`])) }, /^members: expected 1 to 7/],
  [{ protocol: {} }, /^protocol: expected raft\(\) or multipaxos\(\)/],
  [{ protocol: raft }, /^protocol: expected raft\(\) or multipaxos\(\)/],
  [{ transport: undefined }, /^transport: expected/],
  [{ storage: { open: (): void => undefined } }, /^storage: expected/],
  [{ machine: { apply: (): void => undefined } }, /^machine: expected a state machine \(it has no snapshot/],
  [{ codec: {} }, /^codec: expected/],
  [{ resultCodec: 1 }, /^resultCodec: expected/],
  [{ cluster: '' }, /^cluster: expected/],
  [{ bootstrap: 1 }, /^bootstrap: expected/],
  [{ requestTimeout: 0 }, /^requestTimeout: expected a whole number from 1/],
  [{ requestTimeout: 1.5 }, /^requestTimeout: expected/],
  [{ maxWaiting: -1 }, /^maxWaiting: expected/],
  [{ changesBytes: -1 }, /^changesBytes: expected a whole number from 0/],
  [{ changesBytes: 2 ** 32 }, /^changesBytes: expected/],
  [{ changesBytes: '16 MiB' }, /^changesBytes: expected .*, got "16 MiB"/],
  [{ seed: 'x' }, /^seed: expected/],
  [{ onEvent: 1 }, /^onEvent: expected a function/],
  [{ constants: { alpha: 0 } }, /alpha: expected/],
  [{ constants: { leaseReads: -1 } }, /leaseReads: expected/],
  [
    { constants: { leaseReads: 299 } },
    /^constants.leaseReads: expected 0, or milliseconds from twice timing.heartbeat/,
  ],
  [{ constants: { leaseReads: 1001 } }, /^constants.leaseReads: .* to timing.electionMin \(1000\), got 1001$/],
  [{ constants: { beta: 1 } }, /^constants.beta: no such constant/],
  ...[5, null, '', [], true].map((constants) => [{ constants }, /^constants: expected an object/] as const),
  ...['id', 'cluster', 'bootstrap', 'requestTimeout', 'seed'].map(
    (name) =>
      [{ [name]: Object.create(null) as unknown }, new RegExp(`^${name}: expected .* a value without text`)] as const,
  ),
  ...['alpha', 'onApplyError'].map(
    (name) => [{ constants: { [name]: Object.create(null) as unknown } }, new RegExp(`^${name}: expected`)] as const,
  ),
  [{ constants: { onApplyError: 'ignore' } }, /onApplyError: expected/],
  [{ port: 7001 }, /^port: no such option/],
];

describe('options', () => {
  it.each(wrong)('%o is refused at once, by name', (change, message) => {
    const act = (): unknown => createReplica(options(change));
    expect(act).toThrow(ConsensusError);
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', outcome: 'none' }));
  });

  it('what their getters throw is typed', () => {
    const members = Object.defineProperty({}, 'a', {
      enumerable: true,
      get: () => {
        throw new Error('no address');
      },
    });
    const typed = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: 'no address' });
    expect(() => createReplica(options({ members }))).toThrow(typed);
  });

  it.each([raft, multipaxos])('settings of a protocol are refused by name, or left out if undefined', (protocol) => {
    expect(() => protocol({ timing: { heartbeat: 0 } })).toThrow(/timing.heartbeat: expected/);
    expect(() => protocol({ timing: { electionMin: 100 } })).toThrow(/timing.electionMin: expected at least twice/);
    expect(() => protocol({ timing: { electionMin: 3000 } })).toThrow(/timing.electionMax: expected at least/);
    expect(() => protocol({ limits: { tailEntries: -1 } })).toThrow(/limits.tailEntries: expected/);
    expect(() => protocol({ limits: { tail: 1 } as object })).toThrow(/limits.tail: no such setting/);
    expect(() => protocol({ pace: 1 } as object)).toThrow(/pace: no such setting/);
    expect(() => protocol({ electionMin: 1 } as object)).toThrow(/it is timing\.electionMin$/);
    expect(() => protocol({ limits: { heartbeat: 1 } as object })).toThrow(/it is timing\.heartbeat$/);
    const heartbeat = Object.create(null) as never;
    expect(() => protocol({ timing: { heartbeat } })).toThrow(
      /^timing.heartbeat: expected .*, got a value without text$/,
    );
    for (const misuse of [{ pace: 1 }, { timing: 5 }, { timing: null }, null, 7, { limits: { tail: 1 } }]) {
      expect(() => protocol(misuse as object)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    }
    expect(protocol({ timing: undefined, limits: { tailEntries: undefined } })).toEqual(protocol());
  });

  it('refuses requests that can never work, at once', async () => {
    const alone = { members: { a: 'x' }, bootstrap: true, constants: { maxEntryBytes: 100 } };
    const replica = (await createReplica(options(alone))) as unknown as {
      propose(...args: unknown[]): Promise<unknown>;
      read(...args: unknown[]): Promise<unknown>;
      on(...args: unknown[]): unknown;
      close(): Promise<void>;
    };
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const command of [cycle, () => 1, Symbol('x'), 10n]) {
      expect(() => replica.propose(command)).toThrow(expect.objectContaining({ code: 'ERR_NOT_SERIALIZABLE' }));
    }
    expect(() => replica.propose('x'.repeat(100))).toThrow(expect.objectContaining({ code: 'ERR_TOO_LARGE' }));
    expect(() => replica.propose(1, { timeout: 5 })).toThrow(/^timeout: no such option/);
    expect(() => replica.propose(1, { signal: 5 })).toThrow(/^signal: expected an AbortSignal/);
    expect(() => replica.read(5)).toThrow(/^read: expected a function/);
    expect(() => replica.read(() => 1, { consistency: { message: 'linearizable' } })).toThrow(
      /, got \[object Object\]$/,
    );
    for (const consistency of ['strong', Object.create(null), null, 5]) {
      expect(() => replica.read(() => 1, { consistency })).toThrow(/^consistency: expected/);
    }
    expect(() => replica.on(Object.create(null), () => 1)).toThrow(/^on: expected/);
    expect(() => replica.read(() => 1, { minIndex: 1 })).toThrow(/^minIndex: expected/);
    expect(() => replica.read(() => 1, { maxAge: 1 })).toThrow(/^maxAge: expected/);
    expect(() => replica.read(() => 1, { consistency: 'stale', maxAge: -1 })).toThrow(/^maxAge: expected/);
    expect(await replica.propose('x'.repeat(98))).toBe(1);
    await replica.close();
  });

  it('a cluster of one starts with bootstrap only, and then without', async () => {
    const alone = { members: { a: 'x' } };
    const storage = memoryStorage();
    await expect(createReplica(options({ ...alone, storage }))).rejects.toThrow(/^bootstrap: expected true/);
    const first = await createReplica(options({ ...alone, storage, bootstrap: true }));
    await first.propose(undefined as never);
    const { cluster, incarnation } = first.status();
    expect(cluster.endsWith(incarnation.toString(16))).toBe(true);
    await first.close();
    const second = await createReplica(options({ ...alone, storage }));
    expect(second.status().incarnation).toBe(incarnation);
    await second.close();
  });

  it('data of another replica, cluster or protocol is refused, and left as it is', async () => {
    const storage = memoryStorage();
    await (await createReplica(options({ storage, cluster: 'one' }))).close();
    const refused = { code: 'ERR_STORAGE_MISMATCH', outcome: 'none' };
    await expect(createReplica(options({ storage, id: 'b' }))).rejects.toMatchObject(refused);
    await expect(createReplica(options({ storage, cluster: 'two' }))).rejects.toMatchObject(refused);
    await expect(createReplica(options({ storage, protocol: multipaxos() }))).rejects.toMatchObject(refused);
    await (await createReplica(options({ storage, cluster: 'one' }))).close();
  });

  it('the stored configuration rules over differing options, with an event', async () => {
    const storage = memoryStorage();
    await (await createReplica(options({ storage }))).close();
    const events: unknown[] = [];
    const members = { a: 'x', b: 'y', d: 'z' };
    const replica = await createReplica(options({ storage, members, onEvent: (event: unknown) => events.push(event) }));
    expect(events).toContainEqual(expect.objectContaining({ kind: 'optionIgnored', option: 'members' }));
    expect(replica.status().members.map((member) => member.id)).toEqual(['a', 'b', 'c']);
    await replica.close();
  });

  it('a storage that is open is refused a second time, and nothing stays open', async () => {
    const storage = memoryStorage();
    const replica = await createReplica(options({ storage }));
    await expect(createReplica(options({ storage }))).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    await replica.close();
  });
});
