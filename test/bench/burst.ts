/**
 * Bursts: many commands at once at the leader and at a follower, and one after the other. Three replicas in one process
 * with the shipped file storage and TCP on loopback, and default settings. Every request must succeed.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReplica, multipaxos, raft, type Replica } from '../../src/index.js';
import { fileStorage, tcpTransport } from '../../src/node.js';
import { line, note, quantile, rounded } from './output.js';

const BURSTS = [
  { count: 4000, bytes: 2000 },
  { count: 1000, bytes: 64_000 },
  { count: 100, bytes: 500_000 },
];
const SEQUENTIAL = 200;
const MOST_WAITING_BYTES = 2 ** 30;

class Tally {
  count = 0;
  bytes = 0;
  apply(command: Uint8Array): number {
    this.bytes += command.length;
    return ++this.count;
  }
  snapshot(): number {
    return this.count;
  }
  restore(count: number): void {
    this.count = count;
  }
}

const bytesAsTheyAre = { encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes };

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return `127.0.0.1:${port}`;
}

/** Three replicas in this process, with open sessions. */
export async function threeOnDisk(protocol: string, directory: string): Promise<readonly Replica<Tally>[]> {
  const ids = ['a', 'b', 'c'];
  const addresses = await Promise.all(ids.map(freeAddress));
  const members = Object.fromEntries(ids.map((id, at) => [id, addresses[at] as string]));
  const replicas: Replica<Tally>[] = [];
  for (const id of ids) {
    const replica = await createReplica({
      id,
      members,
      protocol: protocol === 'raft' ? raft() : multipaxos(),
      transport: tcpTransport(),
      storage: fileStorage(join(directory, id)),
      machine: new Tally(),
      codec: bytesAsTheyAre,
      maxWaitingBytes: MOST_WAITING_BYTES,
    });
    replicas.push(replica);
  }
  for (const replica of replicas) await replica.propose(new Uint8Array(1)); // opens its session
  return replicas;
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function measure(protocol: string, directory: string): Promise<void> {
  const system = `quorate-${protocol}`;
  const replicas = await threeOnDisk(protocol, directory);
  const leader = replicas.find((replica) => replica.status().leading) as Replica<Tally>;
  const follower = replicas.find((replica) => replica !== leader) as Replica<Tally>;
  const places = [
    ['leader', leader],
    ['follower', follower],
  ] as const;
  for (const { count, bytes } of BURSTS) {
    for (const [at, replica] of places) {
      const commands = Array.from({ length: count }, () => new Uint8Array(bytes));
      const ms = await took(() => Promise.all(commands.map((command) => replica.propose(command))));
      line({ system, mode: 'burst', at, count, payload: bytes, ms: rounded(ms) });
      note(`${system}, ${count} × ${bytes} B at the ${at}: ${Math.round(ms)} ms`);
    }
  }
  for (const [at, replica] of places) {
    const samples: number[] = [];
    for (let i = 0; i < SEQUENTIAL; i++) samples.push(await took(() => replica.propose(new Uint8Array(16))));
    const [p50, p99] = [quantile(samples, 0.5), quantile(samples, 0.99)];
    line({ system, mode: 'sequential', at, payload: 16, p50_ms: rounded(p50), p99_ms: rounded(p99) });
    note(`${system}, one after the other at the ${at}: median ${rounded(p50)} ms, p99 ${rounded(p99)} ms`);
  }
  await Promise.all(replicas.map((replica) => replica.close()));
}

export async function burst(): Promise<void> {
  for (const protocol of ['raft', 'multipaxos']) {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-burst-'));
    try {
      await measure(protocol, directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}
