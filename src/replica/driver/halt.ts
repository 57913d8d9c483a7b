/**
 * How a replica halts: the driver ends every request, keeps the fault with its code for whoever asks later, and does
 * nothing any more. The process goes on.
 */

import { InvariantViolation } from '../../core/assert.js';
import { Malformed } from '../../core/bytes.js';
import { endAll } from './calls.js';
import type { DriverDraft } from './draft.js';
import { ConsensusError, type ErrorCode } from '../errors.js';

/** Stops for good: nothing is voted, written or answered any more. */
export function halt(draft: DriverDraft, code: ErrorCode, reason: string): void {
  const { next } = draft;
  if (next.phase === 'halted' || next.phase === 'stopped') return;
  endAll(draft, { code, outcome: 'unknown', message: `the replica has halted: ${reason}` });
  next.phase = 'halted';
  next.fault = reason;
  next.faultCode = code;
  next.held = [];
  next.queue = [];
  draft.event({ kind: 'fault', code, reason });
}

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
    halt(draft, codeOf(error), `${(error as Error).message}${evidence}`);
  }
}
