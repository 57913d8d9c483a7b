/** A listener that throws harms neither the replica nor other listeners, and is told of. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, raft, type ReplicaEvent, type ReplicaOptions } from 'quorate';
import { Emitter } from '../../../src/replica/host/emitter.js';

const role = (term: number): ReplicaEvent => ({ kind: 'role', role: 'follower', term, leader: null });

let errors: unknown[][] = [];

beforeEach(() => {
  errors = [];
  vi.spyOn(console, 'error').mockImplementation((...what: unknown[]) => void errors.push(what));
});

afterEach(() => {
  vi.restoreAllMocks();
});

function opened(onEvent?: (event: ReplicaEvent) => void): Emitter {
  const emitter = new Emitter(onEvent);
  emitter.open();
  return emitter;
}

describe('a listener that throws', () => {
  it('becomes one event for each listener, and goes to the console after that', () => {
    const emitter = opened();
    const told: ReplicaEvent[] = [];
    const seen: number[] = [];
    const boom = new Error('boom');
    emitter.on('listenerFailed', (event) => told.push(event));
    for (let i = 0; i < 2; i++) {
      emitter.on('role', () => {
        throw boom;
      });
    }
    emitter.on('role', ({ term }) => seen.push(term));
    for (const term of [1, 2, 3]) emitter.emit(role(term));
    expect(seen).toEqual([1, 2, 3]);
    const failed = { kind: 'listenerFailed', of: 'role', reason: 'boom', cause: boom };
    expect(told).toEqual([failed, failed]);
    expect(errors.map((what) => what.at(-1))).toEqual([boom, boom, boom, boom]);
  });

  it('goes to the console where nobody hears of failing listeners', () => {
    const emitter = opened();
    emitter.on('role', () => {
      throw new Error('boom');
    });
    emitter.emit(role(1));
    expect(errors).toHaveLength(1);
  });

  it('may be the one that hears of failing listeners', () => {
    const emitter = opened();
    const fail = (): never => {
      throw null;
    };
    emitter.on('role', fail);
    emitter.on('listenerFailed', fail);
    emitter.emit(role(1));
    expect(errors).toEqual([[expect.stringContaining('listenerFailed'), null]]);
  });

  it('may be onEvent', () => {
    const kinds: string[] = [];
    const emitter = opened(({ kind }) => {
      kinds.push(kind);
      throw new Error('boom');
    });
    const seen: number[] = [];
    emitter.on('role', ({ term }) => seen.push(term));
    emitter.emit(role(1));
    emitter.emit(role(2));
    expect(kinds).toEqual(['role', 'listenerFailed', 'role']);
    expect(seen).toEqual([1, 2]);
    expect(errors).toHaveLength(2);
  });

  it('may do so in a promise', async () => {
    const emitter = opened();
    const told: ReplicaEvent[] = [];
    emitter.on('listenerFailed', (event) => told.push(event));
    emitter.on('role', (() => Promise.reject(new Error('later'))) as () => void);
    emitter.emit(role(1));
    await Promise.resolve().then(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toMatchObject([{ of: 'role', reason: 'later' }]);
  });

  it('may add listeners, which get the next event', () => {
    const emitter = opened();
    let calls = 0;
    const again = (): void => {
      calls += 1;
      emitter.on('role', again);
    };
    emitter.on('role', again);
    emitter.emit(role(1));
    expect(calls).toBe(1);
    emitter.emit(role(2));
    expect(calls).toBe(3);
  });

  it('is refused if it is no function, or of no kind', () => {
    const emitter = opened();
    const misuse = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as unknown;
    expect(() => emitter.on('role', undefined as unknown as () => void)).toThrow(misuse);
    expect(() => emitter.on('roles' as 'role', () => undefined)).toThrow(misuse);
    expect(() => emitter.on('toString' as 'role', () => undefined)).toThrow(misuse);
  });
});

const machine = {
  apply: (command: number): number => command,
  snapshot: (): number => 1,
  restore: (): void => undefined,
};

function options(change: Partial<ReplicaOptions<typeof machine>> = {}): ReplicaOptions<typeof machine> {
  const transport = memoryNetwork().transport();
  const rest = { protocol: raft(), storage: memoryStorage(), machine };
  return { id: 'a', members: { a: 'a' }, bootstrap: true, transport, ...rest, ...change };
}

describe('the events of the start', () => {
  it('reach whoever listens as soon as it has the replica, in order, and once', async () => {
    const all: ReplicaEvent[] = [];
    const storage = memoryStorage();
    await (await createReplica(options({ storage }))).close();
    const constants = { sessions: 100 };
    const replica = await createReplica(options({ storage, constants, onEvent: (event) => all.push(event) }));
    const early = [...all];
    expect(early.map(({ kind }) => kind)).toContain('optionIgnored');
    const heard: ReplicaEvent[] = [];
    for (const kind of ['optionIgnored', 'role', 'leadership', 'established'] as const) {
      replica.on(kind, (event) => heard.push(event));
    }
    await replica.propose(1);
    expect(heard).toEqual(all);
    expect(heard.slice(0, early.length)).toEqual(early);
    await replica.close();
  });

  it('are delivered at the latest when it is closed', async () => {
    const all: ReplicaEvent[] = [];
    const replica = await createReplica(options({ onEvent: (event) => all.push(event) }));
    const heard: ReplicaEvent[] = [];
    replica.on('established', (event) => heard.push(event));
    replica.on('role', (event) => heard.push(event));
    const closed = replica.close({ timeout: 0 });
    expect(heard).toEqual(all.filter(({ kind }) => kind === 'established' || kind === 'role'));
    expect(heard.length).toBeGreaterThan(0);
    await closed;
  });
});

describe('a replica that a listener closes', () => {
  const KINDS = ['optionIgnored', 'established', 'role', 'leadership', 'fault'] as const;

  it.each(KINDS)('at %s among the events of the start closes once, and all listeners get all events', async (kind) => {
    const storage = memoryStorage();
    const first = await createReplica(options({ storage }));
    await first.propose(1);
    await first.close();
    const bad = {
      ...machine,
      apply: (): never => {
        throw new Error('no');
      },
    };
    const all: string[] = [];
    const replica = await createReplica(
      options({
        ...(kind === 'established' ? {} : { storage, constants: { sessions: 100 } }),
        ...(kind === 'fault' ? { machine: bad } : {}),
        onEvent: (event) => all.push(event.kind),
      }),
    );
    const heard: string[] = [];
    const closes: Promise<void>[] = [];
    const gone = new Promise<void>((resolve) => {
      for (const each of KINDS) {
        replica.on(each, () => {
          heard.push(each);
          if (each !== kind) return;
          closes.push(replica.close());
          resolve();
        });
      }
    });
    await gone;
    await replica.close();
    expect(heard).toEqual(all);
    expect(closes.length).toBe(heard.filter((each) => each === kind).length);
    expect(new Set([...closes, replica.close()]).size).toBe(1);
    expect(replica.status().phase).toBe('stopped');
    expect(() => replica.propose(1)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    await (await createReplica(options({ storage }))).close();
  });
});

it('a replica is shown in short', async () => {
  const { inspect } = await import('node:util');
  const replica = await createReplica(options());
  await replica.ready();
  expect(inspect(replica).length).toBeLessThan(300);
  expect(inspect(replica)).toContain("id: 'a'");
  expect(JSON.parse(JSON.stringify(replica))).toMatchObject({ id: 'a', phase: 'running', leader: 'a' });
  await replica.close();
});
