/**
 * Disks that misbehave on purpose. `SimDisk` keeps apart what is durable and what is only written, per file
 * and per name in the directory, and can lose any part of the latter; `FaultyDisk` makes one call of another
 * disk fail.
 */
import type { Disk, DiskFile, DiskLock } from '../../src/adapters/file-storage/disk.js';

/** What a disk writes at once; a torn write is torn here. */
const SECTOR = 512;

/** A seeded stream of numbers in [0, 1) (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function placed(bytes: Uint8Array, position: number, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(bytes.length, position + data.length));
  result.set(bytes);
  result.set(data, position);
  return result;
}

class Inode {
  durable = new Uint8Array(0);
  now = new Uint8Array(0);
  unsynced: { position: number; data: Uint8Array }[] = [];

  write(position: number, data: Uint8Array): void {
    this.now = placed(this.now, position, data) as Uint8Array<ArrayBuffer>;
    this.unsynced.push({ position, data });
  }

  sync(): void {
    this.durable = this.now.slice();
    this.unsynced = [];
  }

  /** What a power cut leaves: each sector of each unsynced write, or not. */
  afterCrash(keep: () => boolean): Inode {
    let bytes: Uint8Array = this.durable;
    for (const { position, data } of this.unsynced) {
      for (let at = 0; at < data.length; ) {
        const end = Math.min(data.length, at + SECTOR - ((position + at) % SECTOR));
        if (keep()) bytes = placed(bytes, position + at, data.subarray(at, end));
        at = end;
      }
    }
    return Inode.of(bytes);
  }

  static of(bytes: Uint8Array): Inode {
    const inode = new Inode();
    inode.now = bytes.slice() as Uint8Array<ArrayBuffer>;
    inode.sync();
    return inode;
  }
}

type Names = Map<string, Inode>;
/** A change of the directory: names that come to be, or `undefined` for those that go. */
type NameChange = readonly (readonly [name: string, inode: Inode | undefined])[];

function changed(names: Names, change: NameChange): void {
  for (const [name, inode] of change) {
    if (inode === undefined) names.delete(name);
    else names.set(name, inode);
  }
}

/** How a crash treats what was not synced. */
export type Loss = 'all' | 'some' | 'none';

/** One directory in memory, with a power switch. */
export class SimDisk implements Disk {
  private names: Names = new Map();
  private durableNames: Names = new Map();
  private unsyncedNames: NameChange[] = [];
  private locked = false;
  private randomState: number;

  constructor(seed = 1) {
    this.randomState = seed;
  }

  /** What is there when the power is back: a new disk. With 'none', only the processes died. */
  crash(loss: Loss, random: () => number): SimDisk {
    const disk = new SimDisk(this.randomState + 1);
    if (loss === 'none') {
      // The cache survives the processes, and what was not synced still is not.
      disk.names = new Map(this.names);
      disk.durableNames = new Map(this.durableNames);
      disk.unsyncedNames = [...this.unsyncedNames];
      return disk;
    }
    const keep = (): boolean => loss === 'some' && random() < 0.5;
    const left: Names = new Map(this.durableNames);
    for (const change of this.unsyncedNames) if (keep()) changed(left, change);
    for (const [name, inode] of left) {
      const kept = inode.afterCrash(keep);
      disk.names.set(name, kept);
      disk.durableNames.set(name, kept);
    }
    return disk;
  }

  /** A disk on which these files are durable. */
  static of(files: Iterable<readonly [string, Uint8Array]>): SimDisk {
    const disk = new SimDisk();
    for (const [name, bytes] of files) {
      const inode = Inode.of(bytes);
      disk.names.set(name, inode);
      disk.durableNames.set(name, inode);
    }
    return disk;
  }

  /** The files as a reader sees them now, by name. */
  files(): Map<string, Uint8Array> {
    const sorted = [...this.names].sort(([a], [b]) => (a < b ? -1 : 1));
    return new Map(sorted.map(([name, { now }]) => [name, now.slice()]));
  }

  resolve(dir: string): string {
    return `/sim/${dir}`;
  }

  join(_dir: string, name: string): string {
    return name;
  }

  parent(path: string): string {
    return path.slice(0, Math.max(1, path.lastIndexOf('/')));
  }

  async mkdir(): Promise<void> {
    /* it is there */
  }

  async readdir(): Promise<readonly string[]> {
    return [...this.names.keys()];
  }

  async open(path: string): Promise<DiskFile> {
    const inode = this.names.get(path);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return fileOf(inode);
  }

