/**
 * The interface of a replica's durable storage: the log entries of a protocol and a few small values by name. A
 * storage looks at an entry's index and term and at nothing else; it knows no protocol.
 */

/** One entry as a storage keeps it. */
export interface StoredEntry {
  /** 1-based, a safe integer. */
  readonly index: number;
  /** A safe integer ≥ 1. */
  readonly term: number;
  /** The encoded entry, opaque to the storage. */
  readonly data: Uint8Array;
}

/** A run of consecutive stored entries of one term; `from` is the index of the first. */
export interface StoredRun {
  readonly from: number;
  readonly term: number;
}

/** What `open` recovered; all of it is durable when `open` resolves. */
export interface Opened {
  /** How often this data was opened, this time included; durable before `open` resolves. */
  readonly boot: number;
  /** The last value written by `set`, by key. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** The lowest and the highest stored index; 0 and 0 when there is no entry. */
  readonly first: number;
  readonly last: number;
  /** The terms of all stored entries, ascending by index. Indexes in a gap belong to the run before it. */
  readonly runs: readonly StoredRun[];
}

/** One change. `set` replaces a small named value. `put` writes entries; the last `put` of an index is the one kept. */
export type StorageOp =
  | { readonly kind: 'set'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'put'; readonly entries: readonly StoredEntry[] }
  /** Removes the entries at `from` and above. */
  | { readonly kind: 'truncate'; readonly from: number }
  /** Removes the entries at `through` and below. Their space need not be free at once. */
  | { readonly kind: 'trim'; readonly through: number };

/** What a storage tells by itself. */
export interface StorageNotice {
  /**
   * - `waiting`: something other than space is short (descriptors, memory). What needs it waits.
   * - `full`: no more space can be got. What is written while there is some left succeeds, what comes then waits.
   * - `resumed`: what was `waiting` or `full` goes on.
   * - `dropped`: `open` dropped a torn last write. It was never acknowledged, unless a disk lied or was damaged there.
   * - `failed`: the data is gone, and every later write fails.
   */
  readonly kind: 'waiting' | 'full' | 'resumed' | 'dropped' | 'failed';
  /** What happened, with file and offset where there are any. */
  readonly reason: string;
  /** The error behind it: of `resumed` the one that is over; none for `dropped`. */
  readonly cause?: unknown;
}

/** Hears what a storage tells, from `open` on. It must not throw. */
export type StorageListener = (event: StorageNotice) => void;

/** A storage's own account of itself. */
export interface StorageStatus {
  /** Whether writes are durable when they resolve; false only where that was switched off, for tests. */
  readonly durable: boolean;
  /** `waiting` and `full` as in `StorageNotice`; `failed` once nothing is written any more. */
  readonly state: 'ready' | 'waiting' | 'full' | 'failed';
  /** Bytes that can still be written when the disk is full. */
  readonly spaceAhead: number;
  /** Bytes of the log's files, with space got ahead; and of the files of snapshots, those under way included. */
  readonly logBytes?: number | undefined;
  readonly snapshotBytes?: number | undefined;
  /** The bytes that one file of the log has at most, unless a single write is larger. */
  readonly segmentBytes?: number | undefined;
}

/**
 * Duties of an implementation:
 *
 * - `open` is called once, before anything else. It repairs a torn last write, counts the boot, and makes durable all
 *   that it returns before it resolves (what a killed process wrote may be in the page cache only).
 *   It refuses data that another open storage holds (`ERR_STORAGE_LOCKED`), and data that does not verify
 *   (`ERR_STORAGE_CORRUPT`): damage is never a silent loss, but where the end of a log is cut off that was written so
 *   recently that nothing else vouches for it. What it drops it says, by the event `dropped`.
 * - `write` makes all its operations durable, atomically and in order, and only then resolves. Calls may overlap;
 *   they take effect in the order of the calls, and a later one never resolves before an earlier one. One exception:
 *   a call that only trims and sets values may go before calls that wait for space, where their order makes no
 *   difference; so a replica on a full disk gets the space of what it trims. The bytes given belong to the storage
 *   until it resolves, and are not changed by the caller.
 * - Indexes may leave gaps, be overwritten, and be put again after a truncate.
 * - A shortage that passes (of space, descriptors, memory) fails nothing of which no byte was written: the call waits
 *   until it is over, and the listener hears of it. `close` ends the wait; such a call had no effect.
 * - After a failed write or sync every later `write` rejects with `ERR_STORAGE_FAILED`; a sync is never retried.
 * - `read` gives entries in ascending order as of the latest `write` call that resolved; it may or may not show
 *   later ones. It gives at least one entry when there is one in the range, and stops before `maxBytes` of data
 *   otherwise. Gaps are left out. What it gives is the caller's: a view of a fresh buffer.
 * - `close` waits for writes under way, releases the data, and may be called more than once.
 * - All errors are `ConsensusError`s.
 */
export interface Storage {
  open(events?: StorageListener): Promise<Opened>;
  write(ops: readonly StorageOp[]): Promise<void>;
  /** Entries with `from` ≤ index ≤ `to`. */
  read(from: number, to: number, maxBytes: number): Promise<readonly StoredEntry[]>;
  close(): Promise<void>;
  /** For `status()` of a replica; a storage without it says nothing. It must not throw. */
  status?(): StorageStatus;
  /** Where snapshots are kept; a replica on a storage without it takes none. */
  readonly snapshots?: SnapshotStore | undefined;
}

/**
 * Files of snapshots beside the log. A file's name is 1 to 64 of `A-Z a-z 0-9 . _ -`. Calls come between `open` and
 * `close`, and may overlap writes of the log, which they must not hold up.
 *
 * Duties of an implementation:
 *
 * - `write` resolves when the file is complete and durable under its name, which it then replaces. It pulls the next
 *   chunk when it has written the last one. When a chunk or a write fails it rejects with that error, and neither a
 *   file nor the space for one is left; the log is not harmed.
 * - `read` gives the bytes from `offset` on, at most `maxBytes` of them, and fewer only where the file ends. Where
 *   there is no such file it rejects with ERR_STORAGE_CORRUPT: an older snapshot serves then.
 * - `remove` resolves also when there is no such file.
 * - `free`, where there is one, gives how many bytes a file may have now. A snapshot that may need more is not begun.
 */
export interface SnapshotStore {
  /** The names of all complete files. */
  list(): Promise<readonly string[]>;
  write(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  read(file: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  remove(file: string): Promise<void>;
  free?(): Promise<number>;
  /** Where a snapshot of a peer is kept while it is pulled; without it a pull begins anew at each start. */
  readonly partial?: PartialSnapshots | undefined;
}

/** A file that is not complete. */
export interface PartialFile {
  readonly name: string;
  /** Its size, in bytes. */
  readonly bytes: number;
}

/**
 * Files that are written over several starts, beside the complete ones and named like them, in names of their own.
 * There is one, and while it is replaced two. Calls for one name do not overlap.
 *
 * Duties of an implementation:
 *
 * - `write` writes the bytes at `offset`, which is at most the size so far; at 0 a file is created, in place of one of
 *   that name. It need not make them durable: after a loss of power a file may be shorter, or hold other bytes, and
 *   whoever goes on with it verifies it as a whole.
 * - `complete` makes the file durable and complete under the name `file`; then there is no partial one.
 * - `remove` resolves also when there is no such file.
 */
export interface PartialSnapshots {
  list(): Promise<readonly PartialFile[]>;
  write(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  complete(name: string, file: string): Promise<void>;
  remove(name: string): Promise<void>;
}
