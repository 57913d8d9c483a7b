/**
 * Snapshots, as far as a core has to do with them: it names them in the persist lane. A snapshot is the state of the
 * application at one index; a start that restores it applies only what follows.
 *
 * Invariants: a snapshot exists only once a durable persist names it (snapshots/named-in-the-lane), and the commit
 * index in that persist is at least its index (snapshots/commit-covers-it), so whoever restores it knows that all of it
 * is committed. The lane is in order, so every entry that the snapshot rests on is durable before.
 */

import { assert } from './assert.js';
import type { AnyDraft } from './draft.js';
import type { SnapshotTaken } from './protocol.js';

/**
 * The application has a complete and durable snapshot. One at or below the last one that was named is ignored.
 * @throws RangeError when it holds what was never applied
 */
export function onSnapshotTaken(draft: AnyDraft, { snapshot }: SnapshotTaken): void {
  const { state, commitIndex } = draft;
  const { index } = snapshot;
  if (index > state.delivery.applied) throw new RangeError(`snapshotTaken: ${index} was never applied`);
  if (index <= (state.snapshot?.index ?? 0)) return;
  assert(index <= commitIndex, 'snapshots/commit-covers-it: a snapshot holds what is committed, and nothing else');
  draft.nameSnapshot(snapshot);
}
