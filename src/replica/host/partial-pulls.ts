/**
 * What is pulled of a snapshot, in a file that outlives its process (`PartialSnapshots`): its name says of which one it
 * is, so a later start that pulls the same goes on with it. One file at most is kept.
 */

import type { OfferedSnapshot, PartialSnapshot } from '../driver/snapshot-messages.js';
import type { PartialFile, PartialSnapshots } from '../storage.js';
import { answered } from './plug-ins.js';

const NAME = /^(\d+)-(\d+)-(\d+)-(\d+)$/;

/** Snapshots of one index differ between members, and a checksum alone is short. */
function nameOf({ index, term, checksum, bytes }: Omit<OfferedSnapshot, 'time'>): string {
  return `${index}-${term}-${checksum}-${bytes}`;
}

function partialOf({ name, bytes: stored }: PartialFile): PartialSnapshot | null {
  const [, ...digits] = NAME.exec(name) ?? [];
  const [index = 0, term = 0, checksum = 0, bytes = 0] = digits.map(Number);
  const isSafe = [index, term, checksum, bytes].every((each) => Number.isSafeInteger(each));
  return isSafe && index > 0 && term > 0 && stored > 0 && stored <= bytes
    ? { index, term, checksum, bytes, stored }
    : null;
}

function listed(parts: PartialSnapshots): Promise<readonly PartialFile[]> {
  return answered('ERR_STORAGE_FAILED', 'snapshots.partial.list', () => parts.list());
}

/** What an earlier start has pulled of the newest snapshot above this index; `undefined` if nothing can be used. */
export async function findPartial(
  parts: PartialSnapshots | undefined,
  above: number,
): Promise<PartialSnapshot | undefined> {
  if (parts === undefined) return undefined;
  const files = await listed(parts).catch((): readonly PartialFile[] => []); // then it is pulled anew
  const usable = files.map(partialOf).filter((each) => each !== null && each.index > above) as PartialSnapshot[];
  return usable.sort((a, b) => b.index - a.index)[0];
}

/** Removes all partial files but that of this snapshot. */
export async function keepPartial(
  parts: PartialSnapshots,
  kept: PartialSnapshot | OfferedSnapshot | null,
): Promise<void> {
  for (const { name } of await listed(parts)) {
    if (kept === null || name !== nameOf(kept)) await removeFile(parts, name);
  }
}

function removeFile(parts: PartialSnapshots, name: string): Promise<void> {
  return answered('ERR_STORAGE_FAILED', 'snapshots.partial.remove', () => parts.remove(name));
}

export function removePartial(parts: PartialSnapshots, snapshot: Omit<OfferedSnapshot, 'time'>): Promise<void> {
  return removeFile(parts, nameOf(snapshot));
}

/** Writes the chunks behind the first `from` bytes, and makes the whole complete under the name `file`. */
export async function writePartial(
  parts: PartialSnapshots,
  snapshot: OfferedSnapshot,
  from: number,
  file: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const name = nameOf(snapshot);
  await keepPartial(parts, snapshot);
  let at = from;
  for await (const chunk of chunks) {
    const offset = at;
    await answered('ERR_STORAGE_FAILED', 'snapshots.partial.write', () => parts.write(name, offset, chunk));
    at += chunk.length;
  }
  await answered('ERR_STORAGE_FAILED', 'snapshots.partial.complete', () => parts.complete(name, file));
}
