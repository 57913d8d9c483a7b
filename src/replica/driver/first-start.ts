/**
 * How many members a first start needs, and why it waits: for `status()`, and for the errors of the requests that
 * waited with it.
 */

import type { ReplicaId } from '../../core/members.js';
import type { RefusalReason } from './envelope.js';
import type { IdentityState } from './peer-records.js';

/**
 * How many of the other members must hold a final record of a replica of a cluster of `members`: so many that two such
 * sets share one that has its disk, although a minority of all disks, the replica's own among them, was lost. Up to
 * five members that is a majority of the others; of six it is four, of seven five.
 */
export function recordersNeeded(members: number): number {
  const others = members - 1;
  if (others === 0) return 0;
  return Math.max(Math.floor(others / 2) + 1, Math.ceil((others + Math.floor(others / 2)) / 2));
}

/** Why a first start waits: what each of the other members has answered. */
export interface FirstStart {
  /** How many of the others must confirm that they know this replica. */
  readonly needed: number;
  /** They know this replica for good. */
  readonly confirmed: readonly ReplicaId[];
  /** They have noted it, and will be asked to confirm it once enough have. */
  readonly noted: readonly ReplicaId[];
  /** They have not answered. */
  readonly missing: readonly ReplicaId[];
  /** They refused it, for these reasons. */
  readonly refused: readonly { readonly peer: ReplicaId; readonly reason: string }[];
}

const EXPLANATIONS: Readonly<Record<RefusalReason, string>> = {
  incarnation: 'it knows this replica by other data',
  configuration: 'it was given other members or constants',
  replaced: 'another replica was started under this id meanwhile',
};

export function explained(reason: RefusalReason): string {
  return EXPLANATIONS[reason];
}

export function firstStartOf({ introducedTo }: IdentityState): FirstStart {
  const confirmed: ReplicaId[] = [];
  const noted: ReplicaId[] = [];
  const missing: ReplicaId[] = [];
  const refused: { peer: ReplicaId; reason: string }[] = [];
  for (const { id, answer, refusal } of introducedTo) {
    if (refusal !== null) refused.push({ peer: id, reason: refusal });
    else if (answer === 'confirmed') confirmed.push(id);
    else (answer === 'noted' ? noted : missing).push(id);
  }
  return { needed: recordersNeeded(introducedTo.length + 1), confirmed, noted, missing, refused };
}

/** A first start that waits, in a sentence. */
export function describeFirstStart({ needed, confirmed, noted, missing, refused }: FirstStart): string {
  const others = confirmed.length + noted.length + missing.length + refused.length;
  const parts = [`the first start of this replica needs ${needed} of the ${others} other members`];
  const known = [...confirmed, ...noted];
  if (known.length > 0) parts.push(`${known.join(', ')} answered`);
  if (missing.length > 0) parts.push(`${missing.join(', ')} did not answer`);
  for (const { peer, reason } of refused) parts.push(`${peer} refused: ${reason}`);
  return parts.join('; ');
}
