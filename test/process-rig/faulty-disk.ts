/**
 * The real file system with faults on demand: the way to fail a sync or fill a disk where the machine offers none. It
 * can also keep what is not synced in memory, so that SIGKILL loses it, as a power cut would.
 */

import type { Disk, DiskFile } from '../../src/adapters/file-storage/disk.js';
import { nodeDisk } from '../../src/adapters/file-storage/node-disk.js';
import type { DiskFault } from './messages.js';

/** What becomes of bytes between a write and its sync. */
export type Unsynced = 'written' | 'kept back' | 'kept back for ever';

function broken(code: 'EIO' | 'ENOSPC', call: string): Error {
  return Object.assign(new Error(`${code}: injected, ${call}`), { code });
}

/** A disk that lies from its first sync on cannot even be opened again, which proves nothing. */
const HONEST_SYNCS = 30;

interface Pending {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** Of one file. */
interface KeptBack {
  pending: readonly Pending[];
}

export class FaultyDisk {
  fault: DiskFault = { sync: false, full: false, slow: 0 };
  readonly disk: Disk;
  private readonly unsynced: Unsynced;
  private syncs = 0;
  /** What is kept back of each file, by its identity: whoever has the file open sees it. */
  private readonly keptBack = new Map<string, KeptBack>();

  constructor(unsynced: Unsynced) {
    this.unsynced = unsynced;
    const wrap = async (file: DiskFile, isNew = false): Promise<DiskFile> => {
      if (unsynced === 'written') return new FaultyFile(this, file, null);
      const identity = await file.identity();
      const kept = isNew ? undefined : this.keptBack.get(identity);
      const shared = kept ?? { pending: [] };
      this.keptBack.set(identity, shared);
      return new FaultyFile(this, file, shared);
    };
    this.disk = {
      ...nodeDisk,
      open: async (path) => wrap(await nodeDisk.open(path)),
      openThrough: undefined, // what is not synced is kept back here
      openToRead: async (path) => wrap(await nodeDisk.openToRead(path)),
      create: async (path) => {
        if (this.fault.full) throw broken('ENOSPC', 'open');
        return wrap(await nodeDisk.create(path), true);
      },
      syncDirectory: async (dir) => {
        await this.syncing();
        await nodeDisk.syncDirectory(dir);
      },
    };
  }

  /** Whether this sync does nothing. */
  get lies(): boolean {
    return this.unsynced === 'kept back for ever' && ++this.syncs > HONEST_SYNCS;
  }

  /** What every sync goes through first. */
  async syncing(): Promise<void> {
    const { sync, slow } = this.fault;
    if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
    if (sync) throw broken('EIO', 'fdatasync');
  }

  /** How many of `length` bytes find room. */
  room(length: number): number {
    if (!this.fault.full) return length;
    if (length < 2) throw broken('ENOSPC', 'write');
    return length >> 1;
  }
}

class FaultyFile implements DiskFile {
  private readonly owner: FaultyDisk;
  private readonly file: DiskFile;
  /** `null`: what is written is written. */
  private readonly kept: KeptBack | null;
  private short = false;

  constructor(owner: FaultyDisk, file: DiskFile, kept: KeptBack | null) {
    this.owner = owner;
    this.file = file;
    this.kept = kept;
  }

  private get pending(): readonly Pending[] {
    return this.kept?.pending ?? [];
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    const size = await this.size();
    const got = Math.min(length, Math.max(0, size - position));
    target.fill(0, at, at + got);
    for (let done = 0; done < got; ) {
      const more = await this.file.read(target, at + done, got - done, position + done);
      if (more === 0) break;
      done += more;
    }
    for (const { position: start, bytes } of this.pending) {
      const from = Math.max(position, start);
      const to = Math.min(position + got, start + bytes.length);
      if (from < to) target.set(bytes.subarray(from - start, to - start), at + from - position);
    }
    return got;
  }

  /** On a full disk a write takes half, and the next one nothing. */
  async write(source: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (this.owner.fault.full && this.short) throw broken('ENOSPC', 'write');
    const taken = this.owner.room(length);
    this.short = taken < length;
    if (this.kept === null) return this.file.write(source, at, taken, position);
    this.kept.pending = [...this.kept.pending, { position, bytes: source.slice(at, at + taken) }];
    return taken;
  }

  async datasync(): Promise<void> {
    await this.owner.syncing();
    if (this.owner.lies) return;
    const writes = this.pending;
    for (const { position, bytes } of writes) {
      for (let done = 0; done < bytes.length; ) {
        done += await this.file.write(bytes, done, bytes.length - done, position + done);
      }
    }
    // Only now: a read meanwhile must find them, in one place or the other.
    if (this.kept !== null) this.kept.pending = this.kept.pending.filter((each) => !writes.includes(each));
    await this.file.datasync();
  }

  async size(): Promise<number> {
    const size = await this.file.size();
    return this.pending.reduce((most, { position, bytes }) => Math.max(most, position + bytes.length), size);
  }

  async truncate(length: number): Promise<void> {
    if (this.kept === null) return this.file.truncate(length);
    this.kept.pending = this.kept.pending
      .filter(({ position }) => position < length)
      .map(({ position, bytes }) => ({ position, bytes: bytes.subarray(0, length - position) }));
    await this.file.truncate(length);
  }

  identity(): Promise<string> {
    return this.file.identity();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
