/** The coverage points of trimmed logs and of snapshots of peers, for the rig: the same in both protocols. */

import type { Hit } from './model.js';
import type { CoveredStep } from './pre-vote-coverage.js';

const TRIMMED = 'the log was trimmed';
const ASKED = 'asked for what was trimmed';
const NEEDED = 'a snapshot was needed';
const INSTALLED = 'a snapshot of a peer was installed';
const UNSYNCED = 'a snapshot of a peer was installed over what was on its way to disk';
const WAITING = 'a snapshot of a peer was installed while requests waited';

export const compactionPoints: readonly string[] = [TRIMMED, ASKED, NEEDED, INSTALLED, UNSYNCED, WAITING];

export function coverCompaction({ before, after, inbound, outbound }: CoveredStep, hit: Hit): void {
  if (outbound.some((each) => each.kind === 'send' && each.message.kind === 'logBegins')) hit(ASKED);
  if (outbound.some((each) => each.kind === 'pull')) hit(NEEDED);
  if (inbound.kind === 'snapshotTaken' && after.log.first > before.log.first) hit(TRIMMED);
  if (inbound.kind !== 'install' || before === after) return;
  hit(INSTALLED);
  if (before.unsynced.length > 0) hit(UNSYNCED);
  if (before.attempts !== null) hit(WAITING);
}
