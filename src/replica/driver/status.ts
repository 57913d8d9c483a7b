/** What operators see of a replica: its core's view, and what the driver adds to it. */

import type { AnyProtocol } from '../../core/tuning.js';
import { coreOf, faultOf } from './draft.js';
import { healthOf } from './health.js';
import { pullOf } from './pull-state.js';
import { firstStartOf, type FirstStart } from './first-start.js';
import type { DriverState, DriverStatus } from './state.js';
import { timingStatusOf } from './timing.js';
import { waitingBytesOf } from './waiting-bytes.js';

const NO_CORE = {
  term: 0,
  leader: null,
  commit: 0,
  delivered: 0,
  applied: 0,
  first: 1,
  last: 0,
  durable: 0,
  uncommittedBytes: 0,
  unappliedBytes: 0,
  leaving: false,
  newestStamp: 0,
  clockOff: null,
  peers: [],
};

/** A first start that has not come to its end; nothing of it is left once the core runs. */
function firstStart({ phase, identity }: DriverState): FirstStart | null {
  return phase.kind === 'establishing' || phase.kind === 'lostIdentity' ? firstStartOf(identity) : null;
}

/** What a replica shows of itself. */
export function statusOf(state: DriverState, protocol: AnyProtocol): DriverStatus {
  const { options, phase, leadership, applying, proposals, reads, snapshots, pulling, health } = state;
  const core = coreOf(phase);
  const status = core === null ? { ...NO_CORE, role: leadership.role } : protocol.status(core);
  return {
    ...status,
    peers: status.peers.map((peer) => ({ ...peer, health: healthOf(peer, health, state.now, options.timing) })),
    id: options.id,
    applied: applying.applied,
    fault: faultOf(phase)?.reason ?? null,
    cluster: options.cluster,
    protocol: protocol.name,
    incarnation: options.incarnation,
    boot: options.boot,
    phase: phase.kind,
    firstStart: firstStart(state),
    leading: leadership.leading,
    leaving: state.transfers.leaving !== null,
    members: options.configuration.members,
    logTime: applying.time,
    snapshots: snapshots.named.map(({ index, bytes }) => ({ index, bytes })),
    pulling: pullOf(pulling),
    restoring: snapshots.restoring !== null,
    waiting: proposals.count + reads.count,
    bytes: waitingBytesOf(state, status),
    timing: timingStatusOf(state.timing, options),
  };
}
