/**
 * The errors of the library. Each has a `code`, says whether the same call may succeed later, and gives the request's
 * outcome. Errors are branded by a symbol, so `instanceof` holds across the ESM and the CommonJS copy of the package.
 */

/** The codes of all errors. */
export type ErrorCode =
  /** An option, an id, an address or a command breaks its rule; the message names it. */
  | 'ERR_INVALID_ARGUMENT'
  /** The replica is closed, or was closed while the request waited. After a halt the fault's own code is used. */
  | 'ERR_CLOSED'
  /** No leader was known before the request's deadline, and the request never left this replica. */
  | 'ERR_NO_LEADER'
  /** The request's deadline passed, or its signal aborted, and the command may still take effect. */
  | 'ERR_OUTCOME_UNKNOWN'
  /** The request's deadline passed, or its signal aborted, and it had and will have no effect. */
  | 'ERR_TIMEOUT'
  /** Asked of a replica that does not lead; the message names the leader. */
  | 'ERR_NOT_LEADER'
  /** The changes asked for, or next in turn, are no longer kept: the error is a `ChangesTrimmed`. */
  | 'ERR_CHANGES_TRIMMED'
  /** A client's session is not there: its time was over, it was closed, or it never was; see `Replica.session`. */
  | 'ERR_SESSION_EXPIRED'
  /** Somebody else has attached this client's session since. */
  | 'ERR_SESSION_FENCED'
  /** The sequence of a client's session is that of another command. */
  | 'ERR_SEQUENCE_REUSED'
  /** The client has said that it is done with this sequence of its session. */
  | 'ERR_SEQUENCE_COMPLETED'
  /** Nobody took the leadership over; the message says why, and `outcome` whether somebody still may. */
  | 'ERR_TRANSFER_FAILED'
  /** `compact` could take no snapshot; the older one and the log are as they were. */
  | 'ERR_SNAPSHOT_FAILED'
  /** `maxWaiting` requests are waiting on this replica: try again later. */
  | 'ERR_BUSY'
  /** The encoded command is longer than the cluster constant `maxEntryBytes`. */
  | 'ERR_TOO_LARGE'
  /**
   * The command cannot be encoded; or one in the log cannot be decoded, so this replica has halted, or, in `changes`,
   * for that consumer alone.
   */
  | 'ERR_NOT_SERIALIZABLE'
  /**
   * A result, or the reason of a rejection, cannot be encoded, so this replica has halted; or it cannot be decoded, for
   * its caller alone.
   */
  | 'ERR_RESULT_NOT_SERIALIZABLE'
  /**
   * The state machine refused the command: by `validate`, before it was proposed, or by `apply`; then the refusal is
   * its result, the same on every replica.
   */
  | 'ERR_COMMAND_REJECTED'
  /** The state machine threw its error, the `cause`, so this replica has halted: the machine's state is not known. */
  | 'ERR_APPLY_FAILED'
  /** `apply` returned a promise, so this replica has halted. */
  | 'ERR_APPLY_ASYNC'
  /** The machine could not be restored from a snapshot, so this replica has halted; the next start tries again. */
  | 'ERR_RESTORE_FAILED'
  /** A read, write or sync of the storage failed, so this replica has halted; nothing more is written. */
  | 'ERR_STORAGE_FAILED'
  /** This replica's storage is full: it takes no commands of its own callers until there is space. */
  | 'ERR_STORAGE_FULL'
  /** Stored data does not verify; the message names file and offset. */
  | 'ERR_STORAGE_CORRUPT'
  /** Another open storage, of this process or another, holds the same data. */
  | 'ERR_STORAGE_LOCKED'
  /** The data belongs to another replica, cluster or protocol. */
  | 'ERR_STORAGE_MISMATCH'
  /** This replica's disk was lost or set back: its peers know it by other data, so it takes no part. */
  | 'ERR_LOST_IDENTITY'
  /** The transport cannot listen or was given an address it cannot use; or it threw, so this replica has halted. */
  | 'ERR_TRANSPORT_FAILED'
  /** The option `clock` threw, or gave no finite number (but for `wall`), so this replica has halted. */
  | 'ERR_CLOCK_FAILED'
  /** A rule of docs/rules.md is broken, named in the message: this replica has halted to keep the others safe. */
  | 'ERR_INVARIANT';

/** `none`: the request had and will have no effect. `unknown`: it may have an effect, now or later. */
export type RequestOutcome = 'none' | 'unknown';

/** The fields of an error beside its message; `retryable` is false by default, `outcome` is `none`. */
export interface ErrorDetails {
  readonly code: ErrorCode;
  readonly retryable?: boolean;
  readonly outcome?: RequestOutcome;
  readonly cause?: unknown;
}

const errorBrand = Symbol.for('quorate.ConsensusError');
const rejectionBrand = Symbol.for('quorate.CommandRejected');
const trimmedBrand = Symbol.for('quorate.ChangesTrimmed');

function isBranded(value: unknown, brand: symbol): boolean {
  try {
    return typeof value === 'object' && value !== null && brand in value;
  } catch {
    return false; // a Proxy may throw at anything
  }
}

