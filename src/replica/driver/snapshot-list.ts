/** The snapshots that the storage holds, and the list of them that it keeps beside the log. */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { LogBase, SnapshotName } from '../../core/protocol.js';

/** A snapshot that the storage holds. */
export interface StoredSnapshot extends SnapshotName {
  /** The name of its file. */
  readonly file: string;
  /** The size of its file. */
  readonly bytes: number;
}

/** What the storage says of snapshots: which there are, newest first, and what the log begins behind. */
export interface SnapshotList {
  readonly named: readonly StoredSnapshot[];
  readonly base: LogBase;
}

/** The key under which the storage keeps the list. */
export const SNAPSHOTS_KEY = 'snapshots';
const VERSION = 2;
const LONGEST_NAME = 64;

export function encodeSnapshots({ named, base }: SnapshotList): Uint8Array {
  const writer = new Writer(256);
  writer.u8(VERSION);
  writer.varint(base.index);
  writer.varint(base.term);
  writer.varint(named.length);
  for (const { file, index, term, checksum, time, bytes } of named) {
    writer.ascii(file);
    for (const field of [index, term, checksum, time, bytes]) writer.varint(field);
  }
  return writer.finish();
}

/** @throws Malformed */
export function decodeSnapshots(bytes: Uint8Array): SnapshotList {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('the names of snapshots are of an unknown version');
  const base = { index: reader.varint(), term: reader.varint() };
  const named: StoredSnapshot[] = [];
  for (let left = reader.count(6); left > 0; left--) {
    const file = reader.ascii(LONGEST_NAME);
    const [index, term, checksum] = [reader.varint(), reader.varint(), reader.varint()];
    named.push({ file, index, term, checksum, time: reader.varint(), bytes: reader.varint() });
  }
  reader.end();
  return { named, base };
}
