/**
 * The real file system, by callbacks on plain file descriptors: each call costs one promise.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Disk, DiskFile } from './disk.js';
import { lockDirectory } from './lock.js';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

type Done = (error: Error | null) => void;

function called(start: (done: Done) => void): Promise<void> {
  return new Promise((fulfil, reject) => start((error) => (error === null ? fulfil() : reject(error))));
}

/** Device and inode: a name that is given to another file has another one. */
function nameOf({ dev, ino }: fs.BigIntStats): string {
  return `${dev}:${ino}`;
}

class NodeFile implements DiskFile {
  private readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    return new Promise((fulfil, reject) => {
      fs.read(this.fd, target, at, length, position, (error, got) => {
        if (error === null) fulfil(got);
        else reject(error);
      });
    });
  }

  write(source: Uint8Array, at: number, length: number, position: number): Promise<number> {
    return new Promise((fulfil, reject) => {
      fs.write(this.fd, source, at, length, position, (error, took) => {
        if (error === null) fulfil(took);
        else reject(error);
      });
    });
  }

  datasync(): Promise<void> {
    return called((done) => fs.fdatasync(this.fd, done));
  }

  size(): Promise<number> {
    return new Promise((fulfil, reject) => {
      fs.fstat(this.fd, (error, stats) => (error === null ? fulfil(stats.size) : reject(error)));
    });
  }

  truncate(length: number): Promise<void> {
    return called((done) => fs.ftruncate(this.fd, length, done));
  }

  identity(): Promise<string> {
    return new Promise((fulfil, reject) => {
      fs.fstat(this.fd, { bigint: true }, (error, stats) => (error === null ? fulfil(nameOf(stats)) : reject(error)));
    });
  }

  close(): Promise<void> {
    return called((done) => fs.close(this.fd, (error) => done(error ?? null)));
  }
}

function openFile(path: string, flags: string | number): Promise<NodeFile> {
  return new Promise((fulfil, reject) => {
    fs.open(path, flags, FILE_MODE, (error, fd) => {
      if (error === null) fulfil(new NodeFile(fd));
      else reject(error);
    });
  });
}

async function syncDirectory(dir: string): Promise<void> {
  // Windows has no sync for directories; NTFS journals its names.
  if (process.platform === 'win32') return;
  const fd = await new Promise<number>((fulfil, reject) => {
    fs.open(dir, 'r', (error, opened) => (error === null ? fulfil(opened) : reject(error)));
  });
  try {
    await called((done) => fs.fsync(fd, done));
  } finally {
    await called((done) => fs.close(fd, (error) => done(error ?? null)));
  }
}

export const nodeDisk: Disk = {
  resolve: (dir) => resolve(dir),
  join: (dir, name) => join(dir, name),
  parent: (path) => dirname(path),
  mkdir: async (dir) => {
    await fs.promises.mkdir(dir, { recursive: true, mode: DIRECTORY_MODE });
  },
  readdir: (dir) => fs.promises.readdir(dir),
  open: (path) => openFile(path, 'r+'),
  openToRead: (path) => openFile(path, 'r'),
  // Of O_DSYNC it is known on Linux alone that it makes the disk write its cache.
  openThrough:
    process.platform === 'linux' ? (path) => openFile(path, fs.constants.O_RDWR | fs.constants.O_DSYNC) : undefined,
  create: (path) => openFile(path, 'w+'),
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  syncDirectory,
  lock: lockDirectory,
  identity: async (path) => nameOf(await fs.promises.stat(path, { bigint: true })),
  free: async (dir) => {
    const { bavail, bsize } = await fs.promises.statfs(dir);
    return bavail * bsize;
  },
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
  every: (ms, callback) => {
    const timer = setInterval(callback, ms).unref();
    return () => clearInterval(timer);
  },
  random: () => randomBytes(4).readUInt32LE(0),
};
