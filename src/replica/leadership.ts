/**
 * Leadership as an application sees it: a state to follow, with a signal that aborts when it ends and a fence that
 * only grows.
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

export interface Leadership {
  /** Whether this replica leads, and the entry by which it does is applied here. */
  readonly leading: boolean;
  readonly leader: Status['leader'];
  readonly term: number;
  /** While leading, the index of the entry by which it took effect: larger than that of any earlier leadership. */
  readonly fence: number;
  /** Aborts when this state ends: by stepping down, by loss of the quorum, after a long pause, on close. */
  readonly signal: PlatformSignal;
}
