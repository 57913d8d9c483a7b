/**
 * `fileStorage(dir)`: a replica's storage as a segmented write-ahead log. This file implements `Storage`: options, the
 * phases from new to closed, and errors. `format.ts`, `watermark.ts` and `ops.ts` define the bytes, `group.ts` encodes,
 * `log-writer.ts` writes into space that `spares.ts` gets ahead, `block-index.ts` and `log-reader.ts` find and read
 * entries, `scan.ts`, `recovery.ts` and `renewal.ts` open the log, `snapshot-store.ts` keeps snapshots,
 * and `disk.ts` is the interface to the platform.
 */
import { shown } from '../../core/shown.js';
import { ConsensusError, invalidArgument } from '../../replica/errors.js';
import type { Opened, Storage, StorageListener, StorageOp, StorageStatus, StoredEntry } from '../../replica/storage.js';
import { record } from '../option-checks.js';
import { checkOps, checkRead } from '../storage-checks.js';
import { watchDirectory } from './directory-watch.js';
import { failed } from './disk-io.js';
import type { Disk, DiskLock } from './disk.js';
import { BATCH_LIMIT, LOG_START, segmentName } from './format.js';
import { encodedBound } from './group.js';
import { LogRead } from './log-reader.js';
import { LogWriter } from './log-writer.js';
import { openThrough } from './next-segment.js';
import { nodeDisk } from './node-disk.js';
import { boundedDisk } from './opening-disk.js';
import { recover } from './recovery.js';
import { SharedFiles } from './shared-files.js';
import { Shortages } from './shortages.js';
import { FileSnapshots } from './snapshot-store.js';
import { Spares } from './spares.js';

/** Options of `fileStorage`. */
export interface FileStorageOptions {
  /** Bytes of log above which it goes on in a new file: 4 KiB to 1 GiB, 64 MiB by default. */
  readonly segmentBytes?: number | undefined;
  /**
   * `false` for tests that want speed: nothing is ever synced, so a power cut may lose all of it, and damage may go
   * unnoticed. `status().storage.durable` of the replica says so. True by default.
   */
  readonly sync?: boolean | undefined;
  /**
   * Whether a write group is written and synced by one call (O_DSYNC) instead of two, which saves a trip to the thread
   * pool; on Linux only, elsewhere it changes nothing. True by default.
   */
  readonly writeThrough?: boolean | undefined;
  /** The file system, for tests that inject faults. Not part of the supported interface. */
  readonly fs?: Disk | undefined;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 4 * 1024;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;
const OPTIONS: readonly string[] = ['segmentBytes', 'sync', 'writeThrough', 'fs'];

type StoragePhase = 'new' | 'opening' | 'open' | 'closed';

/** What an open storage consists of. */
interface OpenParts {
  readonly writer: LogWriter;
  readonly files: SharedFiles;
  readonly spares: Spares;
  readonly shortages: Shortages;
  /** The sizes of the segments before the one that is written, by number. */
  readonly sizes: Map<number, number>;
  stopWatch(): void;
}

class FileStorage implements Storage {
  private readonly disk: Disk;
  private readonly dir: string;
  private readonly limit: number;
  private readonly sync: boolean;
  private readonly writeThrough: boolean;
  private phase: StoragePhase = 'new';
  private opening: Promise<Opened> | undefined;
  private closing: Promise<void> | undefined;
  private parts: OpenParts | undefined;
  private lock: DiskLock | undefined;
  private readonly reads = new Set<Promise<unknown>>();
  private readonly removals = new Set<Promise<unknown>>();
  readonly snapshots: FileSnapshots;

  constructor(disk: Disk, dir: string, segmentBytes: number, sync: boolean, writeThrough: boolean) {
    this.disk = disk;
    this.dir = disk.resolve(dir);
    this.limit = LOG_START + segmentBytes;
    this.sync = sync;
    this.writeThrough = writeThrough;
    this.snapshots = new FileSnapshots({
      disk,
      dir: this.dir,
      sync,
      space: async () => this.parts?.spares.secured(),
      checkOpen: (call) => this.checkOpen(call),
    });
  }

  open(events?: StorageListener): Promise<Opened> {
    if (this.phase === 'closed') return Promise.reject(this.closedError());
    if (this.phase !== 'new') return Promise.reject(this.lockedError());
    this.phase = 'opening';
    this.opening = this.openNow(events);
    return this.opening;
  }

  private async openNow(events: StorageListener | undefined): Promise<Opened> {
    const disk = boundedDisk(this.disk);
    try {
      await disk.mkdir(this.dir);
      this.lock = await disk.lock(this.dir);
      if (this.lock === undefined) throw this.lockedError();
      const identity = await disk.identity(this.dir);
      await this.snapshots.sweep(disk);
      const recovered = await recover(disk, this.dir, this.limit);
      const { state, terms, torn } = recovered;
      const shortages = new Shortages(this.disk, events);
      const through = await openThrough(this.disk, state.path, this.sync && this.writeThrough);
      this.parts = this.assemble({ ...recovered, state: { ...state, through } }, shortages, identity);
      if (this.phase === 'opening') this.phase = 'open';
      if (torn !== undefined) {
        const reason = `${torn.path} at offset ${torn.offset}: the last write group is torn, and was dropped`;
        shortages.tell({ kind: 'dropped', reason });
      }
      const values = new Map([...state.values].map(([key, value]) => [key, value.slice()]));
      return { boot: state.boot, values, first: terms.first, last: terms.last, runs: terms.runs() };
    } catch (error) {
      await this.lock?.release().catch(() => undefined); // the caller gets the first error
      this.lock = undefined;
      if (this.phase === 'opening') this.phase = 'new';
      throw failed(`opening ${this.dir} failed`, error);
    }
  }

