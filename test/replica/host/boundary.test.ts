/** Whatever a plug-in throws, in whatever form, halts the replica with a code, and every request ends with it. */

import { describe, expect, it } from 'vitest';
import {
  CommandRejected,
  ConsensusError,
  createReplica,
  memoryNetwork,
  memoryStorage,
  type Clock,
  type Replica,
  type ReplicaEvent,
  type ReplicaOptions,
  type Storage,
  type Transport,
} from 'quorate';
import { systemClock } from '../../../src/replica/clock.js';
import { aloneOptions } from './alone.js';

/** Everything that can be thrown and is hard to handle. */
const EVIL: readonly (readonly [what: string, make: () => unknown])[] = [
  ['an error', () => new Error('the very error')],
  ['an object without a prototype', () => Object.create(null)],
  ['null', () => null],
  ['undefined', () => undefined],
  ['a text', () => 'text'],
  ['a symbol', () => Symbol('odd')],
  ['an object whose message throws', () => Object.defineProperty({}, 'message', { get: () => fail('message') })],
  ['an object whose toString throws', () => ({ toString: () => fail('toString') })],
  ['a Proxy that throws at everything', () => evilProxy()],
  ['a revoked Proxy', () => revoked()],
  ['an error of a request', () => new ConsensusError('of mine', { code: 'ERR_TIMEOUT', retryable: true })],
  ['an error of a call that was closed', () => new ConsensusError('of mine', { code: 'ERR_CLOSED' })],
];

function fail(what: unknown): never {
  throw what;
}

function evilProxy(): unknown {
  const trap = (): never => fail('trapped');
  return new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap, getOwnPropertyDescriptor: trap });
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

interface Machine {
  apply(command: unknown): unknown;
  validate?(command: unknown): void;
  snapshot(): number;
  restore(): void;
}

const machineOf = (apply: Machine['apply'] = () => 1): Machine => ({
  apply,
  snapshot: () => 0,
  restore: () => undefined,
});

type Options = ReplicaOptions<Machine>;

const optionsOf = (change: Partial<Options> = {}): Options => aloneOptions({ machine: machineOf(), ...change });

function isCause(error: unknown, thrown: unknown): boolean {
  return thrown === undefined || Object.is((error as ConsensusError).cause, thrown);
}

/** The replica has halted with this code: what waits, what comes and what is asked all say so. */
async function expectHalted(
  replica: Replica<Machine>,
  waiting: Promise<unknown>,
  code: string,
  cause: unknown,
): Promise<void> {
  const error: unknown = await waiting.catch((caught: unknown) => caught);
  expect(error instanceof ConsensusError).toBe(true);
  expect((error as ConsensusError).code).toBe(code);
  expect(isCause(error, cause)).toBe(true);
  expect(replica.status().phase).toBe('halted');
  expect(typeof replica.status().fault).toBe('string');
  for (const ask of [() => replica.propose(1), () => replica.read(() => 1), () => replica.ready()]) {
    const refusal: unknown = await ask().catch((caught: unknown) => caught);
    expect(refusal instanceof ConsensusError).toBe(true);
    expect((refusal as ConsensusError).code).toBe(code);
    expect((refusal as ConsensusError).outcome).toBe('none');
    expect(isCause(refusal, cause)).toBe(true);
  }
  await replica.close();
}

