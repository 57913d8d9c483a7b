/** What the simulation of the whole host found, each in its smallest form. */

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
import { defaultLimits } from '../../src/core/tuning.js';
import { calls, each, models, play } from '../play.js';
import { BareDriver, driverIn } from './bare-driver.js';

describe.each(models)('over $protocol.name', (model) => {
  const commands = calls(1, 100);

  it('a burst travels to the leader in parts that fit into a message', () => {
    const { world } = play(model, 'elect n1\nrun 500');
    const bare = new BareDriver(model.protocol, driverIn(world, 'n2'), world.now);
    const data = new Uint8Array(4000);
    bare.step({ kind: 'propose', commands: commands.map((call) => ({ call, deadline: Infinity, data })) });
    const sent = bare.wants('send');
    expect(new Set(sent.map(({ to }) => to))).toEqual(new Set(['n1']));
    expect(sent.length).toBeGreaterThan(1);
    expect(Math.max(...sent.map(({ bytes }) => bytes.length))).toBeLessThan(defaultLimits.messageBytes + 1024);
  });

  it('and arrives whole', () => {
    const word = 'x'.repeat(4000);
    play(
      model,
      `elect n1
       run 500
       isolate n2
       run 2000
       ${each(commands, () => `propose n2 ${word}`)}
       heal
       run 20000 until call 100 acknowledged
       ${each(commands, (call) => `expect call ${call} acknowledged`)}`,
    );
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
      checkAddress: () => undefined,
      start: () => Promise.reject(new Error('never started')),
      answer: () => undefined,
      connected: () => [],
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