  private assemble(
    { state, spares: found, sizes }: Awaited<ReturnType<typeof recover>>,
    shortages: Shortages,
    identity: string,
  ): OpenParts {
    const { disk, dir, limit, sync, writeThrough } = this;
    const spares = new Spares({ disk, dir, limit, sync, shortages, found });
    const trimmed = (from: number, to: number): void => this.remove(from, to);
    const sealed = (segment: number, bytes: number): void => void sizes.set(segment, bytes);
    const writer = new LogWriter({ disk, dir, limit, sync, writeThrough, shortages, spares, sealed, trimmed }, state);
    const stopWatch = watchDirectory(disk, dir, identity, writer, (error) => {
      writer.fail(error);
      shortages.tell({ kind: 'failed', reason: error.message, cause: error });
    });
    disk.after(0, () => spares.start()); // whoever opens goes first
    return { writer, files: new SharedFiles(disk, dir, shortages), spares, shortages, sizes, stopWatch };
  }

  /** Removes trimmed segments, once nobody reads them; what fails is tried at the next start. */
  private remove(from: number, to: number): void {
    const { disk, dir } = this;
    const removing = Promise.allSettled(this.reads).then(async () => {
      for (let segment = from; segment <= to; segment++) {
        await this.parts?.files.forget(segment);
        await disk.unlink(disk.join(dir, segmentName(segment))).catch(() => undefined);
        this.parts?.sizes.delete(segment);
      }
    });
    this.removals.add(removing);
    void removing.then(() => this.removals.delete(removing));
  }

  write(ops: readonly StorageOp[]): Promise<void> {
    if (this.phase !== 'open' || this.parts === undefined) return Promise.reject(this.notOpenError('write'));
    try {
      checkOps(ops);
      if (encodedBound(ops) > BATCH_LIMIT) {
        throw invalidArgument(`write: one call is limited to ${BATCH_LIMIT} bytes`);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return this.parts.writer.write(ops);
  }

  async read(from: number, to: number, maxBytes: number): Promise<readonly StoredEntry[]> {
    const { parts } = this;
    if (this.phase !== 'open' || parts === undefined) throw this.notOpenError('read');
    checkRead(from, to, maxBytes);
    const { writer, files, shortages } = parts;
    const blocks = writer.index.find(from, to);
    if (blocks.length === 0) return [];
    const reading = new LogRead(files, shortages, writer.header).read(blocks, from, to, maxBytes);
    this.reads.add(reading);
    try {
      return await reading;
    } catch (error) {
      throw failed(`reading from ${this.dir} failed`, error);
    } finally {
      this.reads.delete(reading);
    }
  }

  status(): StorageStatus {
    const { sync: durable, parts } = this;
    if (parts === undefined) return { durable, state: 'ready', spaceAhead: 0 };
    const { writer, spares, shortages, sizes } = parts;
    const state = writer.hasFailed ? 'failed' : (shortages.state ?? 'ready');
    let logBytes = writer.fileBytes + spares.bytes;
    for (const size of sizes.values()) logBytes += size;
    const snapshotBytes = this.snapshots.bytes;
    return { durable, state, spaceAhead: writer.spaceLeft, logBytes, snapshotBytes, segmentBytes: this.limit };
  }

  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  private async closeNow(): Promise<void> {
    this.phase = 'closed';
    await this.opening?.catch(() => undefined); // the caller of `open` gets this error
    this.parts?.shortages.close();
    this.parts?.spares.release();
    await Promise.allSettled([...this.reads, ...this.removals]);
    await this.snapshots.close();
    try {
      await this.closeParts(this.parts);
    } catch (error) {
      throw failed(`closing ${this.dir} failed`, error);
    } finally {
      await this.lock?.release().catch(() => undefined);
    }
  }

  private async closeParts(parts: OpenParts | undefined): Promise<void> {
    if (parts === undefined) return;
    parts.stopWatch();
    try {
      await parts.writer.close();
    } finally {
      await parts.spares.close();
      await parts.files.close();
    }
  }

  private checkOpen(call: string): void {
    if (this.phase !== 'open') throw this.notOpenError(call);
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
  record(options, 'fileStorage', OPTIONS);
  const { segmentBytes = DEFAULT_SEGMENT_BYTES, sync = true, writeThrough = true, fs = nodeDisk } = options;
  const isWhole = Number.isSafeInteger(segmentBytes);
  if (!isWhole || segmentBytes < MIN_SEGMENT_BYTES || segmentBytes > MAX_SEGMENT_BYTES) {
    const bounds = `an integer from ${MIN_SEGMENT_BYTES} to ${MAX_SEGMENT_BYTES}`;
    throw invalidArgument(`fileStorage: segmentBytes must be ${bounds}, not ${shown(segmentBytes)}`);
  }
  if (typeof sync !== 'boolean') throw invalidArgument('fileStorage: sync must be true or false');
  if (typeof writeThrough !== 'boolean') throw invalidArgument('fileStorage: writeThrough must be true or false');
  return new FileStorage(fs, dir, segmentBytes, sync, writeThrough);
}
