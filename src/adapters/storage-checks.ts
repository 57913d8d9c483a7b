/**
 * Checks of the arguments of a storage's calls. They come before any change, so that a refused call has no effect. All
 * storages use them, so nothing here depends on a platform.
 */
import { shown } from '../core/shown.js';
import { invalidArgument } from '../replica/errors.js';
import type { StorageOp, StoredEntry } from '../replica/storage.js';

function positive(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function checkEntry(entry: StoredEntry): void {
  if (typeof entry !== 'object' || entry === null) throw invalidArgument('write: an entry must be an object');
  if (!positive(entry.index) || entry.index === Number.MAX_SAFE_INTEGER) {
    throw invalidArgument(`write: an entry's index must be a safe integer ≥ 1, not ${shown(entry.index)}`);
  }
  if (!positive(entry.term)) {
    throw invalidArgument(`write: an entry's term must be a safe integer ≥ 1, not ${shown(entry.term)}`);
  }
  if (!(entry.data instanceof Uint8Array)) {
    throw invalidArgument("write: an entry's data must be a Uint8Array");
  }
}

function checkOp(op: StorageOp): void {
  switch (op?.kind) {
    case 'set':
      // A lone surrogate has no UTF-8: two such keys would become one.
      if (typeof op.key !== 'string' || /\p{Surrogate}/u.test(op.key)) {
        throw invalidArgument('write: a key must be a well-formed string');
      }
      if (!(op.value instanceof Uint8Array)) throw invalidArgument('write: a value must be a Uint8Array');
      return;
    case 'put':
      if (!Array.isArray(op.entries)) throw invalidArgument('write: entries must be an array');
      for (const entry of op.entries as readonly StoredEntry[]) checkEntry(entry);
      return;
    case 'truncate':
      if (!positive(op.from)) {
        throw invalidArgument(`write: truncate needs a safe integer ≥ 1, not ${shown(op.from)}`);
      }
      return;
    case 'trim':
      if (!positive(op.through) || op.through === Number.MAX_SAFE_INTEGER) {
        throw invalidArgument(`write: trim needs a safe integer ≥ 1, not ${shown(op.through)}`);
      }
      return;
    default:
      throw invalidArgument('write: an operation must be a set, a put, a truncate or a trim');
  }
}

/** @throws ConsensusError ERR_INVALID_ARGUMENT naming what was expected */
export function checkOps(ops: readonly StorageOp[]): void {
  if (!Array.isArray(ops)) throw invalidArgument('write: operations must be an array');
  for (const op of ops as readonly StorageOp[]) checkOp(op);
}

/** `to` and `maxBytes` may be infinite. @throws ConsensusError ERR_INVALID_ARGUMENT naming what was expected */
export function checkRead(from: number, to: number, maxBytes: number): void {
  if (!Number.isSafeInteger(from)) {
    throw invalidArgument(`read: from must be a safe integer, not ${shown(from)}`);
  }
  if (typeof to !== 'number' || Number.isNaN(to)) {
    throw invalidArgument(`read: to must be a number, not ${shown(to)}`);
  }
  if (typeof maxBytes !== 'number' || !(maxBytes >= 0)) {
    throw invalidArgument(`read: maxBytes must be a number ≥ 0, not ${shown(maxBytes)}`);
  }
}

/** Whether it can be the name of a snapshot's file. */
export function isFileName(file: unknown): boolean {
  return typeof file === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(file);
}

/** @throws ConsensusError ERR_INVALID_ARGUMENT unless it can be the name of a snapshot's file */
export function checkFileName(file: string): void {
  if (isFileName(file)) return;
  throw invalidArgument(`snapshots: a name is 1 to 64 of A-Z a-z 0-9 . _ -, not ${shown(file)}`);
}