describe.each(EVIL)('%s thrown', (_, make) => {
  it('by the machine is ERR_APPLY_FAILED, and the cause of the callers’ errors and of the fault event', async () => {
    const thrown = make();
    const faults: ReplicaEvent[] = [];
    const onEvent = (event: ReplicaEvent): void => void (event.kind === 'fault' && faults.push(event));
    const replica = await createReplica(optionsOf({ machine: machineOf(() => fail(thrown)), onEvent }));
    await expectHalted(replica, replica.propose(1), 'ERR_APPLY_FAILED', thrown);
    expect(faults.map((event) => event.kind === 'fault' && event.code)).toEqual(['ERR_APPLY_FAILED']);
    expect(faults.map((event) => event.kind === 'fault' && Object.is(event.cause, thrown))).toEqual([true]);
  });

  it('by the machine is a result with onApplyError', async () => {
    const machine = machineOf(() => fail(make()));
    const replica = await createReplica(optionsOf({ machine, constants: { onApplyError: 'reject' } }));
    const error: unknown = await replica.propose(1).catch((caught: unknown) => caught);
    expect(error instanceof CommandRejected && typeof error.reason).toBe('string');
    expect(replica.status().phase).toBe('running');
    await replica.close();
  });

  it('by a codec that decodes a command is ERR_NOT_SERIALIZABLE', async () => {
    const thrown = make();
    const codec = { encode: () => new Uint8Array(1), decode: () => fail(thrown) };
    const replica = await createReplica(optionsOf({ codec }));
    await expectHalted(replica, replica.propose(1), 'ERR_NOT_SERIALIZABLE', thrown);
  });

  it('by a codec that encodes a command fails the proposal at once', async () => {
    const thrown = make();
    const replica = await createReplica(optionsOf({ codec: { encode: () => fail(thrown), decode: () => 1 } }));
    expect(() => replica.propose(1)).toThrow(ConsensusError);
    await replica.close();
  });

  it('by a codec that encodes a result is ERR_RESULT_NOT_SERIALIZABLE', async () => {
    const thrown = make();
    const resultCodec = { encode: () => fail(thrown), decode: () => 1 };
    const replica = await createReplica(optionsOf({ machine: machineOf(() => 'text'), resultCodec }));
    await expectHalted(replica, replica.propose(1), 'ERR_RESULT_NOT_SERIALIZABLE', thrown);
  });

  it('by a codec that encodes a reason is ERR_RESULT_NOT_SERIALIZABLE', async () => {
    const thrown = make();
    const resultCodec = { encode: () => fail(thrown), decode: () => 1 };
    const machine = machineOf(() => fail(new CommandRejected('no')));
    const replica = await createReplica(optionsOf({ machine, resultCodec }));
    await expectHalted(replica, replica.propose(1), 'ERR_RESULT_NOT_SERIALIZABLE', thrown);
  });

  it('by a codec that decodes a result fails its caller alone', async () => {
    const thrown = make();
    const resultCodec = { encode: () => new Uint8Array(1), decode: () => fail(thrown) };
    const replica = await createReplica(optionsOf({ machine: machineOf(() => 'text'), resultCodec }));
    const error: unknown = await replica.propose(1).catch((caught: unknown) => caught);
    expect(error instanceof ConsensusError && error.code).toBe('ERR_RESULT_NOT_SERIALIZABLE');
    expect(Object.is((error as ConsensusError).cause, thrown)).toBe(true);
    expect(replica.status().phase).toBe('running');
    await replica.close();
  });

  it('by validate is ERR_COMMAND_REJECTED without effect, and nothing halts', async () => {
    const thrown = make();
    let applied = 0;
    const machine = {
      ...machineOf(() => ++applied),
      validate: (command: unknown) => void (command === 1 && fail(thrown)),
    };
    const replica = await createReplica(optionsOf({ machine }));
    const error: unknown = await replica.propose(1).catch((caught: unknown) => caught);
    expect(error instanceof CommandRejected && error.code).toBe('ERR_COMMAND_REJECTED');
    expect((error as CommandRejected).outcome).toBe('none');
    expect(Object.is((error as CommandRejected).cause, thrown)).toBe(true);
    expect(await replica.propose(2)).toBe(1);
    await replica.close();
  });

  it.each(['throws', 'rejects'])('by a storage that %s in write is ERR_STORAGE_FAILED', async (how) => {
    const thrown = make();
    const storage = memoryStorage();
    const replica = await createReplica(optionsOf({ storage }));
    await replica.propose(1);
    storage.write = how === 'throws' ? () => fail(thrown) : () => Promise.reject(thrown);
    await expectHalted(replica, replica.propose(1), 'ERR_STORAGE_FAILED', thrown);
  });

  it('by a transport that sends or takes members is ERR_TRANSPORT_FAILED', async () => {
    const thrown = make();
    const network = memoryNetwork();
    const members = { a: 'a', b: 'b' };
    const own = network.transport();
    const replicas = await Promise.all([
      createReplica(optionsOf({ members, transport: own })),
      createReplica(optionsOf({ id: 'b', members, transport: network.transport() })),
    ]);
    const [first, second] = replicas as [Replica<Machine>, Replica<Machine>];
    await first.propose(1);
    own.send = () => fail(thrown);
    await expectHalted(first, first.propose(1), 'ERR_TRANSPORT_FAILED', thrown);
    await second.close();
  });

  it.each(['now', 'soon', 'after'] as const)('by a clock in %s is ERR_CLOCK_FAILED', async (method) => {
    const thrown = make();
    const clock: Clock = { ...systemClock() };
    // The other member is not there, so timers are set again and again.
    const replica = await createReplica(optionsOf({ members: { a: 'a', b: 'b' }, clock }));
    const halted = new Promise<void>((resolve) => replica.on('fault', () => resolve()));
    const waiting = replica.propose(1);
    clock[method] = () => fail(thrown);
    waiting.catch(() => undefined);
    await halted;
    await expectHalted(replica, waiting, 'ERR_CLOCK_FAILED', thrown);
  });

  it.each(['open', 'write', 'close'] as const)(
    'by a storage in %s at the start makes a typed error',
    async (method) => {
      const thrown = make();
      const storage = memoryStorage();
      const broken = (how: () => never): Storage => ({
        open: () => storage.open(),
        write: (ops) => storage.write(ops),
        read: (from, to, maxBytes) => storage.read(from, to, maxBytes),
        close: () => storage.close(),
        ...(method === 'close' ? { open: () => fail(new Error('cannot open')) } : {}),
        [method]: how,
      });
      for (const how of [() => fail(thrown), () => Promise.reject(thrown) as never]) {
        const error: unknown = await createReplica(optionsOf({ storage: broken(how) })).catch(
          (caught: unknown) => caught,
        );
        expect(error instanceof ConsensusError && error.code).toBe('ERR_STORAGE_FAILED');
        if (method !== 'close') expect(Object.is((error as ConsensusError).cause, thrown)).toBe(true);
        await storage.close();
      }
    },
  );

  it('by a transport at its start makes a typed error', async () => {
    const thrown = make();
    const storage = memoryStorage();
    for (const how of [() => fail(thrown), () => Promise.reject(thrown)]) {
      const transport: Transport = Object.assign(memoryNetwork().transport(), { start: how, stop: how });
      const error: unknown = await createReplica(optionsOf({ storage, transport })).catch((caught: unknown) => caught);
      expect(error instanceof ConsensusError && error.code).toBe('ERR_TRANSPORT_FAILED');
      expect(Object.is((error as ConsensusError).cause, thrown)).toBe(true);
    }
    await (await createReplica(optionsOf({ storage }))).close();
  });

  it('by a reader, or by the source of randomness, harms nobody else', async () => {
    const thrown = make();
    const random = (): number => fail(thrown);
    const error: unknown = await createReplica(optionsOf({ random })).catch((caught: unknown) => caught);
    expect(error instanceof ConsensusError && error.code).toBe('ERR_INVALID_ARGUMENT');
    const replica = await createReplica(optionsOf());
    const caught = await replica.read(() => fail(thrown)).catch((each: unknown) => [each]);
    expect(Object.is(caught[0], thrown)).toBe(true);
    expect(await replica.propose(1)).toBe(1);
    await replica.close();
  });

  it('by a transport or a storage at the end makes a typed error', async () => {
    const thrown = make();
    const storage = memoryStorage();
    const transport = memoryNetwork().transport();
    const replica = await createReplica(optionsOf({ storage, transport }));
    const release = storage.close.bind(storage);
    storage.close = () => fail(thrown);
    const error: unknown = await replica.close().catch((caught: unknown) => caught);
    expect(error instanceof ConsensusError && error.code).toBe('ERR_STORAGE_FAILED');
    await release();
  });
});

