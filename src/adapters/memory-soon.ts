/** A later turn of the event loop, on every platform. */

/** The globals used, declared here because this file is checked without the types of any platform. */
interface SchedulingPlatform {
  setImmediate?(callback: () => void): unknown;
  setTimeout(callback: () => void, delay: number): unknown;
}

/** Calls back in a later turn. */
export function systemSoon(callback: () => void): void {
  const platform = globalThis as unknown as SchedulingPlatform;
  if (platform.setImmediate === undefined) platform.setTimeout(callback, 0);
  else platform.setImmediate(callback);
}
