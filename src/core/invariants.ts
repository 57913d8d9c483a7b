/**
 * What always holds of the part of a state that both protocols have, and between two of them: checked in production by
 * each protocol's `checkState` and `checkStep`, so it follows what waits in a state, and what a step changed.
 */

import { assert } from './assert.js';
import { mostSpread } from './election-timer.js';
import type { Index } from './protocol.js';
import type { CoreState } from './state.js';
import { durableIndex, type UnsyncedRun } from './unsynced.js';

/** @throws InvariantViolation naming what does not hold */
export function checkCoreState(state: CoreState, commit: Index): void {
  const { log, delivery, role, unsynced, persistSeq, durableSeq, hardSeq, electionTimer, options } = state;
  assert(commit <= log.last, 'log/delivery-in-bounds: the commit index lies within the log');
  assert(
    delivery.applied <= delivery.delivered && delivery.delivered <= commit,
    'log/delivery-in-bounds: applied ≤ delivered ≤ commit',
  );
  assert(
    log.tailFrom <= Math.max(log.first, Math.min(commit, durableIndex(unsynced, log.last)) + 1),
    'durability/kept-until-durable: memory holds what is not durable or not committed',
  );
  assert(
    hardSeq <= persistSeq && durableSeq <= persistSeq,
    'durability/persists-in-order: no persist is waited for that was not issued',
  );
  for (let at = 0; at < unsynced.length; at++) {
    const run = unsynced[at] as UnsyncedRun;
    assert(
      run.from <= run.to && run.persistSeq > durableSeq && run.persistSeq <= persistSeq,
      'durability/unsynced-runs: what is durable is not unsynced',
    );
  }
  assert(
    electionTimer.spread <= mostSpread(options.timing),
    'liveness/spread-grows: the spread of timeouts is doubled no more often than it may be',
  );
  const { snapshot } = state;
  assert(
    snapshot === null || snapshot.index <= delivery.delivered,
    'snapshots/commit-covers-it: a snapshot holds what is committed and delivered',
  );
  assert(
    log.first - 1 <= (snapshot?.index ?? 0),
    'snapshots/trim-below-snapshot: what the log does not hold is in a snapshot',
  );
  if (!state.stopped) return;
  assert(role.kind === 'follower' && role.leader === null, 'core/stop-is-final: a stopped replica takes no part');
  assert(state.attempts === null && state.reads === null, 'core/stop-is-final: a stopped replica waits for nothing');
}

/** @throws InvariantViolation naming what does not hold between the states before and after a step */
export function checkCoreStep(before: CoreState, after: CoreState): void {
  assert(!before.stopped, 'core/stop-is-final: a stopped replica takes no part');
  assert(after.now >= before.now, 'law/time-is-data: time never falls');
  assert(after.stamp >= before.stamp, 'time/stamps-carry-on: the newest stamp stays the newest');
  assert(after.delivery.delivered >= before.delivery.delivered, 'log/delivered-in-order: nothing is delivered twice');
  assert(after.delivery.applied >= before.delivery.applied, 'log/delivered-in-order: nothing is applied twice');
  assert(
    (after.snapshot?.index ?? 0) >= (before.snapshot?.index ?? 0),
    'snapshots/newer-replaces-older: the snapshot that a start restores is never an older one',
  );
  assert(after.log.first >= before.log.first, 'snapshots/trim-below-snapshot: what was trimmed does not come back');
  assert(
    after.persistSeq >= before.persistSeq && after.durableSeq >= before.durableSeq,
    'durability/persists-in-order: the persist lane goes forward',
  );
}
