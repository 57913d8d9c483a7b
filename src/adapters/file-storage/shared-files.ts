/**
 * The files of the log as all ranged reads share them: one descriptor for each segment that is being read, and a few
 * that were read last (storage/reads-share-descriptors). Where there is no descriptor to be had, those that nobody uses
 * are closed and the open is tried again (storage/shortage-is-no-fault).
 */
import { letGo } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { segmentName } from './format.js';
import type { Shortages } from './shortages.js';

/** How many stay open that nobody uses. */
const KEPT = 4;

interface SharedFile {
  readonly opening: Promise<DiskFile>;
  users: number;
}

export class SharedFiles {
  private readonly disk: Disk;
  private readonly dir: string;
  private readonly shortages: Shortages;
  /** By segment; the one used last comes last. */
  private readonly files = new Map<number, SharedFile>();

  constructor(disk: Disk, dir: string, shortages: Shortages) {
    this.disk = disk;
    this.dir = dir;
    this.shortages = shortages;
  }

  pathOf(segment: number): string {
    return this.disk.join(this.dir, segmentName(segment));
  }

  /** Calls `work` with the file of a segment, which stays open until it is done. */
  async use<T>(segment: number, work: (file: DiskFile) => Promise<T>): Promise<T> {
    const shared = this.files.get(segment) ?? { opening: this.open(segment), users: 0 };
    this.files.delete(segment);
    this.files.set(segment, shared);
    shared.users++;
    try {
      return await work(await shared.opening);
    } catch (error) {
      // The next one opens it anew.
      if (this.files.get(segment) === shared) this.files.delete(segment);
      throw error;
    } finally {
      shared.users--;
      if (this.files.get(segment) !== shared && shared.users === 0) await closeShared(shared);
      await this.closeUnused(KEPT);
    }
  }

  private open(segment: number): Promise<DiskFile> {
    const path = this.pathOf(segment);
    return this.shortages.outlast(`opening ${path}`, async () => {
      try {
        return await this.disk.openToRead(path);
      } catch (error) {
        await this.closeUnused(0);
        throw error;
      }
    });
  }

  /** A segment was removed: its space is free once nobody has it open. */
  async forget(segment: number): Promise<void> {
    const shared = this.files.get(segment);
    this.files.delete(segment);
    if (shared?.users === 0) await closeShared(shared);
  }

  private async closeUnused(kept: number): Promise<void> {
    const unused = [...this.files].filter(([, { users }]) => users === 0);
    for (const [segment, shared] of unused.slice(0, Math.max(0, unused.length - kept))) {
      this.files.delete(segment);
      await closeShared(shared);
    }
  }

  /** Closes what nobody uses: all, once the reads are done. */
  close(): Promise<void> {
    return this.closeUnused(0);
  }
}

async function closeShared({ opening }: SharedFile): Promise<void> {
  const file = await opening.catch(() => undefined);
  if (file !== undefined) await letGo(file);
}
