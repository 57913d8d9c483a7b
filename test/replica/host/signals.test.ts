/** A signal of any make: whatever its code does, and whenever it aborts, every request ends once and takes effect once. */

import { afterEach, describe, expect, it } from 'vitest';
import {
  ConsensusError,
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type Replica,
  type ReplicaOptions,
} from 'quorate';
import { ReadCaller } from '../../../src/replica/host/callers.js';
import { Waiters } from '../../../src/replica/host/waiters.js';

const timing = { heartbeat: 30, electionMin: 100, electionMax: 200 };

class Machine {
  readonly log: unknown[] = [];
  validate: () => void = () => undefined;

  apply(command: unknown): number {
    return this.log.push(command);
  }

  snapshot(): unknown {
    return this.log;
  }

  restore(): void {}
}

let open: Replica<Machine>[] = [];

afterEach(async () => {
  for (const replica of open) await replica.close();
  open = [];
});

async function start(change: Partial<ReplicaOptions<Machine>> = {}): Promise<Replica<Machine>> {
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    ...('members' in change ? {} : { bootstrap: true }),
    protocol: raft({ timing }),
    transport: memoryNetwork().transport(),
    storage: memoryStorage(),
    machine: new Machine(),
    ...change,
  });
  open.push(replica);
  return replica;
}

/** A member whose peer is not there, so that every request waits. */
const startAlone = (change: Partial<ReplicaOptions<Machine>> = {}): Promise<Replica<Machine>> =>
  start({ members: { a: 'a', b: 'b' }, ...change });

interface Parts {
  readonly added?: (abort: () => void) => unknown;
  readonly removed?: () => unknown;
  readonly reason?: () => unknown;
}

/** A signal that wraps another one, and does something of its own when it is listened to. */
function signalOf({ added, removed, reason }: Parts = {}): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  const { signal } = controller;
  const abort = (): void => controller.abort('enough');
  const wrapped = {
    get aborted() {
      return signal.aborted;
    },
    get reason(): unknown {
      return reason === undefined ? (signal.reason as unknown) : reason();
    },
    addEventListener(kind: 'abort', listener: () => void) {
      signal.addEventListener(kind, listener);
      return added?.(abort);
    },
    removeEventListener(kind: 'abort', listener: () => void) {
      signal.removeEventListener(kind, listener);
      return removed?.();
    },
  };
  return { signal: wrapped as unknown as AbortSignal, abort };
}

/** Every request that takes a signal, and waits. */
const REQUESTS: readonly (readonly [what: string, ask: (of: Replica<Machine>, s: AbortSignal) => Promise<unknown>])[] =
  [
    ['propose', (replica, signal) => replica.propose(1, { signal })],
    ['proposeAll', (replica, signal) => Promise.all(replica.proposeAll([1, 2], { signal }))],
    ['a linearizable read', (replica, signal) => replica.read(() => 1, { signal })],
    ['a stale read', (replica, signal) => replica.read(() => 1, { signal, consistency: 'stale', minIndex: 1000 })],
    ['ready', (replica, signal) => replica.ready({ signal })],
  ];

async function errorOf(waiting: Promise<unknown>): Promise<ConsensusError> {
  const error: unknown = await waiting.then(
    () => new Error('it was granted'),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ConsensusError);
  return error as ConsensusError;
}

describe.each([raft, multipaxos])('a signal that makes requests of its own, over %o', (protocol) => {
  it('doubles no command and loses no answer, also where the session is not open yet', async () => {
    const machine = new Machine();
    const replica = await start({ machine, protocol: protocol({ timing }) });
    const inner: Promise<unknown>[] = [];
    const ask = (round: string): Promise<unknown> => {
      const { signal } = signalOf({ added: () => void inner.push(replica.propose(`inner ${round}`)) });
      return replica.propose(`outer ${round}`, { signal });
    };
    for (const round of ['early', 'late']) {
      const many = Array.from({ length: 5 }, (_, at) => replica.propose(`${round} ${at}`));
      const outer = ask(round);
      const results = await Promise.all([...many, outer, ...inner.splice(0)]);
      const commands = [...many.map((_, at) => `${round} ${at}`), `outer ${round}`, `inner ${round}`];
      expect(results.map((place) => machine.log[(place as number) - 1])).toEqual(commands);
    }
    expect(await replica.read(({ log }) => log.length)).toBe(14);
    expect(new Set(machine.log).size).toBe(14);
  });

  it('gets every read of it served', async () => {
    const replica = await start({ protocol: protocol({ timing }) });
    const inner: Promise<unknown>[] = [];
    const { signal } = signalOf({ added: () => void inner.push(replica.read(() => 'inner')) });
    const outer = replica.read(() => 'outer', { signal });
    expect(await Promise.all([outer, ...inner])).toEqual(['outer', 'inner']);
  });
});

