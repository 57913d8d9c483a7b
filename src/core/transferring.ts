/** What a leader knows of a transfer of its leadership, and a replica of a Handover that it refused (`transfer.ts`). */

import type { ReplicaId } from './members.js';
import type { Index, Milliseconds, RequestNumber, Term } from './protocol.js';

/** A transfer under way, in a leader's state. */
export interface Transferring {
  /** `disk`, `priority`: the leader gives way of its own accord. */
  readonly why: 'asked' | 'disk' | 'priority';
  /** The request that asked for it; 0 if none did. */
  readonly request: RequestNumber;
  /** The target that was named; `null` if any will do. */
  readonly named: ReplicaId | null;
  /** Whom it is tried with. */
  readonly to: ReplicaId;
  /** Proposals are taken until the target holds everything up to here. */
  readonly through: Index;
  /** Proposals are refused. */
  readonly blocked: boolean;
  /** The number of the Handover that waits for its effect; 0 while the target lacks entries. */
  readonly number: number;
  /** To whom an earlier Handover went that was neither refused nor had its effect. */
  readonly doubtful: readonly ReplicaId[];
  /** Who refused. */
  readonly refused: readonly ReplicaId[];
  /** When the Handover is sent again, or another target is tried. */
  readonly retryAt: Milliseconds;
  /** When the transfer is given up. */
  readonly deadline: Milliseconds;
}

/** A Handover that this replica has refused: who sent it, in which term or ballot. */
export interface RefusedHandover {
  readonly from: ReplicaId;
  readonly term: Term;
  readonly number: number;
}

/** Whether a Handover left that may have its effect. */
export function hasHandedOver({ number, doubtful }: Transferring): boolean {
  return number !== 0 || doubtful.length > 0;
}

/** Whether a leader with this transfer may begin one because of its disk: it has none, or only would prefer another. */
export function yieldsToDisk(transfer: Transferring | null): boolean {
  return transfer === null || (transfer.why === 'priority' && !hasHandedOver(transfer));
}
