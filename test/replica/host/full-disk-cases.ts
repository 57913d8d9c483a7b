/** What must hold of a replica on a full disk, as a function that throws a violation: a test runs it, and a killer. */

import { fileStorage } from '../../../src/adapters/file-storage/index.js';
import { memoryNetwork } from '../../../src/adapters/memory-network.js';
import type { Clock } from '../../../src/replica/clock.js';
import type { ProtocolChoice } from '../../../src/core/tuning.js';
import { createReplica } from '../../../src/replica/replica.js';
import { settled, SimDisk } from '../../adapters/file-storage-disks.js';
import { bytesOn } from '../../adapters/file-storage-full.js';
import { demand } from '../../violation.js';

const KIB = 1024;

/** A clock that can be put forward. */
class Forward implements Clock {
  private ahead = 0;
  private timers: { readonly at: number; readonly run: () => void }[] = [];

  now = (): number => performance.now() + this.ahead;
  wall = (): number => 1e12 + this.now();

  after = (delay: number, run: () => void): { cancel: () => void } => {
    const timer = { at: this.now() + delay, run };
    this.timers.push(timer);
    const real = setTimeout(() => this.fire(), Math.min(delay + 1, 60_000));
    return {
      cancel: () => {
        clearTimeout(real);
        this.timers = this.timers.filter((each) => each !== timer);
      },
    };
  };

  soon = (run: () => void): { cancel: () => void } => {
    const soon = setImmediate(run);
    return { cancel: () => clearImmediate(soon) };
  };

  private fire(): void {
    const due = this.timers.filter(({ at }) => at <= this.now());
    this.timers = this.timers.filter((each) => !due.includes(each));
    for (const { run } of due) run();
  }

  advance(milliseconds: number): void {
    this.ahead += milliseconds;
    this.fire();
  }
}

/** A cluster of one on a disk and a clock of its own. */
async function alone(
  protocol: ProtocolChoice,
  segmentBytes: number,
  bytes: number,
  snapshot: (count: number) => number,
) {
  const disk = new SimDisk();
  const clock = new Forward();
  const told: string[] = [];
  let count = 0;
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol,
    transport: memoryNetwork().transport(),
    storage: fileStorage('data', { fs: disk, segmentBytes }),
    machine: {
      apply: (_: string) => (count += 1),
      snapshot: () => snapshot(count),
      restore: (found: number) => void (count = found),
    },
    snapshots: { bytes },
    clock,
    requestTimeout: 1e9,
    onEvent: (event) => void told.push(`${event.kind} ${'event' in event ? event.event : ''}`),
  });
  const propose = (size: number): Promise<number> => replica.propose('x'.repeat(size));
  /** Time passes, a second a turn. */
  const wait = async (turns: number, isOver: () => boolean): Promise<void> => {
    for (let turn = 0; turn < turns && !isOver(); turn++) {
      await disk.advance(1000);
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { disk, replica, told, propose, wait };
}

/** The disk is found full by a write that needs more than is left: it goes on in the space of what is trimmed. */
export async function waitsForWhatIsTrimmed(protocol: ProtocolChoice): Promise<void> {
  const { disk, replica, told, propose, wait } = await alone(protocol, 32 * KIB, 400 * KIB, (count) => count);
  while (told.filter((event) => event === 'snapshot taken').length < 2) await propose(4 * KIB);
  // The log goes on in other files, so what the snapshots gave back is gone.
  for (let more = 0; more < 20; more++) await propose(4 * KIB);
  await settled();
  disk.capacity = bytesOn(disk);
  const { spaceAhead = 0 } = replica.status().storage ?? {};
  let isDone = false;
  const large = propose(spaceAhead + 64 * KIB).then(() => (isDone = true));
  await wait(30, () => isDone);
  demand(told.includes('storage full'), 'storage/trimmed-goes-when-full: the disk is full', () => told);
  demand(isDone, 'storage/trimmed-goes-when-full: what waits gets the space of what is trimmed', () => told);
  demand(told.includes('snapshot givenUp'), 'snapshots/older-goes-when-full: one is kept on a full disk', () => told);
  await large;
  await replica.close();
}

/** The log has filled the disk, since a snapshot has failed, or none was due: the next one lets it go at once. */
export async function snapshotMakesRoom(protocol: ProtocolChoice, why: 'failed' | 'not due'): Promise<void> {
  let failures = why === 'failed' ? 1 : 0;
  const policy = why === 'failed' ? 64 * KIB : 4096 * KIB;
  const { disk, replica, told, propose, wait } = await alone(protocol, 64 * KIB, policy, (count) => {
    if (failures-- > 0) throw new Error('not now');
    return count;
  });
  disk.capacity = bytesOn(disk) + 600 * KIB;
  const proposed: Promise<unknown>[] = [];
  while (!told.includes('storage full')) {
    proposed.push(propose(KIB).catch(() => undefined));
    await Promise.race([proposed.at(-1), disk.advance(1000).then(settled)]); // no time for another try of a snapshot
  }
  // It may meet the log's own try to get space, and is tried again after its pause.
  await wait(100, () => told.includes('storage resumed'));
  const rule = 'snapshots/make-room-when-full: ';
  demand(told.includes('storage resumed'), `${rule}one is taken at once, and lets the log go`, () => told);
  await Promise.all([...proposed, propose(KIB)]);
  await replica.close();
}
