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

/** Bytes that grow in place. */
class Contents {
  private buffer: Uint8Array;
  length: number;

  constructor(bytes = new Uint8Array(0)) {
    this.buffer = bytes.slice();
    this.length = bytes.length;
  }

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  resize(length: number): void {
    if (length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.buffer.length));
      larger.set(this.bytes);
      this.buffer = larger;
    } else if (length < this.length) this.buffer.fill(0, length, this.length);
    this.length = length;
  }

  place(position: number, data: Uint8Array): void {
    if (position + data.length > this.length) this.resize(position + data.length);
    this.buffer.set(data, position);
  }
}

/** A change of a file that no sync has made durable: bytes in their place, or a new length. */
type Change = { readonly position: number; readonly data: Uint8Array } | { readonly length: number };

let inodes = 0;

class Inode {
  readonly number = ++inodes;
  readonly now: Contents;
  private durable: Contents;
  private unsynced: Change[] = [];

  constructor(bytes = new Uint8Array(0)) {
    this.now = new Contents(bytes);
    this.durable = new Contents(bytes);
  }

  write(position: number, data: Uint8Array): void {
    this.now.place(position, data);
    this.unsynced.push({ position, data });
  }

  /** A write that is durable at once, it alone. */
  writeThrough(position: number, data: Uint8Array): void {
    this.now.place(position, data);
    this.durable.place(position, data);
    for (const change of this.unsynced) {
      if ('length' in change) continue;
      const [from, to] = [position - change.position, position + data.length - change.position];
      if (from >= change.data.length || to <= 0) continue;
      change.data.set(
        data.subarray(Math.max(0, -from), Math.min(data.length, change.data.length - from)),
        Math.max(0, from),
      );
    }
  }

  truncate(length: number): void {
    this.now.resize(length);
    this.unsynced.push({ length });
  }

  sync(): void {
    for (const change of this.unsynced) {
      if ('length' in change) this.durable.resize(change.length);
      else this.durable.place(change.position, change.data);
    }
    this.unsynced = [];
  }

  copy(): Inode {
    const copy = new Inode(this.now.bytes as Uint8Array<ArrayBuffer>);
    copy.durable = new Contents(this.durable.bytes as Uint8Array<ArrayBuffer>);
    copy.unsynced = [...this.unsynced];
    return copy;
  }

  /** What a power cut leaves of the file. */
  afterCrash(loss: Loss, random: () => number): Inode {
    const left = new Contents(this.durable.bytes as Uint8Array<ArrayBuffer>);
    for (const change of this.unsynced) {
      if ('length' in change) {
        if (loss === 'kept' || loss === 'metadata' || (loss === 'some' && random() < 0.5)) left.resize(change.length);
      } else if (loss === 'kept' || loss === 'names') left.place(change.position, change.data);
      else if (loss === 'metadata') {
        const end = change.position + change.data.length;
        if (end > left.length) left.resize(end);
      } else if (loss === 'data') {
        const fits = Math.max(0, left.length - change.position);
        if (fits > 0) left.place(change.position, change.data.subarray(0, fits));
      } else if (loss === 'some') this.keepSectors(left, change, random);
    }
    return new Inode(left.bytes as Uint8Array<ArrayBuffer>);
  }

