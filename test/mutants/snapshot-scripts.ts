/** What a whole replica must not do with snapshots, on a full disk, and when it is closed. */

import { memoryNetwork } from '../../src/adapters/memory-network.js';
import { raft } from '../../src/raft/index.js';
import { createReplica } from '../../src/replica/replica.js';
import type { Storage } from '../../src/replica/storage.js';
import { storageWith } from '../replica/host/altered-storage.js';
import { closesAgain, closesDuringTransfer } from '../replica/host/closing-cases.js';
import { snapshotMakesRoom, waitsForWhatIsTrimmed } from '../replica/host/full-disk-cases.js';
import { endsWhatIsTaken } from '../replica/host/restore-cases.js';
import { demand } from '../violation.js';

const ENTRIES = 10;

/** A cluster of one, which applies commands until it has told so many ends of snapshots. */
async function started(storage: Storage) {
  const told: string[] = [];
  let total = 0;
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol: raft({ timing: { heartbeat: 30, electionMin: 100, electionMax: 200 } }),
    transport: memoryNetwork().transport(),
    storage,
    machine: {
      apply: (by: number) => (total += by),
      snapshot: () => total,
      restore: (found: number) => void (total = found),
    },
    snapshots: { entries: ENTRIES },
    onEvent: (event) => {
      if (event.kind === 'snapshot') told.push(event.event);
    },
  });
  const until = async (ends: number): Promise<void> => {
    const ended = (): number => told.filter((event) => event === 'taken' || event === 'failed').length;
    while (ended() < ends) await replica.propose(1);
  };
  return { replica, told, until };
}

async function readBack(): Promise<void> {
  const { storage } = storageWith((files) => ({
    read: async (file, offset, maxBytes) => (await files.read(file, offset, maxBytes)).fill(7, 40),
  }));
  const { replica, told, until } = await started(storage);
  await until(1);
  demand(!told.includes('taken'), 'snapshots/read-back: what does not verify is no snapshot', () => told);
  await replica.close();
}

async function withoutSpace(): Promise<void> {
  const { storage } = storageWith(() => ({ free: async () => 10 }));
  const { replica, told, until } = await started(storage);
  await until(2);
  demand(told.includes('failed'), 'snapshots/begun-where-it-fits: one that may not fit is not written', () => told);
  await replica.close();
}

async function twoOnAFullDisk(): Promise<void> {
  const { storage, say } = storageWith(() => ({}));
  const { replica, told, until } = await started(storage);
  await until(2);
  const before = told.filter((event) => event === 'trimmed').length;
  say({ kind: 'full', reason: 'no space' });
  await replica.read(() => undefined);
  await replica.read(() => undefined);
  const trimmed = told.filter((event) => event === 'trimmed').length;
  demand(told.includes('givenUp'), 'snapshots/older-goes-when-full: one is kept on a full disk', () => told);
  demand(trimmed > before, 'snapshots/older-goes-when-full: the log begins behind it', () => told);
  await replica.close();
}

/** By name, for the tables. */
export const snapshotScripts = {
  'snapshot: read back': readBack,
  'snapshot: without space': withoutSpace,
  'snapshot: two on a full disk': twoOnAFullDisk,
  'snapshot: one that makes room': async () => snapshotMakesRoom(raft(), 'not due'),
  'snapshot: a write waits on a full disk': async () => waitsForWhatIsTrimmed(raft()),
  'snapshot: restored while one is taken': async () => endsWhatIsTaken(raft),
  'host: closed again': async () => closesAgain('while it drains'),
  'host: closed during a transfer': async () => closesDuringTransfer(raft, 'given up'),
  'host: closed again by a plug-in': async () => closesAgain('from a plug-in'),
} as const;
