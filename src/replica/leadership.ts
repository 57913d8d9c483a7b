/**
 * Leadership as an application follows it: states with a signal that aborts when the state ends, and a fencing token
 * that only grows.
 */

import type { Status } from '../core/protocol.js';

/** An AbortSignal, as far as the library needs one; every platform's fits. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(kind: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(kind: 'abort', listener: () => void): void;
}

/** The platform's own `AbortSignal` where its types are known, our description of it elsewhere. */
export type PlatformSignal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : Signal;

/** One state of leadership, yielded by `Replica.leadership`. */
export interface Leadership {
  /** Whether this replica leads and has applied the no-op by which its leadership took effect. */
  readonly leading: boolean;
  /** The id of the leader that this replica knows; `null` if it knows none. */
  readonly leader: Status['leader'];
  /** Raft's term; in Multi-Paxos the ballot. */
  readonly term: number;
  /**
   * While leading, the fencing token: the log index of that no-op, larger than the fence of any earlier leadership of
   * the cluster. 0 while this replica does not lead.
   */
  readonly fence: number;
  /** Aborts when this state ends: the replica steps down, loses its quorum, wakes from a long pause, or is closed. */
  readonly signal: PlatformSignal;
}
