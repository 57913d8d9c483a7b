/** A member with two snapshots and a log that is trimmed behind the older one, on a disk of this process. */

import { createReplica, type ReplicaOptions } from 'quorate';
import { fileStorage } from 'quorate/node';
import { aloneOptions } from '../replica/host/alone.js';
import { SimDisk } from './file-storage-disks.js';

class Words {
  words: string[] = [];
  apply(word: string): number {
    return this.words.push(word);
  }
  snapshot(): string[] {
    return this.words;
  }
  restore(words: string[]): void {
    this.words = words;
  }
}

export function inspectedOptions(disk: SimDisk): ReplicaOptions<Words> {
  const storage = fileStorage('data', { fs: disk, segmentBytes: 4096 });
  return { ...aloneOptions({ machine: new Words(), storage }), snapshots: { entries: 20 } };
}

export interface MemberFiles {
  readonly files: Map<string, Uint8Array>;
  /** The names of its snapshots. */
  readonly newest: string;
  readonly older: string;
}

/** The files that a member leaves behind that starts on these, if there are any, and has so many commands. */
export async function filesOfMember(before: Iterable<[string, Uint8Array]> = [], commands = 100): Promise<MemberFiles> {
  const disk = SimDisk.of(before);
  disk.flies = true;
  const replica = await createReplica(inspectedOptions(disk));
  for (let at = 0; at < commands; at++) await replica.propose(`${'w'.repeat(200)}${at}`);
  await replica.compact();
  const [first, second] = replica.status().snapshots;
  await replica.close();
  const files = disk.files();
  const names = [...files.keys()].filter((name) => name.startsWith('snapshot-'));
  const sizeOf = (name: string): number => files.get(name)?.length ?? 0;
  const newest = names.find((name) => sizeOf(name) === first?.bytes);
  const older = names.find((name) => sizeOf(name) === second?.bytes);
  if (names.length !== 2 || newest === undefined || older === undefined || newest === older) {
    throw new Error(`expected two snapshots, of different sizes, got ${JSON.stringify(names)}`);
  }
  return { files, newest, older };
}

/** The same files, this one with other bytes; without it where there are none. */
export function altered(
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): Map<string, Uint8Array> {
  const copy = new Map(files);
  const bytes = change((files.get(name) as Uint8Array).slice());
  copy.delete(name);
  if (bytes !== undefined) copy.set(name, bytes);
  return copy;
}

export function flipped(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  };
}