/** The error class of the library, told apart by `code`. Its subclasses are `CommandRejected` and `ChangesTrimmed`. */
export class ConsensusError extends Error {
  override readonly name: string = 'ConsensusError';
  readonly code: ErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** What became of the request; `none` where the error is of no request. */
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
 * Thrown by a state machine's `apply` to refuse a command. The refusal is the command's result: every replica records
 * it, and the proposer's promise rejects with it. `resultCodec` must be able to encode `reason`. What `validate` throws
 * also reaches the proposer as one, with the error thrown as `cause`.
 */
export class CommandRejected extends ConsensusError {
  override readonly name: string = 'CommandRejected';
  readonly reason: unknown;

  /** @param options `outcome` is `unknown` where the machine threw something else, by `onApplyError: 'reject'` */
  constructor(reason: unknown, options: { readonly cause?: unknown; readonly outcome?: RequestOutcome } = {}) {
    const text = typeof reason === 'string' ? reason : 'the state machine refused the command';
    super(text, { code: 'ERR_COMMAND_REJECTED', outcome: options.outcome ?? 'none', cause: options.cause });
    this.reason = reason;
    Object.defineProperty(this, rejectionBrand, { value: true });
  }
}

/** What a consumer of `Replica.changes` gets that begins, or has fallen, below the changes that are kept. */
export class ChangesTrimmed extends ConsensusError {
  override readonly name: string = 'ChangesTrimmed';
  /** The lowest `from` that misses nothing: every command applied at this index or above is kept. */
  readonly firstIndex: number;

  constructor(from: number, firstIndex: number) {
    const message = `changes: those from index ${from} on are no longer kept; the first index there is ${firstIndex}`;
    super(message, { code: 'ERR_CHANGES_TRIMMED' });
    this.firstIndex = firstIndex;
    Object.defineProperty(this, trimmedBrand, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isBranded(value, trimmedBrand);
  }
}

/** The error for misuse: it is thrown synchronously and names the option and what was expected. */
export function invalidArgument(message: string): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_INVALID_ARGUMENT' });
}

/** What does not verify, and where. */
export interface StorageProblem {
  /** The path of the file, or of the directory; of a snapshot that a start refuses, the storage's name for it. */
  readonly file: string;
  /** Bytes from the beginning of the file; 0 for the whole of it, or for what is missing. */
  readonly offset: number;
  /** In words. */
  readonly what: string;
}

const problems = new WeakMap<object, StorageProblem>();

/** The error for stored data that does not verify. */
export function corrupt(file: string, offset: number, what: string): ConsensusError {
  const error = new ConsensusError(`${file} at offset ${offset}: ${what}`, { code: 'ERR_STORAGE_CORRUPT' });
  problems.set(error, { file, offset, what });
  return error;
}

/** What an error of `corrupt` is about; undefined for every other one. */
export function problemOf(error: unknown): StorageProblem | undefined {
  return typeof error === 'object' && error !== null ? problems.get(error) : undefined;
}

/** The text of whatever was thrown: an error's message, or the value itself. Never throws. */
export function textOf(thrown: unknown): string {
  try {
    const message =
      typeof thrown === 'object' && thrown !== null ? (thrown as { message?: unknown }).message : undefined;
    return typeof message === 'string' && message !== '' ? message : String(thrown);
  } catch {
    return 'something was thrown that has no text'; // an object without a prototype, or a Proxy
  }
}

/** What was thrown if it is an Error; else one with its text, whose cause it is. Never throws. */
export function errorFrom(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === 'string' && typeof thrown.name === 'string') return thrown;
  } catch {
    // A Proxy that looks like one.
  }
  return new Error(textOf(thrown), { cause: thrown });
}

/** The codes that tell what became of one request: no replica starts or halts with one that a plug-in made up. */
const OF_REQUESTS: ReadonlySet<ErrorCode> = new Set([
  'ERR_CLOSED',
  'ERR_NO_LEADER',
  'ERR_OUTCOME_UNKNOWN',
  'ERR_TIMEOUT',
  'ERR_NOT_LEADER',
  'ERR_CHANGES_TRIMMED',
  'ERR_SESSION_EXPIRED',
  'ERR_SESSION_FENCED',
  'ERR_SEQUENCE_REUSED',
  'ERR_SEQUENCE_COMPLETED',
  'ERR_TRANSFER_FAILED',
  'ERR_SNAPSHOT_FAILED',
  'ERR_BUSY',
  'ERR_TOO_LARGE',
  'ERR_COMMAND_REJECTED',
]);

/**
 * What was thrown if it is a ConsensusError that can be meant so; else one with this code, whose cause it is. Where the
 * code is ERR_INVARIANT it comes from the library itself, and any can. Never throws.
 */
export function typedError(thrown: unknown, code: ErrorCode): ConsensusError {
  try {
    if (thrown instanceof ConsensusError && typeof thrown.code === 'string' && typeof thrown.message === 'string') {
      if (code === 'ERR_INVARIANT' || !OF_REQUESTS.has(thrown.code)) return thrown;
    }
  } catch {
    // A Proxy that looks like one.
  }
  return new ConsensusError(textOf(thrown), { code, cause: thrown });
}
