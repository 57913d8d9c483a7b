/**
 * Restarts of one member alone, with the shipped file storage, after so many commands: the state is of equal size, and
 * the policy of snapshots the same. From the call of `createReplica` to a linearizable read; the directories take turns.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReplica, memoryNetwork, multipaxos, raft, type Replica } from 'quorate';
import { fileStorage } from 'quorate/node';
import { pause } from './cluster-members.js';
import { line, note, quantile, rounded } from './output.js';
import { eachAlone } from './processes.js';
import { asItIs, Table } from './table.js';

const COUNTS = [10_000, 100_000, 1_000_000];
const STATE = 4 * 2 ** 20;
const EVERY = 5000;
const BATCH = 1000;
const ROUNDS = 7;

function open(system: string, directory: string): Promise<Replica<Table>> {
  return createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol: system === 'quorate-raft' ? raft() : multipaxos(),
    transport: memoryNetwork().transport(),
    storage: fileStorage(directory),
    machine: new Table(STATE),
    codec: asItIs,
    snapshots: { entries: EVERY },
  });
}

function command(number: number): Uint8Array {
  const made = new Uint8Array(24);
  new DataView(made.buffer).setUint32(4, number);
  return made.fill(number & 0xff, 8);
}

/** Commands that were applied since the newest snapshot: what a start would apply again. */
function behindSnapshot(replica: Replica<Table>): number {
  const { applied, snapshots } = replica.status();
  return applied - (snapshots[0]?.index ?? 0);
}

/** No faster than snapshots are taken, or the policy would not hold. */
async function fill(system: string, directory: string, count: number): Promise<void> {
  const replica = await open(system, directory);
  for (let from = 0; from < count; from += BATCH) {
    await Promise.all(replica.proposeAll(Array.from({ length: BATCH }, (_, at) => command(from + at))));
    while (behindSnapshot(replica) > EVERY + BATCH) await pause(5);
  }
  await replica.close();
}

interface Start {
  readonly ms: number;
  /** Commands that were applied to come level. */
  readonly replayed: number;
}

async function start(system: string, directory: string, count: number): Promise<Start> {
  const began = performance.now();
  const replica = await open(system, directory);
  const size = await replica.read((table) => table.size);
  const ms = performance.now() - began;
  if (size !== count) throw new Error(`${size} commands are left of ${count}`);
  const replayed = behindSnapshot(replica);
  await replica.close();
  return { ms, replayed };
}

async function measure(system: string, quick: boolean): Promise<void> {
  const counts = quick ? COUNTS.slice(0, 2) : COUNTS;
  const directory = mkdtempSync(join(tmpdir(), 'quorate-restart-'));
  try {
    for (const count of counts) await fill(system, join(directory, String(count)), count);
    const starts = new Map<number, Start[]>(counts.map((count) => [count, []]));
    for (let round = 0; round <= (quick ? 2 : ROUNDS); round++) {
      for (const count of counts) {
        const took = await start(system, join(directory, String(count)), count);
        if (round > 0) starts.get(count)?.push(took);
      }
    }
    const medians = counts.map((count) => {
      const taken = starts.get(count) as Start[];
      const ms = quantile(
        taken.map((each) => each.ms),
        0.5,
      );
      const replayed = Math.max(...taken.map((each) => each.replayed));
      line({ system, mode: 'restart', commands: count, state_bytes: STATE, every: EVERY, replayed, ms: rounded(ms) });
      return ms;
    });
    line({ system, mode: 'restart-ratio', slowest_to_fastest: rounded(Math.max(...medians) / Math.min(...medians)) });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each system in a process of its own. */
export async function restart(quick: boolean, system?: string): Promise<void> {
  if (system !== undefined) return measure(system, quick);
  note('restarts after 10 k, 100 k and 1 M commands');
  eachAlone('restart', quick);
}
