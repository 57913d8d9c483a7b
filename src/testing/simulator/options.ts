/** How a run is run, and what it counts. */

import type { Milliseconds } from '../../core/protocol.js';
import type { Observer } from '../world/facts.js';
import type { FaultKind, Plan } from './plan.js';

/** How messages and disks behave from now on. */
export interface Weather {
  readonly network: Plan['network'];
  readonly disk: Plan['disk'];
  readonly apply: Milliseconds;
}

/** What a run counts. */
export interface Tally {
  /** Messages that arrived at a running replica, and everything else that happened of itself. */
  delivered: number;
  actions: number;
  readonly faults: Map<FaultKind, number>;
  readonly coverage: Map<string, number>;
}

export interface RunOptions {
  /** Whether to keep what happens. */
  readonly keep: boolean;
  readonly coverage: boolean;
  readonly observer?: Observer | undefined;
  /** Takes in what the cluster looks like from afar, now and then. */
  readonly abstractStates?: Set<number> | undefined;
}
