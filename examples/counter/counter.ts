/**
 * The smallest program that a user can copy: one member of a cluster of three that counts.
 *
 *     node counter.js a     (and b, and c, each in a terminal of its own)
 *
 * Every line typed into any of them adds that number; kill whichever you like and start it again.
 */

import { createInterface } from 'node:readline';
import { createReplica, raft } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';

class Counter {
  value = 0;
  apply(command: { add: number }): number {
    return (this.value += command.add);
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

const id = process.argv[2] ?? 'a';
const replica = await createReplica({
  id,
  members: { a: '127.0.0.1:7001', b: '127.0.0.1:7002', c: '127.0.0.1:7003' },
  protocol: raft(), // or multipaxos()
  transport: tcpTransport(),
  storage: fileStorage(`./data/${id}`),
  machine: new Counter(),
});

replica.on('role', ({ role, leader }) => console.log(`${id} is ${role}, the leader is ${leader ?? 'not known'}`));
console.log(`${id} listens; a cluster of three works as soon as all three have met once, and later with any two`);

for await (const line of createInterface({ input: process.stdin })) {
  const add = Number(line);
  if (!Number.isFinite(add)) continue;
  try {
    const total = await replica.propose({ add }, { signal: AbortSignal.timeout(5000) });
    console.log(`the total is ${total}`);
  } catch (error) {
    console.log(`no answer: ${(error as Error).message}`);
  }
}
await replica.close();