describe('a plug-in that gives nothing', () => {
  it.each([undefined, null, 7, {}])('a storage whose write gives %o halts the replica', async (given) => {
    const storage = memoryStorage();
    const replica = await createReplica(optionsOf({ storage }));
    await replica.propose(1);
    storage.write = () => given as unknown as Promise<void>;
    await expect(replica.propose(1)).rejects.toMatchObject({
      code: 'ERR_STORAGE_FAILED',
      message: expect.stringContaining('storage.write gave no promise') as string,
    });
    expect(replica.status().phase).toBe('halted');
    await replica.close();
  });

  it.each([undefined, null, 7, {}])('a storage whose open gives %o is refused', async (given) => {
    for (const open of [() => given, () => Promise.resolve(given)]) {
      const storage = Object.assign(memoryStorage(), { open }) as unknown as Storage;
      await expect(createReplica(optionsOf({ storage }))).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED' });
    }
  });

  it.each([0, -1, NaN, 1.5, '1'])('a storage whose boot is %o is refused', async (boot) => {
    const storage = memoryStorage();
    const open: Storage['open'] = async () => ({ ...(await memoryStorage().open()), boot: boot as number });
    const opening = createReplica(optionsOf({ storage: Object.assign(storage, { open }) }));
    await expect(opening).rejects.toMatchObject({ code: 'ERR_STORAGE_FAILED', message: /boot of at least 1/ });
  });

  it('a transport whose limit cannot be read is refused', async () => {
    const thrown = new Error('no limit');
    const transport = Object.defineProperty(memoryNetwork().transport(), 'maxMessageBytes', {
      get: () => {
        throw thrown;
      },
    });
    const starting = createReplica(optionsOf({ transport }));
    await expect(starting).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED', cause: thrown });
  });

  it.each([undefined, 'now', Number.NaN, 1e300, -Infinity])('a clock that gives %o is refused', async (given) => {
    const clock: Clock = { ...systemClock(), now: () => given as unknown as number };
    await expect(createReplica(optionsOf({ clock }))).rejects.toMatchObject({ code: 'ERR_CLOCK_FAILED' });
  });

  it('a transport that gives a message without bytes halts the replica', async () => {
    const transport = memoryNetwork().transport();
    let deliver: ((bytes: unknown) => void) | undefined;
    const { start } = transport;
    transport.start = (identity, self, peers, handler) => {
      deliver = (bytes) => handler.onMessage('b', bytes as Uint8Array);
      return start.call(transport, identity, self, peers, handler);
    };
    const replica = await createReplica(optionsOf({ transport }));
    expect(() => deliver?.(undefined)).not.toThrow();
    expect(replica.status()).toMatchObject({ phase: 'halted', fault: expect.stringContaining('Uint8Array') as string });
    await replica.close();
  });

  it('a machine that validates asynchronously is told', async () => {
    const machine = { ...machineOf(), validate: () => Promise.reject(new Error('later')) };
    const replica = await createReplica(optionsOf({ machine: machine as unknown as Machine }));
    expect(() => replica.propose(1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    await replica.close();
  });

  it('a signal that throws fails its caller', async () => {
    const replica = await createReplica(optionsOf());
    const signal = { aborted: false, addEventListener: () => fail('no'), removeEventListener: () => fail('no') };
    const options = { signal: signal as unknown as AbortSignal };
    await expect(replica.propose(1, options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(replica.read(() => 1, options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(replica.ready(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    const half = { signal: { ...signal, addEventListener: () => undefined } as unknown as AbortSignal };
    expect(await replica.propose(1, half)).toBe(1);
    expect(replica.status().phase).toBe('running');
    await replica.close();
  });
});

it('commands before the one that failed are answered with their results', async () => {
  const machine = machineOf((command) => (command === 3 ? fail(new Error('three')) : command));
  const replica = await createReplica(optionsOf({ machine }));
  const outcomes = await Promise.allSettled(replica.proposeAll([1, 2, 3, 4]));
  expect(
    outcomes.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as ConsensusError).code)),
  ).toEqual([1, 2, 'ERR_APPLY_FAILED', 'ERR_APPLY_FAILED']);
  await replica.close();
});

describe('a plug-in that gives a promise where a value belongs', () => {
  const later = (): never => Promise.reject(new Error('too late')) as never;

  it('fails a proposal by a codec that encodes later, and leaves no rejection behind', async () => {
    const replica = await createReplica(optionsOf({ codec: { encode: later, decode: () => 1 } }));
    expect(() => replica.propose(1)).toThrow(/encode gave a promise/);
    await replica.close();
  });

  it('halts by a codec that decodes later, and leaves no rejection behind', async () => {
    const replica = await createReplica(optionsOf({ codec: { encode: () => new Uint8Array(1), decode: later } }));
    await expect(replica.propose(1)).rejects.toMatchObject({ code: 'ERR_NOT_SERIALIZABLE', outcome: 'unknown' });
    await replica.close();
  });

  it.each(['send', 'setPeers', 'answer', 'connected', 'unsent'] as const)(
    'halts by a transport whose %s answers later, and leaves no rejection behind',
    async (method) => {
      const network = memoryNetwork();
      const members = { a: 'a', b: 'b' };
      const transport = Object.assign(network.transport(), { [method]: later });
      const other = await createReplica(optionsOf({ id: 'b', members, transport: network.transport() }));
      const replica = createReplica(optionsOf({ members, transport }));
      const failure = { code: 'ERR_TRANSPORT_FAILED', message: expect.stringContaining('gave a promise') as string };
      if (method === 'answer') await expect(replica).rejects.toMatchObject(failure);
      else {
        const own = await replica;
        if (method === 'connected' || method === 'unsent') own.status();
        await expect(own.propose(1)).rejects.toMatchObject(failure);
        expect(own.status().phase).toBe('halted');
        await own.close();
      }
      await other.close();
    },
  );

  it('is refused as a transport that checks addresses, and leaves no rejection behind', async () => {
    const transport = Object.assign(memoryNetwork().transport(), { checkAddress: later });
    await expect((async () => createReplica(optionsOf({ transport })))()).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('checkAddress gave a promise') as string,
    });
  });

  it.each(['deliver', 'soon'] as const)('by %s of a memory network leaves no rejection behind', async (what) => {
    const soon = async (callback: () => void): Promise<void> => {
      setImmediate(callback);
      return later();
    };
    const network = memoryNetwork(what === 'soon' ? { soon } : { deliver: later });
    const members = { a: 'a', b: 'b' };
    const [a, b] = (await Promise.all(
      ['a', 'b'].map((id) => createReplica(optionsOf({ id, members, transport: network.transport() }))),
    )) as [Replica<Machine>, Replica<Machine>];
    if (what === 'soon') expect(await a.propose(1)).toBe(1);
    else await expect(a.propose(1)).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
    await a.close();
    await b.close();
  });

  it.each(['after', 'soon'] as const)(
    'halts by a clock that cancels what %s gave later, and leaves no rejection behind',
    async (method) => {
      const clock: Clock = { ...systemClock() };
      const own = clock[method] as (...args: unknown[]) => ReturnType<Clock['soon']>;
      let cancelled = 0;
      clock[method] = (...args: unknown[]) => {
        const given = own(...args);
        return { cancel: () => (cancelled++, given.cancel(), later()) };
      };
      const replica = await createReplica(optionsOf({ members: { a: 'a', b: 'b' }, clock, requestTimeout: 1 }));
      // A request with an early deadline replaces the timer.
      const error: unknown = await replica.propose(1).catch((caught: unknown) => caught);
      expect(error instanceof ConsensusError).toBe(true);
      await replica.close();
      if (method === 'after') {
        expect((error as ConsensusError).code).toBe('ERR_CLOCK_FAILED');
        expect(cancelled).toBeGreaterThan(0);
      }
    },
  );

  it('is refused as a source of random bits, and leaves no rejection behind', async () => {
    await expect((async () => createReplica(optionsOf({ random: later })))()).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
