/** What a leader sends in one turn: the commit index that tells of a command goes with the next command. */

import { Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft } from 'quorate';
import type { ProtocolChoice, Replica, StateMachine, Transport } from 'quorate';
import { tcpTransport } from 'quorate/node';
import { freeAddresses } from '../../adapters/transport-laws.js';
import { steadyClock } from './steady-clock.js';

const MEMBERS = { a: 'a', b: 'b', c: 'c' };
const COMMANDS = 50;

function counter(): StateMachine<null, number> {
  let count = 0;
  return { apply: () => ++count, snapshot: () => count, restore: () => undefined };
}

/** Counts as a transport writes: what is sent until the next turn after the first message leaves together. */
class Writes {
  count = 0;
  private readonly open = new Set<string>();

  watch(transport: Transport): Transport {
    const send = transport.send.bind(transport);
    transport.send = (to, bytes, lane) => {
      this.sent(to);
      return send(to, bytes, lane);
    };
    return transport;
  }

  private sent(to: string): void {
    if (this.open.has(to)) return;
    this.open.add(to);
    this.count += 1;
    setImmediate(() => this.open.delete(to));
  }
}

async function start(
  protocol: () => ProtocolChoice,
  addresses: Readonly<Record<string, string>>,
  transportOf: (id: string) => Transport,
): Promise<Replica<StateMachine<null, number>>[]> {
  const clock = steadyClock();
  const replicas = await Promise.all(
    Object.keys(addresses).map((id) =>
      createReplica({
        id,
        members: addresses,
        protocol: protocol(),
        transport: transportOf(id),
        storage: memoryStorage(),
        machine: counter(),
        clock,
      }),
    ),
  );
  onTestFinished(async () => void (await Promise.all(replicas.map((replica) => replica.close()))));
  return replicas;
}

/** The leader, which all know, and the members know their connections. */
async function leaderOf(replicas: readonly Replica<StateMachine<null, number>>[]) {
  for (const replica of replicas) await replica.propose(null);
  const leader = replicas.find((replica) => replica.status().leading) as Replica<StateMachine<null, number>>;
  await leader.propose(null);
  return leader;
}

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('a leader of %s sends the commit index of a command and the next command in one write', (_, protocol) => {
  it('to a transport that writes in the turn after', async () => {
    const network = memoryNetwork();
    const writes = new Map(Object.keys(MEMBERS).map((id) => [id, new Writes()]));
    const replicas = await start(protocol, MEMBERS, (id) => (writes.get(id) as Writes).watch(network.transport()));
    const leader = await leaderOf(replicas);
    const own = writes.get(leader.status().id) as Writes;
    own.count = 0;
    for (let at = 0; at < COMMANDS; at++) await leader.propose(null);
    // Two peers; heartbeats may come between.
    expect(own.count).toBeLessThan(3 * COMMANDS);
    expect(own.count).toBeGreaterThanOrEqual(2 * COMMANDS - 2);
  });

  it('over TCP', async () => {
    const addresses = Object.fromEntries(await freeAddresses(Object.keys(MEMBERS)));
    const leader = await leaderOf(await start(protocol, addresses, () => tcpTransport()));
    const write = vi.spyOn(Socket.prototype, 'write');
    onTestFinished(() => write.mockRestore());
    for (let at = 0; at < COMMANDS; at++) await leader.propose(null);
    // Of each command to two peers, and back; heartbeats and signs of life may come between.
    expect(write.mock.calls.length).toBeLessThan(5 * COMMANDS);
    expect(write.mock.calls.length).toBeGreaterThanOrEqual(3 * COMMANDS);
  });
});
