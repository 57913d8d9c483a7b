/**
 * Snapshots as files beside the log: written under a temporary name, synced, and renamed, so that a name stands for a
 * complete file. What fails gives its bytes back and leaves the log alone: nothing is written while the log lacks the
 * space that is kept for it.
 */
import { ConsensusError, corrupt } from '../../replica/errors.js';
import type { SnapshotStore } from '../../replica/storage.js';
import { checkFileName } from '../storage-checks.js';
import { failed, letGo, readFully, writeFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { PartialFiles, isPartial } from './partial-snapshots.js';

const PREFIX = 'snapshot-';
const TEMPORARY = '.tmp';

export interface SnapshotDirectory {
  readonly disk: Disk;
  readonly dir: string;
  /** Whether what is written is synced. */
  readonly sync: boolean;
  /** Resolves when the log has the space that is kept for it, or there is none for it; rejects once closed. */
  space(): Promise<void>;
  /** @throws ConsensusError unless the storage is open */
  checkOpen(call: string): void;
}

/** The file of a snapshot. */
export function snapshotPath(disk: Disk, dir: string, file: string): string {
  return disk.join(dir, PREFIX + file);
}

/** The snapshot of which a file's name tells; undefined for any other file, and for one that is not complete. */
function snapshotOf(name: string): string | undefined {
  return name.startsWith(PREFIX) && !name.endsWith(TEMPORARY) ? name.slice(PREFIX.length) : undefined;
}

export class FileSnapshots implements SnapshotStore {
  readonly partial: PartialFiles;
  private readonly place: SnapshotDirectory;
  private readonly calls = new Set<Promise<unknown>>();
  private closed = false;
  /** The sizes of the files, by path. */
  private readonly sizes = new Map<string, number>();

  constructor(place: SnapshotDirectory) {
    this.place = place;
    this.partial = new PartialFiles({
      disk: place.disk,
      dir: place.dir,
      sync: place.sync,
      sizes: this.sizes,
      space: () => place.space(),
      pathOf: (file) => this.pathOf(file),
      call: (what, name, work) => this.call(what, name, work),
    });
  }

  /** Bytes of all files, those under way included. */
  get bytes(): number {
    let sum = 0;
    for (const size of this.sizes.values()) sum += size;
    return sum;
  }

  /** Removes what an earlier process left unfinished, and measures the rest. */
  async sweep(disk: Disk): Promise<void> {
    const { dir } = this.place;
    for (const name of await disk.readdir(dir)) {
      const path = disk.join(dir, name);
      const isLeft = name.startsWith(PREFIX) && name.endsWith(TEMPORARY);
      if (isLeft)
        await disk.unlink(path).catch(() => undefined); // it is tried at the next start
      else if (snapshotOf(name) !== undefined || isPartial(name)) await this.measure(disk, path);
    }
  }

  private async measure(disk: Disk, path: string): Promise<void> {
    const file = await disk.openToRead(path);
    try {
      this.sizes.set(path, await file.size());
    } finally {
      await letGo(file);
    }
  }

  list(): Promise<readonly string[]> {
    return this.call('listing the snapshots', 'list', async () => {
      const { disk, dir } = this.place;
      const names = await disk.readdir(dir);
      return names.map(snapshotOf).filter((name) => name !== undefined);
    });
  }

  write(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.call(`writing the snapshot ${file}`, 'write', async () => {
      checkFileName(file);
      const { disk, dir, sync } = this.place;
      const path = this.pathOf(file);
      const temporary = path + TEMPORARY;
      try {
        await this.fill(temporary, chunks);
        await disk.rename(temporary, path);
        this.sizes.set(path, this.sizes.get(temporary) ?? 0);
        this.sizes.delete(temporary);
        if (sync) await disk.syncDirectory(dir);
      } catch (error) {
        // Which of the two there is depends on what failed.
        for (const left of [temporary, path]) {
          await disk.unlink(left).catch(() => undefined);
          this.sizes.delete(left);
        }
        throw error;
      }
    });
  }

  private async fill(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { disk, sync } = this.place;
    const file = await disk.create(path);
    let at = 0;
    try {
      for await (const chunk of chunks) {
        await this.place.space();
        if (this.closed) throw new ConsensusError('the storage is closed', { code: 'ERR_CLOSED' });
        await writeFully(file, chunk, 0, chunk.length, at);
        at += chunk.length;
        this.sizes.set(path, at);
      }
      if (sync) await file.datasync();
    } catch (error) {
      await letGo(file);
      throw error;
    }
    await file.close();
  }

  read(file: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    return this.call(`reading the snapshot ${file}`, 'read', async () => {
      checkFileName(file);
      const path = this.pathOf(file);
      const opened = await this.openToRead(path);
      try {
        const size = await opened.size();
        const bytes = new Uint8Array(Math.max(0, Math.min(maxBytes, size - offset)));
        const got = await readFully(opened, bytes, 0, bytes.length, offset);
        return bytes.subarray(0, got);
      } finally {
        await letGo(opened);
      }
    });
  }

  private async openToRead(path: string): Promise<DiskFile> {
    try {
      return await this.place.disk.openToRead(path);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') throw corrupt(path, 0, 'the snapshot is missing');
      throw error;
    }
  }

  remove(file: string): Promise<void> {
    return this.call(`removing the snapshot ${file}`, 'remove', async () => {
      checkFileName(file);
      try {
        await this.place.disk.unlink(this.pathOf(file));
        this.sizes.delete(this.pathOf(file));
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
      }
    });
  }

  /** What the disk has free; a file system that cannot tell limits nothing. */
  free(): Promise<number> {
    return this.call('looking for space', 'free', async () => {
      const { disk, dir } = this.place;
      return disk.free(dir).catch(() => Infinity);
    });
  }

  private pathOf(file: string): string {
    return snapshotPath(this.place.disk, this.place.dir, file);
  }

  private async call<T>(what: string, name: string, work: () => Promise<T>): Promise<T> {
    this.place.checkOpen(`snapshots.${name}`);
    const done = work();
    this.calls.add(done);
    try {
      return await done;
    } catch (error) {
      throw failed(`${what} in ${this.place.dir} failed`, error);
    } finally {
      this.calls.delete(done);
    }
  }

  /** Waits for the calls under way; what is being written ends at its next chunk. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.calls);
  }
}
