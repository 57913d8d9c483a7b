/** A start on a lost disk over the transports that ship: it learns so from a refused handshake, and disturbs nobody. */

import { afterEach, describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, raft, type Replica, type Storage, type Transport } from 'quorate';
import { tcpTransport } from 'quorate/node';
import { freeAddresses } from '../../adapters/transport-laws.js';

const timing = { heartbeat: 50, electionMin: 500, electionMax: 1000 };

const open: Replica[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((replica) => replica.close()));
});

describe.each([
  ['memory', () => memoryNetwork()],
  ['tcp', () => ({ transport: () => tcpTransport() })],
] as const)('over %s', (_, network) => {
  it('a replica that comes back without its disk is told at the handshake, and the others go on', async () => {
    const place: { transport(): Transport } = network();
    const members = Object.fromEntries(await freeAddresses(['a', 'b', 'c']));
    const told: { id: string; reason: string }[] = [];
    const start = async (id: string, storage: Storage): Promise<Replica> => {
      const machine = { apply: () => 1, snapshot: () => 1, restore: () => undefined };
      const replica = (await createReplica({
        id,
        members,
        machine,
        storage,
        protocol: raft({ timing }),
        transport: place.transport(),
        onEvent: (event) => {
          if (event.kind === 'transport' && event.event === 'refused') told.push({ id, reason: event.reason });
        },
      })) as Replica;
      open.push(replica);
      return replica;
    };
    const [a, b, c] = (await Promise.all(['a', 'b', 'c'].map((id) => start(id, memoryStorage())))) as [
      Replica,
      Replica,
      Replica,
    ];
    await Promise.all([a, b, c].map((replica) => replica.ready()));
    await Promise.all([a, b, c].map((replica) => replica.propose(null as never)));
    await c.close();
    const again = await start('c', memoryStorage());
    const changes = again.changes();
    const waiting = changes.next().catch((error: unknown) => error);
    await expect(again.ready()).rejects.toMatchObject({ code: 'ERR_LOST_IDENTITY' });
    expect(again.status()).toMatchObject({ phase: 'lostIdentity', firstStart: { confirmed: [] } });
    expect(again.status().firstStart?.refused[0]?.reason).toMatch(/other data/);
    expect(await waiting).toMatchObject({ code: 'ERR_LOST_IDENTITY', outcome: 'none' });
    expect((await changes.next()).done).toBe(true);
    await a.propose(null as never);
    expect(told.some(({ id, reason }) => id === 'c' && /refused us.*incarnation/.test(reason))).toBe(true);
    expect(told.some(({ id, reason }) => id !== 'c' && /incarnation/.test(reason))).toBe(true);
  });
});
