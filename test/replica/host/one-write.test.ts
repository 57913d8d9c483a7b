/** What a leader sends in one turn: the word that a command is committed goes with the next command. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft } from 'quorate';
import type { Replica, StateMachine, Transport } from 'quorate';

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

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
])('a leader of %s', (_, protocol) => {
  let replicas: Replica<StateMachine<null, number>>[];
  let writes: Map<string, Writes>;

  beforeEach(async () => {
    const network = memoryNetwork();
    writes = new Map(Object.keys(MEMBERS).map((id) => [id, new Writes()]));
    const start = (id: string): Promise<Replica<StateMachine<null, number>>> =>
      createReplica({
        id,
        members: MEMBERS,
        protocol: protocol(),
        transport: (writes.get(id) as Writes).watch(network.transport()),
        storage: memoryStorage(),
        machine: counter(),
      });
    replicas = await Promise.all(Object.keys(MEMBERS).map(start));
  });

  afterEach(() => Promise.all(replicas.map((replica) => replica.close())));

  it('sends the commit of a command and the next command in one write', async () => {
    await replicas[0]?.propose(null);
    const leader = replicas.find((replica) => replica.status().leading) as (typeof replicas)[0];
    const { id } = leader.status();
    await leader.propose(null);
    const own = writes.get(id) as Writes;
    own.count = 0;
    for (let at = 0; at < COMMANDS; at++) await leader.propose(null);
    // Two peers; heartbeats may come between.
    expect(own.count).toBeLessThan(3 * COMMANDS);
    expect(own.count).toBeGreaterThanOrEqual(2 * COMMANDS - 2);
  });
});
