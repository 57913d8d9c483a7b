/** What must hold of a replica on a full disk, as a function that throws a violation: a test runs it, and a killer. */

import { fileStorage } from '../../../src/adapters/file-storage/index.js';
import { memoryNetwork } from '../../../src/adapters/memory-network.js';
import type { ProtocolChoice } from '../../../src/core/tuning.js';
import { createReplica } from '../../../src/replica/replica.js';
import { settled, SimDisk } from '../../adapters/file-storage-disks.js';
import { bytesOn } from '../../adapters/file-storage-full.js';
import { demand } from '../../violation.js';

const KIB = 1024;

/** The disk is found full by a write that needs more than is left: it goes on in the space of what is trimmed. */
export async function waitsForWhatIsTrimmed(protocol: ProtocolChoice): Promise<void> {
  const disk = new SimDisk();
  const told: string[] = [];
  let count = 0;
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol,
    transport: memoryNetwork().transport(),
    storage: fileStorage('data', { fs: disk, segmentBytes: 32 * KIB }),
    machine: {
      apply: (_: string) => (count += 1),
      snapshot: () => count,
      restore: (found: number) => void (count = found),
    },
    snapshots: { bytes: 400 * KIB },
    onEvent: (event) => void told.push(`${event.kind} ${'event' in event ? event.event : ''}`),
  });
  while (told.filter((event) => event === 'snapshot taken').length < 2) await replica.propose('x'.repeat(4 * KIB));
  // The log goes on in other files, so what the snapshots gave back is gone.
  for (let more = 0; more < 20; more++) await replica.propose('x'.repeat(4 * KIB));
  await settled();
  disk.capacity = bytesOn(disk);
  const { spaceAhead = 0 } = replica.status().storage ?? {};
  let isDone = false;
  const large = replica.propose('x'.repeat(spaceAhead + 64 * KIB)).then(() => (isDone = true));
  for (let turn = 0; turn < 30 && !isDone; turn++) {
    await disk.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  demand(told.includes('storage full'), 'storage/trimmed-goes-when-full: the disk is full', () => told);
  demand(isDone, 'storage/trimmed-goes-when-full: what waits gets the space of what is trimmed', () => told);
  await large;
  await replica.close();
}
