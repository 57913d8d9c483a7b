/** When a driver must get its next tick. */

import type { Milliseconds } from '../../core/protocol.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { proposalsDeadline } from './commands.js';
import { pullingDeadline } from './pull-state.js';
import { readsDeadline } from './reads.js';
import { sourcesDeadline } from './snapshot-sources.js';
import { snapshotsDeadline } from './snapshots-state.js';
import type { DriverState } from './state.js';
import { transfersDeadline } from './transfers.js';

/** The time at which requests that wait for a leader or for the end of a pause can be passed to the core. */
function feedingDeadline({ session, calls, proposals, reads, leadership, now }: DriverState): Milliseconds {
  if (leadership.leader === null) return Infinity;
  const { pausedUntil } = calls;
  const commandsFrom = Math.max(pausedUntil, calls.fullUntil);
  const waits = session.kind !== 'open' || proposals.queued !== null || proposals.retrying !== null;
  const proposed = waits && commandsFrom > now ? commandsFrom : Infinity;
  const read = reads.queued !== null && pausedUntil > now ? pausedUntil : Infinity;
  const opened = session.kind === 'opening' ? Math.max(session.deadline, commandsFrom) : Infinity;
  return Math.min(proposed, read, opened);
}

/** The earliest time at which anything of it is due; `Infinity` if nothing is. */
export function deadlineOf(state: DriverState, protocol: AnyProtocol): Milliseconds {
  const { phase, identity, proposals, reads, transfers, pulling, sources, snapshots, applying, options } = state;
  const expiry = Math.min(proposalsDeadline(proposals), readsDeadline(reads), transfersDeadline(transfers));
  // While the machine is at work its end is the next chance.
  const taken = applying.running === null ? snapshotsDeadline(snapshots, options.snapshotPolicy) : Infinity;
  const pulled = Math.min(pullingDeadline(pulling), sourcesDeadline(sources), taken);
  if (phase.kind === 'running') {
    return Math.min(expiry, protocol.deadline(phase.core), feedingDeadline(state), pulled);
  }
  if (phase.kind !== 'establishing') return Infinity;
  const { standing } = identity;
  return standing.kind === 'asking' ? Math.min(expiry, standing.askAt) : expiry;
}
