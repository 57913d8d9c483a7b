/** Results of commands, compared and shown. */

import { sameBytes } from '../../core/bytes.js';
import type { StoredResult } from '../../replica/driver/session-table.js';

/** Whether two replicas gave the same. */
export function sameResult(a: StoredResult, b: StoredResult): boolean {
  if (a.rejected !== b.rejected) return false;
  if (a.value instanceof Uint8Array && b.value instanceof Uint8Array) return sameBytes(a.value, b.value);
  return Object.is(a.value, b.value);
}

/** A result as evidence of a violation. */
export function readable({ value, rejected }: StoredResult): unknown {
  const plain = value instanceof Uint8Array ? String.fromCharCode(...value.subarray(0, 200)) : value;
  return rejected ? { rejected: plain } : plain;
}
