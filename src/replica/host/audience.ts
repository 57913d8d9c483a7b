/** Whom the host tells: the side of a replica that faces its callers and listeners. */

import type { Entry } from '../../core/protocol.js';
import type { Failure, ReplicaEvent } from '../driver/state.js';
import type { StoredResult } from '../driver/session-table.js';

/** The callbacks of the host: what was applied, ends of calls, and events. */
export interface Audience {
  /** The host begins to handle events: calls may end, and their callers ask for more in the same turn. */
  works(): void;
  /** These commands were applied, in order, with these results; there may be more commands than results. */
  applied(commands: readonly Entry[], results: readonly StoredResult[]): void;
  /** The machine restores a snapshot: what was applied up to this index is told to nobody. */
  restores(index: number): void;
  answer(call: number, result: StoredResult, index: number): void;
  serve(calls: readonly number[], index: number): void;
  transferred(call: number, leader: string): void;
  compacted(call: number, index: number, first: number): void;
  fail(calls: readonly number[], failure: Failure): void;
  /** Fails every call that waits: the driver cannot even halt. */
  failAll(failure: Failure): void;
  tell(event: ReplicaEvent): void;
}
