/**
 * The interface through which the file storage reaches the platform. It has these calls and no others, so that tests
 * can replace it by a disk that fails, tears writes and loses unsynced data. Calls reject with the platform's error.
 */

/** One open file. Offsets and lengths are bytes. */
export interface DiskFile {
  /** Reads into `target[at, at + length)`; resolves with how many bytes it got, 0 at the end of the file. */
  read(target: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** Writes `source[at, at + length)`; resolves with how many bytes it took, which may be fewer. */
  write(source: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** Makes the written bytes durable, and the file's size if it grew, before it resolves. */
  datasync(): Promise<void>;
  size(): Promise<number>;
  /** Cuts the file behind `length` bytes. */
  truncate(length: number): Promise<void>;
  /** What tells this file from every other one, whatever its name is. */
  identity(): Promise<string>;
  close(): Promise<void>;
}

/** A held lock. */
export interface DiskLock {
  release(): Promise<void>;
}

/**
 * A file system, and three other services of the platform that the storage needs: a lock, timers and random numbers.
 */
export interface Disk {
  /** The absolute path of `dir`. */
  resolve(dir: string): string;
  join(dir: string, name: string): string;
  /** The directory that holds `path`; `path` itself when there is none. */
  parent(path: string): string;
  /** Creates `dir` and missing directories above it, with access for the owner only. */
  mkdir(dir: string): Promise<void>;
  readdir(dir: string): Promise<readonly string[]>;
  /** Opens an existing file to read and write. */
  open(path: string): Promise<DiskFile>;
  /** Opens an existing file to read, also where nothing may be written. */
  openToRead(path: string): Promise<DiskFile>;
  /**
   * Opens an existing file so that what a write takes is durable when the write resolves. Absent where the platform has
   * no such way, or where it may not reach the medium.
   */
  openThrough?: ((path: string) => Promise<DiskFile>) | undefined;
  /** Creates an empty file, replacing any other, with access for the owner only. */
  create(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes creations, renames and removals in `dir` durable before it resolves. */
  syncDirectory(dir: string): Promise<void>;
  /** Locks `dir`; resolves with `undefined` when another storage holds it. The lock ends with its process. */
  lock(dir: string): Promise<DiskLock | undefined>;
  /** What tells the file or directory that `path` names now from every other one. */
  identity(path: string): Promise<string>;
  /** How many bytes may be written on the file system of `dir`. */
  free(dir: string): Promise<number>;
  /** Calls back once, in `ms` milliseconds. The timer keeps no process alive. @returns what cancels it */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every `ms` milliseconds, as `after` does. @returns what ends it */
  every(ms: number, callback: () => void): () => void;
  /** A random integer in [0, 2^32). */
  random(): number;
}
