/**
 * One write after the other through three replicas in this process, on the shipped file storage and TCP: what the loop
 * does for one, by kind, over all three. `PROMISE` and `TickObject` are microtasks, `Immediate` and `Timeout` turns of
 * the loop, `FSREQCALLBACK` and `FSREQPROMISE` calls of the file system, `WRITEWRAP` writes to a socket, which are all
 * kinds that Node names. On standard error is the course of the last write.
 */

import { createHook } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threeOnDisk } from './burst.js';
import { line, note, quantile, rounded } from './output.js';

const WARM = 300;
const WRITES = 500;

interface Seen {
  readonly type: string;
  readonly ms: number;
}

async function measure(protocol: string, directory: string): Promise<void> {
  const system = `quorate-${protocol}`;
  const replicas = await threeOnDisk(protocol, directory);
  const leader = replicas.find((replica) => replica.status().leading);
  if (leader === undefined) throw new Error('nobody leads');
  for (let at = 0; at < WARM; at++) await leader.propose(new Uint8Array(16));

  const samples: number[] = [];
  for (let at = 0; at < WRITES; at++) {
    const begin = performance.now();
    await leader.propose(new Uint8Array(16));
    samples.push(performance.now() - begin);
  }

  const counts = new Map<string, number>();
  let seen: Seen[] = [];
  let begin = 0;
  const hook = createHook({
    init(_id, type) {
      counts.set(type, (counts.get(type) ?? 0) + 1);
      seen.push({ type, ms: performance.now() - begin });
    },
  });
  hook.enable();
  for (let at = 0; at < WRITES; at++) {
    seen = [];
    begin = performance.now();
    await leader.propose(new Uint8Array(16));
  }
  hook.disable();

  const each = [...counts].sort((a, b) => b[1] - a[1]).map(([type, count]) => [type, rounded(count / WRITES)]);
  const figure = { p50_ms: rounded(quantile(samples, 0.5)), p99_ms: rounded(quantile(samples, 0.99)) };
  line({ system, mode: 'trace', payload: 16, writes: WRITES, ...figure, per_write: Object.fromEntries(each) });
  note(`${system}: one write takes ${figure.p50_ms} ms; the last one, with what it began when:`);
  for (const { type, ms } of seen) if (type !== 'PROMISE') note(`  ${ms.toFixed(3).padStart(8)} ms  ${type}`);
  await Promise.all(replicas.map((replica) => replica.close()));
}

export async function trace(): Promise<void> {
  for (const protocol of ['raft', 'multipaxos']) {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-trace-'));
    try {
      await measure(protocol, directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}
