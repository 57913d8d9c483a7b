/** What a disk of the host simulation holds, and what is written to it. */

import { HARD_KEY } from '../../replica/driver/persist-lane.js';
import type { Opened, StorageOp, StoredEntry, StoredRun } from '../../replica/storage.js';

/** What a disk holds. */
export class DiskContents {
  readonly values = new Map<string, Uint8Array>();
  readonly entries = new Map<number, StoredEntry>();
  /** Complete snapshots, by name. */
  readonly files = new Map<string, Uint8Array>();
  /** Partial ones, of which nothing is durable. */
  readonly parts = new Map<string, Uint8Array>();
  boot = 0;

  copy(): DiskContents {
    const copy = new DiskContents();
    for (const [key, value] of this.values) copy.values.set(key, value);
    for (const [index, entry] of this.entries) copy.entries.set(index, entry);
    for (const [file, content] of this.files) copy.files.set(file, content);
    for (const [name, content] of this.parts) copy.parts.set(name, content);
    copy.boot = this.boot;
    return copy;
  }

  apply(op: StorageOp): void {
    if (op.kind === 'set') this.values.set(op.key, op.value);
    else if (op.kind === 'put') for (const entry of op.entries) this.entries.set(entry.index, entry);
    else {
      const isGone = (index: number): boolean => (op.kind === 'trim' ? index <= op.through : index >= op.from);
      for (const index of [...this.entries.keys()]) if (isGone(index)) this.entries.delete(index);
    }
  }

  sorted(): StoredEntry[] {
    return [...this.entries.values()].sort((a, b) => a.index - b.index);
  }

  opened(): Opened {
    const all = this.sorted();
    const runs: StoredRun[] = [];
    for (const { index, term } of all) if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
    const values = new Map([...this.values].map(([key, value]) => [key, value.slice()]));
    return { boot: this.boot, values, first: all[0]?.index ?? 0, last: all[all.length - 1]?.index ?? 0, runs };
  }
}

/** The operation as it is now. */
export function copyOf(op: StorageOp): StorageOp {
  if (op.kind === 'truncate' || op.kind === 'trim') return { ...op };
  if (op.kind === 'set') return { ...op, value: op.value.slice() };
  const entries = op.entries.map(({ index, term, data }) => ({ index, term, data: data.slice() }));
  return { kind: 'put', entries };
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Whether what was given is still what it was. */
export function isUnchanged(a: StorageOp, b: StorageOp): boolean {
  if (a.kind === 'set' && b.kind === 'set') return a.key === b.key && areEqual(a.value, b.value);
  if (a.kind === 'truncate' && b.kind === 'truncate') return a.from === b.from;
  if (a.kind === 'trim' && b.kind === 'trim') return a.through === b.through;
  if (a.kind !== 'put' || b.kind !== 'put' || a.entries.length !== b.entries.length) return false;
  return a.entries.every((entry, at) => {
    const other = b.entries[at] as StoredEntry;
    return entry.index === other.index && entry.term === other.term && areEqual(entry.data, other.data);
  });
}

/** Stored entries of a range, at least one if there is one, within `maxBytes` otherwise. */
export function found(contents: DiskContents, from: number, to: number, maxBytes: number): StoredEntry[] {
  const entries: StoredEntry[] = [];
  let left = maxBytes;
  for (const { index, term, data } of contents.sorted()) {
    if (index < from) continue;
    if (index > to || (entries.length > 0 && data.length > left)) break;
    left -= data.length;
    entries.push({ index, term, data: data.slice() });
    if (left <= 0) break;
  }
  return entries;
}

/** Whether it is the call that makes room: it trims, and has nothing of the core, whose persists that trim are hard. */
export function makesRoom(ops: readonly StorageOp[]): boolean {
  const isFree = (op: StorageOp): boolean => op.kind === 'trim' || (op.kind === 'set' && op.key !== HARD_KEY);
  return ops.some(({ kind }) => kind === 'trim') && ops.every(isFree);
}

/** Whether a call that trims, and sets values besides, may go before other ones: their order makes no difference. */
export function mayPass(ops: readonly StorageOp[], before: readonly StorageOp[]): boolean {
  if (!ops.every(({ kind }) => kind === 'trim' || kind === 'set')) return false;
  const through = Math.max(0, ...ops.map((op) => (op.kind === 'trim' ? op.through : 0)));
  const keys = ops.map((op) => (op.kind === 'set' ? op.key : null));
  const isApart = (op: StorageOp): boolean => {
    if (op.kind === 'set') return !keys.includes(op.key);
    return op.kind !== 'put' || op.entries.every(({ index }) => index > through);
  };
  return through > 0 && before.every(isApart);
}
