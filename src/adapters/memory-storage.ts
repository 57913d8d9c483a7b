/**
 * A storage in memory, for tests and first steps. The object is the disk: after `close`, `open` is a restart and finds
 * all that was written. Bytes are copied on the way in and out, so nothing is shared with the caller. It runs on every
 * platform.
 */
import { joined } from '../core/bytes.js';
import { ConsensusError, invalidArgument } from '../replica/errors.js';
import type {
  Opened,
  PartialFile,
  PartialSnapshots,
  SnapshotStore,
  Storage,
  StorageOp,
  StoredEntry,
  StoredRun,
} from '../replica/storage.js';
import { checkFileName, checkOps, checkRead } from './storage-checks.js';

class MemoryParts implements PartialSnapshots {
  private readonly files: Map<string, Uint8Array>;
  /** By name, what was written one after the other. */
  private readonly parts = new Map<string, Uint8Array[]>();

  constructor(files: Map<string, Uint8Array>) {
    this.files = files;
  }

  async list(): Promise<readonly PartialFile[]> {
    return [...this.parts].map(([name, pieces]) => ({ name, bytes: joined(pieces).length }));
  }

  async write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    checkFileName(name);
    const pieces = offset === 0 ? [] : (this.parts.get(name) ?? []);
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    if (offset > size) throw invalidArgument(`offset: expected at most ${size}, got ${offset}`);
    const kept = offset < size ? [joined(pieces).slice(0, offset)] : pieces;
    this.parts.set(name, kept);
    kept.push(bytes.slice());
  }

  async complete(name: string, file: string): Promise<void> {
    checkFileName(file);
    const pieces = this.parts.get(name);
    if (pieces === undefined) throw invalidArgument(`name: there is no such partial file: ${name}`);
    this.files.set(file, joined(pieces));
    this.parts.delete(name);
  }

  async remove(name: string): Promise<void> {
    this.parts.delete(name);
  }
}

class MemorySnapshots implements SnapshotStore {
  private readonly files = new Map<string, Uint8Array>();
  readonly partial: PartialSnapshots = new MemoryParts(this.files);

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()];
  }

  async write(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    checkFileName(file);
    const pieces: Uint8Array[] = [];
    for await (const chunk of chunks) pieces.push(chunk.slice());
    this.files.set(file, joined(pieces));
  }

  async read(file: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    checkFileName(file);
    const content = this.files.get(file);
    if (content !== undefined) return content.slice(offset, offset + maxBytes);
    throw new ConsensusError(`there is no snapshot ${file}`, { code: 'ERR_STORAGE_CORRUPT' });
  }

  async remove(file: string): Promise<void> {
    checkFileName(file);
    this.files.delete(file);
  }
}

class MemoryStorage implements Storage {
  readonly snapshots: SnapshotStore = new MemorySnapshots();
  private readonly values = new Map<string, Uint8Array>();
  /** Ascending by index. */
  private readonly entries: StoredEntry[] = [];
  private boot = 0;
  private isOpen = false;

  async open(): Promise<Opened> {
    if (this.isOpen) throw new ConsensusError('the memory storage is open', { code: 'ERR_STORAGE_LOCKED' });
    this.isOpen = true;
    this.boot++;
    return {
      boot: this.boot,
      values: new Map([...this.values].map(([key, value]) => [key, value.slice()])),
      first: this.entries[0]?.index ?? 0,
      last: this.entries[this.entries.length - 1]?.index ?? 0,
      runs: runsOf(this.entries),
    };
  }

  async write(ops: readonly StorageOp[]): Promise<void> {
    this.checkOpen('write');
    checkOps(ops);
    for (const op of ops) {
      if (op.kind === 'set') this.values.set(op.key, op.value.slice());
      else if (op.kind === 'truncate') this.entries.length = this.find(op.from);
      else if (op.kind === 'trim') this.entries.splice(0, this.find(op.through + 1));
      else for (const entry of op.entries) this.put(entry);
    }
  }

  private put({ index, term, data }: StoredEntry): void {
    const at = this.find(index);
    const replaced = this.entries[at]?.index === index ? 1 : 0;
    this.entries.splice(at, replaced, { index, term, data: data.slice() });
  }

  /** Where the first entry with that index or a higher one is. */
  private find(index: number): number {
    let [low, high] = [0, this.entries.length];
    // The usual case: the log goes on where it ended.
    if ((this.entries[high - 1]?.index ?? 0) < index) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.entries[middle] as StoredEntry).index < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async read(from: number, to: number, maxBytes: number): Promise<readonly StoredEntry[]> {
    this.checkOpen('read');
    checkRead(from, to, maxBytes);
    const found: StoredEntry[] = [];
    let left = maxBytes;
    for (let at = this.find(from); at < this.entries.length; at++) {
      const { index, term, data } = this.entries[at] as StoredEntry;
      if (index > to || (found.length > 0 && data.length > left)) break;
      left -= data.length;
      found.push({ index, term, data: data.slice() });
      if (left <= 0) break;
    }
    return found;
  }

  async close(): Promise<void> {
    this.isOpen = false;
  }

  private checkOpen(call: string): void {
    if (this.isOpen) return;
    if (this.boot === 0) throw invalidArgument(`${call}: the storage is not open yet`);
    throw new ConsensusError('the memory storage is closed', { code: 'ERR_CLOSED' });
  }
}

/** Runs as `Opened` has them: a run goes on over a gap. */
function runsOf(entries: readonly StoredEntry[]): StoredRun[] {
  const runs: StoredRun[] = [];
  for (const { index, term } of entries) {
    if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
  }
  return runs;
}

/** A storage in memory, for tests. After `close` it can be opened again, which is a restart on the same data. */
export function memoryStorage(): Storage {
  return new MemoryStorage();
}