describe('a request whose signal aborts while it is made', () => {
  it.each(REQUESTS)('%s: by the signal, when it is listened to', async (_, ask) => {
    const replica = await startAlone();
    const { signal } = signalOf({ added: (abort) => abort() });
    const error = await errorOf(ask(replica, signal));
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none', retryable: true, cause: 'enough' });
  });

  it.each(REQUESTS)('%s: by the signal, which tells its listener and says nothing itself', async (_, ask) => {
    const replica = await startAlone();
    const signal = {
      aborted: false,
      reason: 'mine',
      addEventListener: (_: 'abort', listener: () => void) => listener(),
      removeEventListener: () => undefined,
    };
    const error = await errorOf(ask(replica, signal as unknown as AbortSignal));
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none', cause: 'mine' });
  });

  it.each(REQUESTS.slice(0, 2))('%s: by validate, or by the codec', async (_, ask) => {
    for (const by of ['validate', 'encode']) {
      const controller = new AbortController();
      const machine = new Machine();
      const abort = (): void => controller.abort('now');
      if (by === 'validate') machine.validate = abort;
      const encode = (): Uint8Array => (abort(), new Uint8Array(1));
      const replica = await startAlone({ machine, ...(by === 'encode' ? { codec: { encode, decode: () => 1 } } : {}) });
      const error = await errorOf(ask(replica, controller.signal));
      expect(error).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none', cause: 'now' });
    }
  });

  it('by validate, although others wait for the same signal', async () => {
    const machine = new Machine();
    const replica = await startAlone({ machine });
    const controller = new AbortController();
    const { signal } = controller;
    const first = errorOf(replica.propose(1, { signal }));
    machine.validate = () => controller.abort();
    const second = errorOf(replica.propose(2, { signal }));
    expect((await first).code).toBe('ERR_TIMEOUT');
    expect((await second).code).toBe('ERR_TIMEOUT');
    expect(replica.status().waiting).toBe(0);
  });

  it('by a clock that is read for the request', async () => {
    const { systemClock } = await import('../../../src/replica/clock.js');
    const clock = { ...systemClock() };
    const { now } = clock;
    const replica = await startAlone({ clock });
    for (const [, ask] of REQUESTS) {
      const controller = new AbortController();
      clock.now = () => (controller.abort(), now());
      const error = errorOf(ask(replica, controller.signal));
      expect((await error).code).toBe('ERR_TIMEOUT');
      clock.now = now;
    }
  });
});

describe('a signal whose reason throws', () => {
  const reason = (): never => {
    throw new Error('no reason');
  };

  it.each(REQUESTS)('%s: it had aborted before, or aborts later', async (_, ask) => {
    const replica = await startAlone();
    const before = signalOf({ reason });
    before.abort();
    expect((await errorOf(ask(replica, before.signal))).code).toBe('ERR_TIMEOUT');
    const later = signalOf({ reason });
    const waiting = errorOf(ask(replica, later.signal));
    later.abort();
    expect((await waiting).code).toBe('ERR_TIMEOUT');
  });
});

describe('a signal whose methods are async functions', () => {
  const later = (): unknown => Promise.reject(new Error('too late'));

  it.each(REQUESTS)('%s: their rejections harm nobody', async (_, ask) => {
    const replica = await startAlone();
    const { signal, abort } = signalOf({ added: later, removed: later });
    const waiting = errorOf(ask(replica, signal));
    abort();
    expect((await waiting).code).toBe('ERR_TIMEOUT');
  });
});

it('a signal that is used again while it is listened to is left alone when its requests have ended', () => {
  const waiters = new Waiters(() => undefined);
  const listeners = new Set<unknown>();
  const nothing = (): void => undefined;
  const calls: (number | null)[] = [];
  const signal = {
    aborted: false,
    reason: undefined,
    addEventListener(_: 'abort', listener: () => void) {
      listeners.add(listener);
      if (listeners.size < 3) calls.push(waiters.add(new ReadCaller(signal, nothing, nothing)));
    },
    removeEventListener: (_: 'abort', listener: () => void) => void listeners.delete(listener),
  };
  calls.push(waiters.add(new ReadCaller(signal, nothing, nothing)));
  expect(calls).toEqual([1, 2, 3]);
  expect(listeners.size).toBe(3);
  waiters.failAll({ code: 'ERR_CLOSED', outcome: 'none', message: 'closed' });
  expect(listeners.size).toBe(0);
});
