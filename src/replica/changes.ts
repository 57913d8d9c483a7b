/** The applied commands of a replica, as `Replica.changes` yields them, in the order of the log. */

import type { RequestOutcome } from './errors.js';
import type { PlatformSignal } from './leadership.js';
import type { AnyMachine, CommandOf, ResultOf } from './options.js';

/** A command that took effect. */
export interface AppliedChange<M extends AnyMachine = AnyMachine> {
  readonly kind: 'applied';
  /** The log index of its entry. */
  readonly index: number;
  /** Log time, in milliseconds since the epoch, as the machine saw it with the command; 0 before any was known. */
  readonly time: number;
  /** Decoded for this consumer alone, like the result. */
  readonly command: CommandOf<M>;
  readonly result: ResultOf<M>;
}

/** A command that the machine refused in `apply`, the same on every replica. */
export interface RejectedChange<M extends AnyMachine = AnyMachine> {
  readonly kind: 'rejected';
  readonly index: number;
  readonly time: number;
  readonly command: CommandOf<M>;
  /** That of the machine's `CommandRejected`; the text of what else it threw, with `onApplyError: 'reject'`. */
  readonly reason: unknown;
  /** `unknown` where it threw something else than `CommandRejected`, so that it may have changed its state before. */
  readonly outcome: RequestOutcome;
}

/** One applied command. */
export type Change<M extends AnyMachine = AnyMachine> = AppliedChange<M> | RejectedChange<M>;

/** Options of `Replica.changes`. */
export interface ChangesOptions {
  /** The log index to begin with, itself included, 1 or more; by default that of the next command to be applied. */
  readonly from?: number | undefined;
  /** Ends the iterator with ERR_TIMEOUT when it aborts. */
  readonly signal?: PlatformSignal | undefined;
}
