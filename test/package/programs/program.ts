/**
 * What a user's program does with the packed package. Installed twice, as `.mts` and as `.cts`, it is checked
 * against the types of each condition, and run against the code of each.
 */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CommandRejected,
  ConsensusError,
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
} from 'quorate';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { fileStorage, tcpTransport } from 'quorate/node';
import { raftProtocol } from 'quorate/raft';

class Counter {
  value = 0;
  apply(command: { add: number }): number {
    if (command.add === 0) throw new CommandRejected('nothing to add');
    return (this.value += command.add);
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

const protocols = { raft, multipaxos };
const ids = ['a', 'b', 'c'];

/** Long enough for a busy machine; a hang fails. */
const signal = AbortSignal.timeout(25_000);

/** Three replicas in one process, on what comes with the package for tests. */
async function inMemory(protocol: keyof typeof protocols): Promise<void> {
  const network = memoryNetwork();
  const members = { a: 'a', b: 'b', c: 'c' };
  const replicas = await Promise.all(
    ids.map((id) =>
      createReplica({
        id,
        members,
        protocol: protocols[protocol](),
        transport: network.transport(),
        storage: memoryStorage(),
        machine: new Counter(),
      }),
    ),
  );
  await Promise.all(replicas.map((replica) => replica.ready({ signal })));
  const totals: number[] = [];
  for (const replica of replicas) totals.push(await replica.propose({ add: 2 }, { signal }));
  assert.deepEqual(totals, [2, 4, 6]);
  for (const replica of replicas) assert.equal(await replica.read((counter) => counter.value, { signal }), 6);

  await assert.rejects(replicas[1]!.propose({ add: 0 }, { signal }), (error) => {
    assert.ok(error instanceof CommandRejected && error instanceof ConsensusError);
    assert.equal(error.reason, 'nothing to add');
    return true;
  });
  await Promise.all(replicas.map((replica) => replica.close()));
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The README's sample three times over, on files and sockets; then all are closed and started again. */
async function onDisk(protocol: keyof typeof protocols): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-package-'));
  const ports = await freePorts(3);
  const members = Object.fromEntries(ids.map((id, number) => [id, `127.0.0.1:${ports[number]}`]));
  const open = (id: string) =>
    createReplica({
      id,
      members,
      protocol: protocols[protocol](),
      transport: tcpTransport(),
      storage: fileStorage(join(directory, id)),
      machine: new Counter(),
    });
  try {
    for (const round of [0, 1]) {
      const replicas = await Promise.all(ids.map(open));
      for (const replica of replicas) await replica.propose({ add: 1 }, { signal });
      for (const replica of replicas) {
        assert.equal(await replica.read((counter) => counter.value, { signal }), 3 * (round + 1));
      }
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  assert.equal(typeof raftProtocol.step, 'function');
  assert.equal(typeof multipaxosProtocol.step, 'function');
  for (const protocol of ['raft', 'multipaxos'] as const) {
    await inMemory(protocol);
    await onDisk(protocol);
  }
  console.log('agreed');
}

// The process must end by itself: `close` leaves no handle open. A rejection ends it with an error.
void main();
