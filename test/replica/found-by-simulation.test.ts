/** What the simulation of the whole shell found, each in its smallest form. */

import { describe, expect, it } from 'vitest';
import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type ReplicaOptions,
  type Transport,
} from 'quorate';
import type { Protocol } from '../../src/core/protocol.js';
import { defaultLimits } from '../../src/core/tuning.js';
import { protocols } from '../support/protocols.js';
import { World, type Process } from './world.js';

const MINUTE = 60_000;

describe.each(protocols)('over %s', (_, anyProtocol) => {
  const protocol = anyProtocol as Protocol<unknown, unknown>;

  it('a lost opening is not taken for that of another replica which goes by the same id', () => {
    const world = new World(protocol, 3);
    world.startAll();
    const all = [...world.running.values()];
    const isOpening = (each: Process): boolean => each.state.openingRequest !== 0 && each.state.session === 0;
    const unlucky = (): Process | undefined => all.find((each) => each.state.role === 'follower' && isOpening(each));
    expect(world.run(MINUTE, () => unlucky() !== undefined)).toBe(true);
    const follower = unlucky() as Process;
    expect(all.every((each) => each === follower || each.state.nextRequest <= follower.state.nextRequest)).toBe(true);
    world.flights = world.flights.filter((flight) => flight.from !== follower.id);
    expect(world.run(MINUTE, () => follower.state.session !== 0)).toBe(true);
    const call = world.propose(follower, 'x');
    expect(world.run(MINUTE, () => follower.ended.has(call))).toBe(true);
    expect(follower.ended.get(call)?.result).toBeDefined();
  });

  it('a burst travels to the leader in parts that fit into a message', () => {
    const world = new World(protocol, 3);
    world.startAll();
    const all = [...world.running.values()];
    expect(world.run(MINUTE, () => world.leader() !== undefined && all.every((each) => each.state.session !== 0))).toBe(
      true,
    );
    const follower = all.find((each) => each !== world.leader()) as Process;
    const commands = Array.from({ length: 100 }, (_, at) => ({
      call: 1e6 + at,
      deadline: Infinity,
      data: new Uint8Array(4000).fill(at),
    }));
    world.flights = [];
    world.step(follower, { kind: 'propose', commands });
    const sent = world.flights.filter((flight) => flight.from === follower.id).map((flight) => flight.bytes.length);
    expect(sent.length).toBeGreaterThan(1);
    expect(Math.max(...sent)).toBeLessThan(defaultLimits.messageBytes + 1024);
    expect(world.run(MINUTE, () => commands.every(({ call }) => follower.ended.has(call)))).toBe(true);
    expect(commands.every(({ call }) => follower.ended.get(call)?.result !== undefined)).toBe(true);
    expect(follower.applied).toHaveLength(100);
  });
});

it('a second replica on a storage in use is refused, and the first goes on', async () => {
  const storage = memoryStorage();
  const options = (): ReplicaOptions<{ apply(): number; snapshot(): number; restore(): void }> => ({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol: raft({ timing: { heartbeat: 20, electionMin: 50, electionMax: 80 } }),
    transport: memoryNetwork().transport(),
    storage,
    machine: { apply: () => 1, snapshot: () => 1, restore: () => undefined },
  });
  const replica = await createReplica(options());
  await expect(createReplica(options())).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
  expect(await replica.propose(undefined)).toBe(1);
  await replica.close();
});

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('a replica over %s', (_, protocol) => {
  it('refuses a transport whose messages are smaller than its own', async () => {
    const transport: Transport = {
      maxMessageBytes: 8192,
      start: () => Promise.reject(new Error('never started')),
      send: () => false,
      setPeers: () => undefined,
      stop: () => Promise.resolve(),
    };
    const options = {
      id: 'a',
      members: { a: 'a', b: 'b' },
      transport,
      machine: { apply: () => 1, snapshot: () => 1, restore: () => undefined },
      constants: { maxEntryBytes: 1024 },
    };
    const refusal = {
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('limits.messageBytes of 49152') as string,
    };
    await expect(createReplica({ ...options, storage: memoryStorage(), protocol: protocol() })).rejects.toMatchObject(
      refusal,
    );
    const small = protocol({ limits: { messageBytes: 7168 } });
    await expect(createReplica({ ...options, storage: memoryStorage(), protocol: small })).rejects.toThrow(
      'never started',
    );
  });
});
