/** Deep freezing, so that whoever edits a value that it gave away throws at once (law/values). */

const done = new WeakSet<object>();

/** Freezes everything reachable, once. Bytes cannot be frozen; `fingerprint` watches over those. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || done.has(value)) return value;
  done.add(value);
  if (ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  for (const key of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[key]);
  return value;
}

/** Everything a plain value says, as text: equal for equal values, bytes included. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (each instanceof Uint8Array) return `bytes:${Buffer.from(each).toString('hex')}`;
    if (each === Infinity) return 'infinity';
    if (each === undefined) return 'undefined';
    return each;
  });
}
