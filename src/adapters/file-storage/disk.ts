/**
 * What the file storage asks of the world: the dozen calls below and nothing else, so that tests can put a
 * disk in its place that fails, tears and forgets. Rejections carry the platform's error
 * as it is.
 */

/** One open file. Offsets and lengths are bytes. */
export interface DiskFile {
  /** Reads into `target[at, at + length)`; resolves with how many bytes it got, 0 at the end of the file. */
  read(target: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** Writes `source[at, at + length)`; resolves with how many bytes it took, which may be fewer. */
  write(source: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** What was written, and the size if it grew, are durable when this resolves. */
  datasync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** A held lock. */
export interface DiskLock {
  release(): Promise<void>;
}

/**
 * A file system, and the two other things of the world that the storage needs: a lock and a random number.
 */
export interface Disk {
  /** An absolute path by which `dir` is known from now on. */
  resolve(dir: string): string;
  join(dir: string, name: string): string;
  /** The directory that holds `path`; `path` itself when there is none. */
  parent(path: string): string;
  /** Makes `dir` and what is missing above it, for the owner only. */
  mkdir(dir: string): Promise<void>;
  readdir(dir: string): Promise<readonly string[]>;
  /** An existing file, to read and write. */
  open(path: string): Promise<DiskFile>;
  /** A new, empty file in the place of any other, for the owner only. */
  create(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Creations, renames and removals in `dir` are durable when this resolves. */
  syncDirectory(dir: string): Promise<void>;
  /** Undefined when another holds `dir`. Dies with its holder. */
  lock(dir: string): Promise<DiskLock | undefined>;
  /** A random integer in [0, 2^32). */
  random(): number;
}
