/** Halts the replica when its code throws: an error inside the driver or the core becomes the replica's fault. */

import { InvariantViolation } from '../../core/assert.js';
import { Malformed } from '../../core/bytes.js';
import type { DriverDraft } from './draft.js';
import { textOf, typedError, type ErrorCode } from '../errors.js';

/** The evidence of a violation as text. Bytes are replaced by their length: they are long and may be secret. */
function evidenceText(evidence: unknown): string {
  const short = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? `${value.length} bytes` : value);
  try {
    return JSON.stringify(evidence, short) ?? '';
  } catch {
    return ''; // it is no JSON
  }
}

function codeOf(error: unknown): ErrorCode {
  return typedError(error, error instanceof Malformed ? 'ERR_STORAGE_CORRUPT' : 'ERR_INVARIANT').code;
}

/** Runs `work`; if it throws, a rule is broken, and the replica halts while the process goes on. */
export function guarded(draft: DriverDraft, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof InvariantViolation) {
      // Its evidence stands in the reason; as a cause it would carry the bytes, too.
      draft.halt({ code: codeOf(error), reason: `${error.message} ${evidenceText(error.evidence)}` });
    } else draft.halt({ code: codeOf(error), reason: textOf(error), cause: error });
  }
}
