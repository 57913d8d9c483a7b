/** The settings of one run and its counters. */

import type { Milliseconds } from '../../core/protocol.js';
import type { Observer } from '../world/facts.js';
import type { FaultKind, Plan } from './plan.js';

/** How messages and disks behave in a phase of the run. */
export interface Weather {
  readonly network: Plan['network'];
  /** Of a write, and of a load. */
  readonly disk: Plan['disk'];
  readonly load: Plan['load'];
  readonly apply: Milliseconds;
}

/** The counters of a run. */
export interface Tally {
  /** Messages that arrived at a running replica, and all actions. */
  delivered: number;
  actions: number;
  readonly faults: Map<FaultKind, number>;
  readonly coverage: Map<string, number>;
  /** Of a paced run: how often several callers came at once, and the most bytes that padded a command. */
  bursts: number;
  largest: number;
  /** How often a message found no room in its lane. */
  full: number;
}

export interface RunOptions {
  /** Whether to keep the actions. */
  readonly keep: boolean;
  readonly coverage: boolean;
  readonly observer?: Observer | undefined;
  /** Collects abstract states of the cluster, at intervals. */
  readonly abstractStates?: Set<number> | undefined;
}
