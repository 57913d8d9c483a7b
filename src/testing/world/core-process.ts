/** The state of a process that runs a bare core (`core-program.ts`), and its digest for the model checker. */

import { digestEntry, type Digest } from '../../core/model.js';
import type { Entry, Index, RequestNumber, Send, PersistSeq } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { LaneOp } from '../../replica/driver/persist-lane.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import type { CoreSnapshots, Reached } from './core-snapshots.js';

/** A request of a caller, under the caller's number. */
export interface Asked {
  readonly request: RequestNumber;
  /** For a proposal: the index at which its entry was applied here, 0 before that, and its result. */
  readonly index: Index;
  readonly result: StoredResult | null;
  /** Whether the core has reported it as committed. */
  readonly committed: boolean;
  /** For a read: the index that must be applied; `null` until the core has named it. */
  readonly read: Index | null;
}

export interface CoreProcess {
  readonly id: ReplicaId;
  readonly core: unknown;
  readonly queue: readonly LaneOp[];
  readonly queueSeq: PersistSeq;
  readonly writingSeq: PersistSeq;
  readonly durableSeq: PersistSeq;
  readonly held: readonly Send<unknown>[];
  /** Committed entries that the machine was not given yet. */
  readonly backlog: readonly Entry[];
  /** Behind the entries that the machine is applying, and the commands among them; `null` if there are none. */
  readonly applying: Reached | null;
  readonly commands: readonly Entry[];
  readonly applied: Reached;
  readonly snapshots: CoreSnapshots;
  readonly asked: readonly Asked[];
  readonly stopped: boolean;
  readonly fault: string | null;
}

/**
 * The session in the id of every proposal. Calls are numbered in the whole world, so one session for all replicas is
 * enough; and worlds that differ only by the names of replicas stay alike.
 */
export const SESSION = 1;

function digestReached({ index, term, time }: Reached, digest: Digest): void {
  digest.value(index);
  digest.value(term);
  digest.value(time);
}

function digestSnapshots({ newest, taking, restoring }: CoreSnapshots, digest: Digest): void {
  digest.value(newest);
  digest.value(taking !== null);
  if (taking !== null) digestReached(taking, digest);
  digest.value(restoring === null ? 0 : restoring.begun ? 1 : 2);
  if (restoring !== null) digestReached(restoring.snapshot, digest);
}

/** Digests the state of a process beside its core's. */
export function digestProcess(
  process: CoreProcess,
  digest: Digest,
  message: (message: unknown, to: ReplicaId) => void,
): void {
  const { id, held } = process;
  const persist = (persistSeq: PersistSeq): void =>
    persistSeq === 0 ? digest.value(0) : digest.reference('persist', id, persistSeq);
  digest.value(process.queue.length);
  persist(process.queueSeq);
  persist(process.writingSeq);
  digest.value(held.length);
  for (const send of held) {
    persist(send.after);
    message(send.message, send.to);
  }
  digest.value(process.backlog.length);
  for (const entry of process.backlog) digestEntry(entry, digest);
  digest.value(process.applying === null ? 0 : process.applying.index);
  digestReached(process.applied, digest);
  digestSnapshots(process.snapshots, digest);
  digest.value(process.asked.length);
  for (const asked of process.asked) {
    digest.value(asked.request);
    digest.value(asked.index);
    digest.value(asked.committed);
    digest.value(asked.read ?? -1);
  }
  digest.value(process.stopped);
  digest.value(process.fault === null);
}
