/**
 * Snapshots of peers while they are pulled, as files beside the complete ones: they outlive their process, and a rename
 * makes one complete. What is written to one is synced then, and not before.
 */
import type { PartialFile, PartialSnapshots } from '../../replica/storage.js';
import { checkFileName } from '../storage-checks.js';
import { letGo, writeFully } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';

/** Where the files are. */
export interface PartialDirectory {
  readonly disk: Disk;
  readonly dir: string;
  /** Whether what is complete is synced. */
  readonly sync: boolean;
  /** The sizes of the storage's snapshots, by path. */
  readonly sizes: Map<string, number>;
  /** Resolves when the log leaves space for snapshots. */
  space(): Promise<void>;
  /** The path of a complete snapshot. */
  pathOf(file: string): string;
  /** Makes a call of the storage. */
  call<T>(what: string, name: string, work: () => Promise<T>): Promise<T>;
}

const PREFIX = 'partial-';

export function isPartial(name: string): boolean {
  return name.startsWith(PREFIX);
}

export class PartialFiles implements PartialSnapshots {
  private readonly place: PartialDirectory;

  constructor(place: PartialDirectory) {
    this.place = place;
  }

  list(): Promise<readonly PartialFile[]> {
    const { place } = this;
    return place.call('listing the partial snapshots', 'partial.list', async () => {
      const { disk, dir } = place;
      const found: PartialFile[] = [];
      for (const name of await disk.readdir(dir)) {
        if (!isPartial(name)) continue;
        const bytes = await this.with(await disk.openToRead(disk.join(dir, name)), (file) => file.size());
        found.push({ name: name.slice(PREFIX.length), bytes });
      }
      return found;
    });
  }

  write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const { place } = this;
    return place.call(`writing the partial snapshot ${name}`, 'partial.write', async () => {
      await place.space();
      const path = this.pathOf(name);
      const opened = offset === 0 ? await place.disk.create(path) : await place.disk.open(path);
      await this.with(opened, async (file) => {
        const size = await file.size();
        if (offset > size) throw new RangeError(`offset: expected at most ${size}, got ${offset}`);
        if (offset < size) await file.truncate(offset);
        place.sizes.set(path, offset + bytes.length); // as much as it may be if the write fails
        await writeFully(file, bytes, 0, bytes.length, offset);
      });
    });
  }

  complete(name: string, file: string): Promise<void> {
    const { place } = this;
    return place.call(`completing the partial snapshot ${name}`, 'partial.complete', async () => {
      checkFileName(file);
      const { disk, dir, sync, sizes } = place;
      const path = this.pathOf(name);
      if (sync) await this.with(await disk.open(path), (opened) => opened.datasync());
      await disk.rename(path, place.pathOf(file));
      sizes.set(place.pathOf(file), sizes.get(path) ?? 0);
      sizes.delete(path);
      if (sync) await disk.syncDirectory(dir);
    });
  }

  remove(name: string): Promise<void> {
    const { place } = this;
    return place.call(`removing the partial snapshot ${name}`, 'partial.remove', async () => {
      place.sizes.delete(this.pathOf(name));
      try {
        await place.disk.unlink(this.pathOf(name));
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
      }
    });
  }

  private pathOf(name: string): string {
    checkFileName(name);
    return this.place.disk.join(this.place.dir, PREFIX + name);
  }

  /** Works with an open file, and closes it. */
  private async with<T>(file: DiskFile, work: (file: DiskFile) => Promise<T>): Promise<T> {
    let done: T;
    try {
      done = await work(file);
    } catch (error) {
      await letGo(file);
      throw error;
    }
    await file.close();
    return done;
  }
}
