/** The host's source of time and timers, which tests replace, and its implementation on the platform's timers. */

/** A pending timer or deferred call. */
export interface Cancellable {
  cancel(): void;
}

/** Monotonic time, timers, and the time of day. */
export interface Clock {
  /** Monotonic milliseconds, with fractions. Never the wall clock. */
  now(): number;
  /**
   * Milliseconds since the epoch, by a clock that may jump: for log time, and to notice that the host slept. One that
   * throws, or gives no finite number, halts nothing. Log time goes on from what it showed before. With
   * `constants.leaseReads` each event then counts as the end of a sleep: lease reads are served as linearizable ones,
   * and stale reads with `maxAge` wait at a follower for the leader's next message.
   */
  wall(): number;
  /** Calls back once, not before `delay` milliseconds have passed; any delay is allowed, it is clamped below 2^31. */
  after(delay: number, callback: () => void): Cancellable;
  /** Calls back in a coming turn of the event loop, after input that is already queued. */
  soon(callback: () => void): Cancellable;
}

/** The globals used, declared here because this folder is checked without the types of any platform. */
interface TimerPlatform {
  performance: { now(): number };
  Date: { now(): number };
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  setImmediate?(callback: () => void): unknown;
  clearImmediate?(timer: unknown): void;
}

const LONGEST_DELAY = 2 ** 31 - 1;

/** The clock of Node, Deno, Bun and browsers. */
export function systemClock(): Clock {
  const platform = globalThis as unknown as TimerPlatform;
  const after = (delay: number, callback: () => void): Cancellable => {
    const timer = platform.setTimeout(callback, Math.min(Math.max(0, Math.ceil(delay)), LONGEST_DELAY));
    return { cancel: () => platform.clearTimeout(timer) };
  };
  const soon = (callback: () => void): Cancellable => {
    if (platform.setImmediate === undefined || platform.clearImmediate === undefined) return after(0, callback);
    const timer = platform.setImmediate(callback);
    return { cancel: () => platform.clearImmediate?.(timer) };
  };
  return { now: () => platform.performance.now(), wall: () => platform.Date.now(), after, soon };
}
