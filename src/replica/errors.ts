/**
 * What users can catch. Every error has a `code`, says whether trying again may help, and what became of the
 * request: `none` is a promise that it had and will have no effect, `unknown` is not. Errors are branded, so
 * `instanceof` holds across the ESM and the CommonJS copy of the package.
 */

/** Every code, with what it means. */
export type ErrorCode =
  /** An option, an id, an address or a command breaks its rule; the message names it. */
  | 'ERR_INVALID_ARGUMENT'
  /** The replica is closed, or was closed while the request waited. One that has halted fails with its fault's code. */
  | 'ERR_CLOSED'
  /** No leader was known until the request's time was over, and the request never left this replica. */
  | 'ERR_NO_LEADER'
  /** The request's time was over, or its signal aborted, and its fate is not known here. */
  | 'ERR_OUTCOME_UNKNOWN'
  /** The request's time was over, or its signal aborted, and it had no effect. */
  | 'ERR_TIMEOUT'
  /** Too much is waiting: try again later. */
  | 'ERR_BUSY'
  /** The encoded command is above the cluster's limit. */
  | 'ERR_TOO_LARGE'
  /** The command or its result cannot be encoded. */
  | 'ERR_NOT_SERIALIZABLE'
  /** The state machine refused the command: a result like any other, recorded and replicated. */
  | 'ERR_COMMAND_REJECTED'
  /** The state machine threw, so this replica has halted: it no longer knows its own state. */
  | 'ERR_APPLY_FAILED'
  /** `apply` returned a promise. */
  | 'ERR_APPLY_ASYNC'
  /** A write or sync failed, so this replica has halted and its storage takes nothing more. */
  | 'ERR_STORAGE_FAILED'
  /** What is stored does not verify; the message names file and offset. */
  | 'ERR_STORAGE_CORRUPT'
  /** Another open storage, maybe of another process, holds the same data. */
  | 'ERR_STORAGE_LOCKED'
  /** The data belongs to another replica, cluster or protocol. */
  | 'ERR_STORAGE_MISMATCH'
  /** This replica lost its disk, or found it set back: its identity lives on with its peers, and it takes no part. */
  | 'ERR_LOST_IDENTITY'
  /** The transport cannot listen or was given an address it cannot use. */
  | 'ERR_TRANSPORT_FAILED'
  /** A law of the protocol is broken: this replica has halted rather than do harm. */
  | 'ERR_INVARIANT';

/** What became of the request. */
export type RequestOutcome = 'none' | 'unknown';

/** What an error says beside its message. */
export interface ErrorDetails {
  readonly code: ErrorCode;
  readonly retryable?: boolean;
  readonly outcome?: RequestOutcome;
  readonly cause?: unknown;
}

const errorBrand = Symbol.for('quorate.ConsensusError');
const rejectionBrand = Symbol.for('quorate.CommandRejected');

function isBranded(value: unknown, brand: symbol): boolean {
  return typeof value === 'object' && value !== null && brand in value;
}

/** The one error class of the library; tell errors apart by `code`. */
export class ConsensusError extends Error {
  override readonly name: string = 'ConsensusError';
  readonly code: ErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  readonly outcome: RequestOutcome;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.retryable = details.retryable ?? false;
    this.outcome = details.outcome ?? 'none';
    Object.defineProperty(this, errorBrand, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isBranded(value, this === ConsensusError ? errorBrand : rejectionBrand);
  }
}

/**
 * Thrown by a state machine's `apply` to refuse a command. The refusal is a result: every replica records it,
 * and the proposer's promise is rejected with it. `reason` must be encodable like a result.
 */
export class CommandRejected extends ConsensusError {
  override readonly name: string = 'CommandRejected';
  readonly reason: unknown;

  constructor(reason: unknown) {
    const text = typeof reason === 'string' ? reason : 'the state machine refused the command';
    super(text, { code: 'ERR_COMMAND_REJECTED' });
    this.reason = reason;
    Object.defineProperty(this, rejectionBrand, { value: true });
  }
}

/** Misuse: thrown synchronously, names the option and what was expected. */
export function invalidArgument(message: string): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_INVALID_ARGUMENT' });
}
