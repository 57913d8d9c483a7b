/** The checks and errors of the memory transport. */

import { ConsensusError, invalidArgument } from '../replica/errors.js';

export function failed(message: string): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_TRANSPORT_FAILED' });
}

export function positive(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument(`memoryNetwork: ${name}: expected a positive integer, got ${String(value)}`);
}
