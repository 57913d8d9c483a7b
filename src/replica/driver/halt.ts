/** From a broken law to a halt: what is thrown inside becomes the fault with which the replica halts. */

import { InvariantViolation } from '../../core/assert.js';
import { Malformed } from '../../core/bytes.js';
import type { DriverDraft } from './draft.js';
import { ConsensusError, type ErrorCode } from '../errors.js';

/** An entry's bytes would bury what is to be read, and may be those of a secret. */
function shown(evidence: unknown): string {
  const short = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? `${value.length} bytes` : value);
  return JSON.stringify(evidence, short) ?? '';
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof ConsensusError) return error.code;
  return error instanceof Malformed ? 'ERR_STORAGE_CORRUPT' : 'ERR_INVARIANT';
}

/** What the core throws is a broken law: the replica halts, and the process goes on. */
export function guarded(draft: DriverDraft, work: () => void): void {
  try {
    work();
  } catch (error) {
    const evidence = error instanceof InvariantViolation ? ` ${shown(error.evidence)}` : '';
    draft.halt({ code: codeOf(error), reason: `${(error as Error).message}${evidence}` });
  }
}
