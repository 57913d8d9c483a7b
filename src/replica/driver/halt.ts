/** Halts the replica when its code throws: an error inside the driver or the core becomes the replica's fault. */

import { InvariantViolation } from '../../core/assert.js';
import { Malformed } from '../../core/bytes.js';
import type { DriverDraft } from './draft.js';
import { ConsensusError, type ErrorCode } from '../errors.js';

/** The evidence of a violation as text. Bytes are replaced by their length: they are long and may be secret. */
function shown(evidence: unknown): string {
  const short = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? `${value.length} bytes` : value);
  return JSON.stringify(evidence, short) ?? '';
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof ConsensusError) return error.code;
  return error instanceof Malformed ? 'ERR_STORAGE_CORRUPT' : 'ERR_INVARIANT';
}

/** Runs `work`; if it throws, a rule is broken, and the replica halts while the process goes on. */
export function guarded(draft: DriverDraft, work: () => void): void {
  try {
    work();
  } catch (error) {
    const evidence = error instanceof InvariantViolation ? ` ${shown(error.evidence)}` : '';
    draft.halt({ code: codeOf(error), reason: `${(error as Error).message}${evidence}` });
  }
}
