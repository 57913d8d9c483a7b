/** A memory storage whose snapshots are kept otherwise, and which says what it is told to say. */

import { memoryStorage } from '../../../src/adapters/memory-storage.js';
import type { SnapshotStore, Storage, StorageNotice } from '../../../src/replica/storage.js';

/** @param change what takes the place of its own ways with snapshots; it has no `free` and no `partial` of its own */
export function storageWith(change: (files: SnapshotStore) => Partial<SnapshotStore>, memory = memoryStorage()) {
  const files = memory.snapshots as SnapshotStore;
  let listener: (notice: StorageNotice) => void = () => undefined;
  const snapshots: SnapshotStore = {
    list: () => files.list(),
    write: (file, chunks) => files.write(file, chunks),
    read: (file, offset, maxBytes) => files.read(file, offset, maxBytes),
    remove: (file) => files.remove(file),
    ...change(files),
  };
  const storage: Storage = {
    open: (events) => {
      listener = events ?? listener;
      return memory.open();
    },
    write: (ops) => memory.write(ops),
    read: (from, to, maxBytes) => memory.read(from, to, maxBytes),
    close: () => memory.close(),
    snapshots,
  };
  return { memory, files, snapshots, storage, say: (notice: StorageNotice) => listener(notice) };
}
