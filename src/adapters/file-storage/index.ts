/**
 * `fileStorage(dir)`: a replica's storage as a segmented write-ahead log. This file implements `Storage`: options, the
 * phases from new to closed, and errors. `format.ts` and `ops.ts` define the bytes, `group.ts` encodes,
 * `log-writer.ts` writes, `block-index.ts` and `log-reader.ts` find and read entries, `scan.ts` and `recovery.ts` open
 * the log, and `disk.ts` is the interface to the platform.
 */
import { ConsensusError, invalidArgument } from '../../replica/errors.js';
import type { Opened, Storage, StorageOp, StoredEntry } from '../../replica/storage.js';
import { checkOps, checkRead } from '../storage-checks.js';
import { failed } from './disk-io.js';
import type { Disk, DiskLock } from './disk.js';
import { BATCH_LIMIT } from './format.js';
import { encodedBound } from './group.js';
import { LogRead } from './log-reader.js';
import { LogWriter } from './log-writer.js';
import { nodeDisk } from './node-disk.js';
import { recover } from './recovery.js';

/** Options of `fileStorage`. */
export interface FileStorageOptions {
  /** Bytes above which the log goes on in a new file: 4 KiB to 1 GiB, 64 MiB by default. */
  readonly segmentBytes?: number | undefined;
  /** The file system, for tests that inject faults. Not part of the supported interface. */
  readonly fs?: Disk | undefined;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 4 * 1024;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;
const OPTIONS: readonly string[] = ['segmentBytes', 'fs'];

type StoragePhase = 'new' | 'opening' | 'open' | 'closed';

class FileStorage implements Storage {
  private readonly disk: Disk;
  private readonly dir: string;
  private readonly segmentBytes: number;
  private phase: StoragePhase = 'new';
  private opening: Promise<Opened> | undefined;
  private closing: Promise<void> | undefined;
  private writer: LogWriter | undefined;
  private lock: DiskLock | undefined;
  private readonly reads = new Set<Promise<unknown>>();

  constructor(disk: Disk, dir: string, segmentBytes: number) {
    this.disk = disk;
    this.dir = disk.resolve(dir);
    this.segmentBytes = segmentBytes;
  }

  open(): Promise<Opened> {
    if (this.phase === 'closed') return Promise.reject(this.closedError());
    if (this.phase !== 'new') return Promise.reject(this.lockedError());
    this.phase = 'opening';
    this.opening = this.openNow();
    return this.opening;
  }

  private async openNow(): Promise<Opened> {
    try {
      await this.disk.mkdir(this.dir);
      this.lock = await this.disk.lock(this.dir);
      if (this.lock === undefined) throw this.lockedError();
      const { state, terms } = await recover(this.disk, this.dir);
      this.writer = new LogWriter(this.disk, this.dir, this.segmentBytes, state);
      if (this.phase === 'opening') this.phase = 'open';
      const values = new Map([...state.values].map(([key, value]) => [key, value.slice()]));
      return { boot: state.boot, values, first: terms.first, last: terms.last, runs: terms.runs() };
    } catch (error) {
      await this.lock?.release().catch(() => undefined); // the caller gets the first error
      this.lock = undefined;
      if (this.phase === 'opening') this.phase = 'new';
      throw failed(`opening ${this.dir} failed`, error);
    }
  }

  write(ops: readonly StorageOp[]): Promise<void> {
    if (this.phase !== 'open' || this.writer === undefined) return Promise.reject(this.notOpenError('write'));
    try {
      checkOps(ops);
      if (encodedBound(ops) > BATCH_LIMIT) {
        throw invalidArgument(`write: one call is limited to ${BATCH_LIMIT} bytes`);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return this.writer.write(ops);
  }

  async read(from: number, to: number, maxBytes: number): Promise<readonly StoredEntry[]> {
    const { writer } = this;
    if (this.phase !== 'open' || writer === undefined) throw this.notOpenError('read');
    checkRead(from, to, maxBytes);
    const blocks = writer.index.find(from, to);
    if (blocks.length === 0) return [];
    const read = new LogRead(this.disk, this.dir, writer.header);
    const reading = read.read(blocks, from, to, maxBytes).finally(() => read.close());
    this.reads.add(reading);
    try {
      return await reading;
    } catch (error) {
      throw failed(`reading from ${this.dir} failed`, error);
    } finally {
      this.reads.delete(reading);
    }
  }

  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  private async closeNow(): Promise<void> {
    this.phase = 'closed';
    await this.opening?.catch(() => undefined); // the caller of `open` gets this error
    await Promise.allSettled(this.reads);
    try {
      await this.writer?.close();
    } catch (error) {
      throw failed(`closing ${this.dir} failed`, error);
    } finally {
      await this.lock?.release().catch(() => undefined);
    }
  }

  private notOpenError(call: string): ConsensusError {
    if (this.phase === 'closed') return this.closedError();
    return invalidArgument(`${call}: the storage is not open yet`);
  }

  private closedError(): ConsensusError {
    return new ConsensusError(`the storage in ${this.dir} is closed`, { code: 'ERR_CLOSED' });
  }

  private lockedError(): ConsensusError {
    const message = `${this.dir} is held by another open storage, of this process or another`;
    return new ConsensusError(message, { code: 'ERR_STORAGE_LOCKED' });
  }
}

/**
 * A durable storage in the directory `dir`, which is created if needed and belongs to the storage alone. Nothing is
 * touched before `open`. `Storage` names the errors of its methods; their messages name file and offset.
 *
 * @throws ConsensusError ERR_INVALID_ARGUMENT when `dir` or an option breaks its rule
 */
export function fileStorage(dir: string, options: FileStorageOptions = {}): Storage {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0')) {
    throw invalidArgument('fileStorage: dir must be the path of a directory');
  }
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('fileStorage: options must be an object');
  }
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue;
    throw invalidArgument(`fileStorage: there is no option ${JSON.stringify(name)}`);
  }
  const { segmentBytes = DEFAULT_SEGMENT_BYTES, fs = nodeDisk } = options;
  const inBounds = segmentBytes >= MIN_SEGMENT_BYTES && segmentBytes <= MAX_SEGMENT_BYTES;
  if (!Number.isSafeInteger(segmentBytes) || !inBounds) {
    const bounds = `an integer from ${MIN_SEGMENT_BYTES} to ${MAX_SEGMENT_BYTES}`;
    throw invalidArgument(`fileStorage: segmentBytes must be ${bounds}, not ${String(segmentBytes)}`);
  }
  return new FileStorage(fs, dir, segmentBytes);
}