  async create(path: string): Promise<DiskFile> {
    const inode = new Inode();
    this.change([[path, inode]]);
    return fileOf(inode);
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.names.get(from);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' });
    this.change([
      [from, undefined],
      [to, inode],
    ]);
  }

  async unlink(path: string): Promise<void> {
    this.change([[path, undefined]]);
  }

  private change(change: NameChange): void {
    changed(this.names, change);
    this.unsyncedNames.push(change);
  }

  async syncDirectory(): Promise<void> {
    this.durableNames = new Map(this.names);
    this.unsyncedNames = [];
  }

  async lock(): Promise<DiskLock | undefined> {
    if (this.locked) return undefined;
    this.locked = true;
    return {
      release: async () => {
        this.locked = false;
      },
    };
  }

  random(): number {
    this.randomState = Math.imul(this.randomState, 1664525) + 1013904223;
    return this.randomState >>> 0;
  }
}

function fileOf(inode: Inode): DiskFile {
  return {
    read: async (target, at, length, position) => {
      const piece = inode.now.subarray(position, position + length);
      target.set(piece, at);
      return piece.length;
    },
    write: async (source, at, length, position) => {
      inode.write(position, source.slice(at, at + length));
      return length;
    },
    datasync: async () => inode.sync(),
    size: async () => inode.now.length,
    close: async () => {
      /* nothing to let go */
    },
  };
}

/**
 * What comes before a call: undefined lets it through, a promise holds it up or breaks it. For a write, a number is
 * how many bytes are taken (storage/short-io).
 */
export type Fault = (call: string, count: number) => Promise<void> | number | undefined;

/** Passes every call on, unless `fault` says otherwise. */
export class FaultyDisk implements Disk {
  /** The calls so far, by name. */
  readonly calls: string[] = [];
  openFiles = 0;
  private readonly disk: Disk;
  private readonly fault: Fault;

  constructor(disk: Disk, fault: Fault) {
    this.disk = disk;
    this.fault = fault;
  }

  private count(call: string): Promise<void> | number | undefined {
    this.calls.push(call);
    return this.fault(call, this.calls.length);
  }

  private async pass<T>(call: string, run: () => Promise<T>): Promise<T> {
    const fault = this.count(call);
    if (typeof fault === 'object') await fault;
    return run();
  }

  resolve(dir: string): string {
    return this.disk.resolve(dir);
  }
  join(dir: string, name: string): string {
    return this.disk.join(dir, name);
  }
  parent(path: string): string {
    return this.disk.parent(path);
  }
  random(): number {
    return this.disk.random();
  }
  mkdir(dir: string): Promise<void> {
    return this.pass('mkdir', () => this.disk.mkdir(dir));
  }
  readdir(dir: string): Promise<readonly string[]> {
    return this.pass('readdir', () => this.disk.readdir(dir));
  }
  rename(from: string, to: string): Promise<void> {
    return this.pass('rename', () => this.disk.rename(from, to));
  }
  unlink(path: string): Promise<void> {
    return this.pass('unlink', () => this.disk.unlink(path));
  }
  syncDirectory(dir: string): Promise<void> {
    return this.pass('syncDirectory', () => this.disk.syncDirectory(dir));
  }

  async open(path: string): Promise<DiskFile> {
    return this.wrapped(await this.pass('open', () => this.disk.open(path)));
  }

  async create(path: string): Promise<DiskFile> {
    return this.wrapped(await this.pass('create', () => this.disk.create(path)));
  }

  lock(dir: string): Promise<DiskLock | undefined> {
    return this.pass('lock', () => this.disk.lock(dir));
  }

  private wrapped(file: DiskFile): DiskFile {
    this.openFiles++;
    return {
      read: (...args) => this.pass('read', () => file.read(...args)),
      write: async (source, at, length, position) => {
        const fault = this.count('write');
        if (typeof fault === 'object') await fault;
        return file.write(source, at, typeof fault === 'number' ? Math.min(length, fault) : length, position);
      },
      datasync: () => this.pass('datasync', () => file.datasync()),
      size: () => this.pass('size', () => file.size()),
      close: async () => {
        this.openFiles--;
        // A descriptor is gone even when closing it reports an error.
        await file.close();
        await this.pass('close', () => Promise.resolve());
      },
    };
  }
}

export function platformError(code: string): Promise<never> {
  return Promise.reject(Object.assign(new Error(`${code}: injected`), { code }));
}
