/**
 * A disk that is watched while a storage opens: a file system that hangs (a network that is gone, a controller that
 * resets) must not keep a start waiting for ever. A large log may take its time, so what is bounded is a single call.
 */
import { ConsensusError } from '../../replica/errors.js';
import type { Disk, DiskFile } from './disk.js';

/** Milliseconds that one call of an open may take. */
export const LONGEST_CALL_MS = 30_000;

/** Ends with ERR_STORAGE_FAILED when the call has not ended in time; what it still does then is without effect here. */
function bounded<T>(disk: Disk, what: string, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = disk.after(LONGEST_CALL_MS, () => {
      const message = `${what} has not answered for ${LONGEST_CALL_MS / 1000} s`;
      reject(new ConsensusError(message, { code: 'ERR_STORAGE_FAILED' }));
    });
    call.then(resolve, reject).finally(cancel);
  });
}

/** The same disk, each call bounded. Files that it opens are the disk's own: `boundedFile` bounds theirs. */
export function boundedDisk(disk: Disk): Disk {
  const bound = <T>(what: string, call: Promise<T>): Promise<T> => bounded(disk, what, call);
  const late = <T>(what: string, call: Promise<T>, letGo: (value: T) => Promise<void>): Promise<T> => {
    const result = bound(what, call);
    // What comes too late belongs to nobody.
    result.catch(() => call.then(letGo).catch(() => undefined));
    return result;
  };
  const file = (path: string, call: Promise<DiskFile>): Promise<DiskFile> =>
    late(`opening ${path}`, call, (opened) => opened.close());
  return {
    ...methodsOf(disk),
    mkdir: (dir) => bound(`creating ${dir}`, disk.mkdir(dir)),
    readdir: (dir) => bound(`reading ${dir}`, disk.readdir(dir)),
    open: (path) => file(path, disk.open(path)),
    openToRead: (path) => file(path, disk.openToRead(path)),
    create: (path) => file(path, disk.create(path)),
    rename: (from, to) => bound(`renaming ${from}`, disk.rename(from, to)),
    unlink: (path) => bound(`removing ${path}`, disk.unlink(path)),
    syncDirectory: (dir) => bound(`syncing ${dir}`, disk.syncDirectory(dir)),
    lock: (dir) => late(`locking ${dir}`, disk.lock(dir), async (lock) => lock?.release()),
    identity: (path) => bound(`looking at ${path}`, disk.identity(path)),
    free: (dir) => bound(`looking for space in ${dir}`, disk.free(dir)),
  };
}

function methodsOf(disk: Disk): Pick<Disk, 'resolve' | 'join' | 'parent' | 'after' | 'every' | 'random'> {
  return {
    resolve: (dir) => disk.resolve(dir),
    join: (dir, name) => disk.join(dir, name),
    parent: (path) => disk.parent(path),
    after: (ms, callback) => disk.after(ms, callback),
    every: (ms, callback) => disk.every(ms, callback),
    random: () => disk.random(),
  };
}

/** The same file, each call bounded. */
export function boundedFile(disk: Disk, path: string, file: DiskFile): DiskFile {
  const bound = <T>(what: string, call: Promise<T>): Promise<T> => bounded(disk, `${what} ${path}`, call);
  return {
    read: (target, at, length, position) => bound('reading', file.read(target, at, length, position)),
    write: (source, at, length, position) => bound('writing', file.write(source, at, length, position)),
    datasync: () => bound('syncing', file.datasync()),
    size: () => bound('measuring', file.size()),
    truncate: (length) => bound('cutting', file.truncate(length)),
    identity: () => bound('looking at', file.identity()),
    close: () => bound('closing', file.close()),
  };
}
