/** Complete reads and writes of a file, and the error when they fail. */
import { ConsensusError } from '../../replica/errors.js';
import type { DiskFile } from './disk.js';

/** Reads until it has `length` bytes or the file ends. @returns the number of bytes read */
export async function readFully(
  file: DiskFile,
  target: Uint8Array,
  at: number,
  length: number,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < length) {
    const got = await file.read(target, at + done, length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

/** Writes all bytes; after a short write it continues where that ended. */
export async function writeFully(
  file: DiskFile,
  source: Uint8Array,
  at: number,
  length: number,
  position: number,
): Promise<void> {
  let done = await file.write(source, at, length, position);
  let last = done;
  while (done < length) {
    if (last <= 0) throw new Error('the file takes no more bytes');
    last = await file.write(source, at + done, length - done, position + done);
    done += last;
  }
}

const ZEROS = new Uint8Array(1024 * 1024);

/** Writes zeros in `[from, to)`. */
export async function writeZeros(file: DiskFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length) {
    await writeFully(file, ZEROS, 0, Math.min(ZEROS.length, to - at), at);
  }
}

/** The error for a call that the platform rejected; a ConsensusError is returned unchanged. */
export function failed(what: string, cause: unknown, outcome: 'none' | 'unknown' = 'none'): ConsensusError {
  if (cause instanceof ConsensusError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ConsensusError(`${what}: ${why}`, { code: 'ERR_STORAGE_FAILED', outcome, cause });
}

/** Closes a file that was only read or is given up, so that an error of the close does not matter. */
export async function letGo(file: DiskFile): Promise<void> {
  await file.close().catch(() => undefined);
}
