/**
 * Snapshots, as far as a core has to do with them: it names them in the persist lane, lets the log begin behind them,
 * and takes one of a peer in place of entries that nobody has any more. A snapshot is the state of the application at
 * one index; a start that restores it applies only what follows.
 *
 * Invariants: a snapshot exists only once a durable persist names it (snapshots/named-in-the-lane), and the commit
 * index in that persist is at least its index (snapshots/commit-covers-it), so whoever restores it knows that all of it
 * is committed. The lane is in order, so every entry that the snapshot rests on is durable before. The log is trimmed
 * at or below a named snapshot only, and only of what is durable (snapshots/trim-below-snapshot). A snapshot of a peer
 * is installed only above the commit index, so nothing delivered is taken back (snapshots/install-above-commit).
 */

import { assert } from './assert.js';
import { endAllAttempts } from './attempts.js';
import { deliveredAgain } from './delivery.js';
import type { AnyDraft } from './draft.js';
import type { LogBegins } from './election-messages.js';
import { baseOf, termAt, trim } from './log.js';
import type { ReplicaId } from './members.js';
import type { Index, LogBase, SnapshotName, SnapshotTaken, Term } from './protocol.js';

/** What the log is to begin behind: `through`, or less as long as that is not durable; as it is if that is below. */
function baseFor({ state, durable }: AnyDraft, through: Index): LogBase {
  const base = baseOf(state.log);
  const index = Math.min(through, durable);
  return index <= base.index ? base : { index, term: termAt(state.log, index) as Term };
}

/** Whether it is named already, and no more is to be trimmed, or a newer one is. */
function isKnown({ state }: AnyDraft, { index, term, checksum }: SnapshotName, base: LogBase): boolean {
  const { snapshot, log } = state;
  if (snapshot === null || index > snapshot.index) return false;
  const isSame = index === snapshot.index && term === snapshot.term && checksum === snapshot.checksum;
  return !isSame || base.index < log.first;
}

/**
 * The application has a complete and durable snapshot, or wants the log trimmed further behind the last one that was
 * named. Any other one at or below that is ignored.
 * @throws RangeError when it holds what was never applied, or more is to be trimmed than it holds
 */
export function onSnapshotTaken(draft: AnyDraft, { snapshot, through }: SnapshotTaken): void {
  const { state, commitIndex } = draft;
  const { index } = snapshot;
  if (index > state.delivery.applied) throw new RangeError(`snapshotTaken: ${index} was never applied`);
  if (through > index) throw new RangeError(`snapshotTaken: ${through} is not in the snapshot at ${index}`);
  const base = baseFor(draft, through);
  if (isKnown(draft, snapshot, base)) return;
  assert(index <= commitIndex, 'snapshots/commit-covers-it: a snapshot holds what is committed, and nothing else');
  draft.nameSnapshot(snapshot, base);
  if (base.index >= state.log.first) draft.setLog(trim(state.log, base.index));
}

/**
 * Whether a snapshot of a peer is to be installed: one at or below the commit index has nothing new, and is ignored.
 */
export function isNews({ commitIndex }: AnyDraft, { index }: SnapshotName): boolean {
  return index > commitIndex;
}

/**
 * After the log begins behind an installed snapshot: the application goes on from there. What waited for entries that
 * are in it, and are never seen, is tried again.
 */
export function goOnBehind(draft: AnyDraft, snapshot: SnapshotName): void {
  const { delivery, attempts, stamp } = draft.state;
  if (snapshot.time > stamp) draft.setStamp(snapshot.time);
  draft.setDelivery(deliveredAgain(delivery, snapshot.index));
  draft.restore(snapshot);
  draft.endAttempts(endAllAttempts(attempts, 'restored', null));
}

/** The log begins above what a peer asks for: the peer needs a snapshot. @param number that of its question */
export function tellLogBegins(draft: AnyDraft, peer: ReplicaId, number: number): void {
  const { state } = draft;
  const message: LogBegins = { kind: 'logBegins', term: draft.termOf(state), number, first: state.log.first };
  draft.send(peer, message, 0, 'control');
}