  /** Each sector of an unsynced write is there, or not. */
  private keepSectors(
    left: Contents,
    { position, data }: { position: number; data: Uint8Array },
    random: () => number,
  ): void {
    for (let at = 0; at < data.length; ) {
      const end = Math.min(data.length, at + SECTOR - ((position + at) % SECTOR));
      if (random() < 0.5) left.place(position + at, data.subarray(at, end));
      at = end;
    }
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

/**
 * How a crash treats what was not synced: `all` of it is lost; `some`, by sector and by name; `none`, since only the
 * processes died; or the power goes and it is all `kept`; lengths and names are there without the data (`metadata`), or
 * the data without lengths and names (`data`), or data and some of the changes of the directory (`names`).
 */
export type Loss = 'all' | 'some' | 'none' | 'kept' | 'metadata' | 'data' | 'names';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** One directory in memory, with a power switch. */
export class SimDisk implements Disk {
  private names: Names = new Map();
  private durableNames: Names = new Map();
  private unsyncedNames: NameChange[] = [];
  private locked = false;
  private own = ++inodes;
  private randomState: number;
  private readonly timers = new Set<Timer>();
  private readonly intervals = new Set<() => void>();
  private time = 0;
  /** Whether time flies: what waits is called back in the next turn. Else it waits for `advance`. */
  flies = false;
  /** How many bytes the files may have together. */
  capacity = Infinity;
  /** Opens files so that a write is durable when it resolves, where that is offered. */
  openThrough: ((path: string) => Promise<DiskFile>) | undefined;
  /** Called while a write through is under way: some of its sectors may be durable. */
  underWay: (() => void) | undefined;
  /** Whether syncs do what they say. */
  syncs = true;
  syncsDirectories = true;

  constructor(seed = 1) {
    this.randomState = seed;
  }

  /** What is there when the power is back: a new disk. With 'none', only the processes died. */
  crash(loss: Loss, random: () => number): SimDisk {
    const disk = new SimDisk(this.randomState + 1);
    if (loss === 'none') {
      // The cache survives the processes, and what was not synced still is not.
      const copies = new Map<Inode, Inode>();
      const copyOf = (inode: Inode): Inode => {
        const copy = copies.get(inode) ?? inode.copy();
        copies.set(inode, copy);
        return copy;
      };
      for (const [name, inode] of this.names) disk.names.set(name, copyOf(inode));
      for (const [name, inode] of this.durableNames) disk.durableNames.set(name, copyOf(inode));
      disk.unsyncedNames = this.unsyncedNames.map((change) =>
        change.map(([name, inode]) => [name, inode && copyOf(inode)] as const),
      );
      return disk;
    }
    const left: Names = new Map(this.durableNames);
    for (const change of this.unsyncedNames) {
      const isKept = loss === 'kept' || loss === 'metadata';
      const mayBeKept = loss === 'some' || loss === 'names';
      if (isKept || (mayBeKept && random() < 0.5)) changed(left, change);
    }
    for (const [name, inode] of left) {
      const kept = inode.afterCrash(loss, random);
      disk.names.set(name, kept);
      disk.durableNames.set(name, kept);
    }
    return disk;
  }

  static thatFlies(): SimDisk {
    const disk = new SimDisk();
    disk.flies = true;
    return disk;
  }

  /** A disk on which these files are durable. */
  static of(files: Iterable<readonly [string, Uint8Array]>): SimDisk {
    const disk = new SimDisk();
    for (const [name, bytes] of files) {
      const inode = new Inode(bytes as Uint8Array<ArrayBuffer>);
      disk.names.set(name, inode);
      disk.durableNames.set(name, inode);
    }
    return disk;
  }

  /** The files as a reader sees them now, by name. */
  files(): Map<string, Uint8Array> {
    const sorted = [...this.names].sort(([a], [b]) => (a < b ? -1 : 1));
    return new Map(sorted.map(([name, { now }]) => [name, now.bytes.slice()]));
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

  /** Another directory is there instead: empty, or with these files. */
  replace(files: Iterable<readonly [string, Uint8Array]> = []): void {
    this.names = new Map([...files].map(([name, bytes]) => [name, new Inode(bytes as Uint8Array<ArrayBuffer>)]));
    this.own = ++inodes;
  }

  /** Offers to write through. */
  offerThrough(): this {
    this.openThrough = async (path) => {
      const inode = this.find(path);
      const file = this.fileOf(inode);
      return {
        ...file,
        write: async (source, at, length, position) => {
          const taken = this.room(inode, length, position);
          const data = source.slice(at, at + taken);
          inode.write(position, data);
          this.underWay?.();
          if (this.syncs) inode.writeThrough(position, data);
          return taken;
        },
      };
    };
    return this;
  }

  private find(path: string): Inode {
    const inode = this.names.get(path);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return inode;
  }

  async open(path: string): Promise<DiskFile> {
    return this.fileOf(this.find(path));
  }

  async openToRead(path: string): Promise<DiskFile> {
    return this.fileOf(this.find(path));
  }

  async create(path: string): Promise<DiskFile> {
    const inode = new Inode();
    this.change([[path, inode]]);
    return this.fileOf(inode);
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
    if (!this.syncsDirectories) return;
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

  async identity(path: string): Promise<string> {
    return path.startsWith('/') ? `directory ${this.own}` : String(this.find(path).number);
  }

  after(ms: number, callback: () => void): () => void {
    if (this.flies) {
      const soon = setImmediate(callback);
      return () => clearImmediate(soon);
    }
    const timer = { at: this.time + ms, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  every(_ms: number, callback: () => void): () => void {
    this.intervals.add(callback);
    return () => this.intervals.delete(callback);
  }

  /** Lets time pass, and then what was called back. Whatever repeats is called back once. */
  async advance(ms: number): Promise<void> {
    this.time += ms;
    for (const timer of [...this.timers]) {
      if (timer.at > this.time) continue;
      this.timers.delete(timer);
      timer.callback();
    }
    for (const callback of [...this.intervals]) callback();
    await settled();
  }

  async free(): Promise<number> {
    return this.space;
  }

  private get space(): number {
    let used = 0;
    for (const { now } of new Set(this.names.values())) used += now.length;
    return Math.max(0, this.capacity - used);
  }

  /** How many of `length` bytes there is space for. */
  private room(inode: Inode, length: number, position: number): number {
    if (this.capacity === Infinity) return length;
    const growth = Math.max(0, position + length - inode.now.length);
    const missing = Math.max(0, growth - this.space);
    if (missing >= length) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    return length - missing;
  }

  private fileOf(inode: Inode): DiskFile {
    return {
      read: async (target, at, length, position) => {
        const piece = inode.now.bytes.subarray(position, position + length);
        target.set(piece, at);
        return piece.length;
      },
      write: async (source, at, length, position) => {
        const taken = this.room(inode, length, position);
        inode.write(position, source.slice(at, at + taken));
        return taken;
      },
      datasync: async () => {
        if (this.syncs) inode.sync();
      },
      size: async () => inode.now.length,
      truncate: async (length) => inode.truncate(length),
      identity: async () => String(inode.number),
      close: async () => {
        /* nothing to let go */
      },
    };
  }
}

/** All of a simulated disk happens within a few turns. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The files of the log, without those that are space got ahead. */
export function segmentsOf(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...files].filter(([name]) => name.endsWith('.log')));
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
  after(ms: number, callback: () => void): () => void {
    return this.disk.after(ms, callback);
  }
  every(ms: number, callback: () => void): () => void {
    return this.disk.every(ms, callback);
  }
  identity(path: string): Promise<string> {
    return this.pass('identity', () => this.disk.identity(path));
  }
  free(dir: string): Promise<number> {
    return this.pass('free', () => this.disk.free(dir));
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

  async openToRead(path: string): Promise<DiskFile> {
    return this.wrapped(await this.pass('openToRead', () => this.disk.openToRead(path)));
  }

  get openThrough(): ((path: string) => Promise<DiskFile>) | undefined {
    const { openThrough } = this.disk;
    if (openThrough === undefined) return undefined;
    return async (path) => this.wrapped(await this.pass('openThrough', () => openThrough(path)));
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
      truncate: (length) => this.pass('truncate', () => file.truncate(length)),
      identity: () => this.pass('identity', () => file.identity()),
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
