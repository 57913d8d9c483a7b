/** The state of a bare core's simplest host, and what of it influences what comes next. */

import { digestEntry, type Digest } from '../../core/model.js';
import type { Entry, Index, PersistOp, RequestNumber, Send, PersistSeq } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { StoredResult } from '../../replica/driver/session-table.js';

/** A request of a caller; its number is the caller's. */
export interface Asked {
  readonly request: RequestNumber;
  /** Of a proposal: where its entry was applied here, 0 before, and what the machine made of it. */
  readonly index: Index;
  readonly result: StoredResult | null;
  /** The core has said that it is committed. */
  readonly committed: boolean;
  /** Of a read: what must be applied, once the core has said so. */
  readonly read: Index | null;
}

export interface CoreProcess {
  readonly id: ReplicaId;
  readonly core: unknown;
  readonly queue: readonly PersistOp[];
  readonly queueSeq: PersistSeq;
  readonly writingSeq: PersistSeq;
  readonly durableSeq: PersistSeq;
  readonly held: readonly Send<unknown>[];
  /** Committed and not yet given to the machine. */
  readonly backlog: readonly Entry[];
  /** The last index of what the machine is busy with, 0 when it is not, and the commands up to there. */
  readonly applying: Index;
  readonly commands: readonly Entry[];
  readonly applied: Index;
  readonly asked: readonly Asked[];
  readonly stopped: boolean;
  readonly fault: string | null;
}

/**
 * The origin in the id of every proposal. Calls are counted for the whole world, so that the number of one is enough to
 * name it; and worlds that differ only by the names of replicas stay alike.
 */
export const SESSION = 1;

/** Feeds what a process knows beside its core's state. */
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
  digest.value(process.applying);
  digest.value(process.applied);
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
