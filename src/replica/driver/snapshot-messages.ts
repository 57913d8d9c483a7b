/**
 * The messages by which a replica pulls a snapshot from a peer, chunk by chunk. Each chunk carries the name of the
 * snapshot that it is of, since snapshots of one index differ in bytes between members, and a checksum of its own.
 */

import { Malformed, VARINT_MAX_BYTES, type Reader, type Writer } from '../../core/bytes.js';
import { crc32c } from '../../core/crc32c.js';
import type { Index, SnapshotName } from '../../core/protocol.js';

/** A chunk has no more bytes; nor has it more than `Limits.messageBytes` of who asks for it. */
export const MOST_CHUNK = 64 * 1024;

/** Each pull that is outrun doubles what is kept of the log for the next one, at most so often. */
export const MOST_DOUBLINGS = 3;

/** A snapshot as its source offers it. */
export interface OfferedSnapshot extends SnapshotName {
  /** The size of its file, ≥ 1. */
  readonly bytes: number;
}

/** A part of a snapshot's file, from its first byte on; the last bytes may be damaged. */
export interface PartialSnapshot extends Omit<OfferedSnapshot, 'time'> {
  /** How many of its bytes are here. */
  readonly stored: number;
}

/** A replica to a member: a chunk of a snapshot, please. */
export interface AskChunk {
  readonly kind: 'askChunk';
  /** Of the pull, in the range of the sender's boot; echoed. */
  readonly number: number;
  /** A snapshot of a lower index is of no use. */
  readonly least: Index;
  /** The snapshot of which the sender has chunks, by index and checksum; 0 and 0: the newest one. */
  readonly index: Index;
  readonly checksum: number;
  /** Where in the file the chunk begins, and its bytes unless the file ends before: 1 to `MOST_CHUNK`. */
  readonly offset: number;
  readonly length: number;
  /** How many pulls before were outrun, in a row: the log is kept for this one up to twice the bound for each. */
  readonly outrun: number;
}

/** The answer: the bytes of the file from `offset` on. */
export interface SnapshotChunk {
  readonly kind: 'chunk';
  readonly number: number;
  readonly snapshot: OfferedSnapshot;
  readonly offset: number;
  readonly data: Uint8Array;
}

/** The answer of a member that has no such snapshot. */
export interface NoSnapshot {
  readonly kind: 'noSnapshot';
  readonly number: number;
}

/** A replica that pulls a snapshot, to the leader and to whom it asks: it will need the log behind this index. */
export interface HoldLog {
  readonly kind: 'holdLog';
  readonly index: Index;
  /** As in `AskChunk`. */
  readonly outrun: number;
}

export type SnapshotMessage = AskChunk | SnapshotChunk | NoSnapshot | HoldLog;

const KINDS = ['askChunk', 'chunk', 'noSnapshot', 'holdLog'] as const;

/** An upper bound of the bytes of a message. */
export function snapshotMessageBound(message: SnapshotMessage): number {
  return 2 + 9 * VARINT_MAX_BYTES + (message.kind === 'chunk' ? message.data.length : 0);
}

export function writeSnapshotMessage(writer: Writer, message: SnapshotMessage): void {
  writer.u8(KINDS.indexOf(message.kind));
  writer.varint(message.kind === 'holdLog' ? 0 : message.number);
  switch (message.kind) {
    case 'askChunk': {
      const { least, index, checksum, offset, length, outrun } = message;
      for (const field of [least, index, checksum, offset, length, outrun]) writer.varint(field);
      return;
    }
    case 'chunk': {
      const { index, term, checksum, time, bytes } = message.snapshot;
      for (const field of [index, term, checksum, time, bytes, message.offset]) writer.varint(field);
      writer.varint(crc32c(message.data));
      return writer.bytes(message.data);
    }
    case 'holdLog':
      writer.varint(message.index);
      return writer.varint(message.outrun);
    case 'noSnapshot':
      return;
  }
}

function readChunk(reader: Reader, number: number): SnapshotChunk {
  const [index, term, checksum] = [reader.varint(), reader.varint(), reader.varint()];
  const [time, bytes, offset, crc] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const data = reader.bytes().slice();
  if (crc32c(data) !== crc) throw new Malformed('a chunk of a snapshot is damaged');
  const fits = data.length > 0 && data.length <= MOST_CHUNK && offset + data.length <= bytes;
  if (!fits || index === 0 || term === 0) throw new Malformed('a chunk is of no snapshot');
  return { kind: 'chunk', number, snapshot: { index, term, checksum, time, bytes }, offset, data };
}

/** @throws Malformed */
export function readSnapshotMessage(reader: Reader): SnapshotMessage {
  const kind = KINDS[reader.u8()];
  const number = reader.varint();
  switch (kind) {
    case 'askChunk': {
      const [least, index, checksum] = [reader.varint(), reader.varint(), reader.varint()];
      const [offset, length] = [reader.varint(), reader.varint()];
      if (length === 0 || length > MOST_CHUNK) throw new Malformed('a chunk has no such length');
      return { kind, number, least, index, checksum, offset, length, outrun: reader.varint() };
    }
    case 'chunk':
      return readChunk(reader, number);
    case 'holdLog':
      return { kind, index: reader.varint(), outrun: reader.varint() };
    case 'noSnapshot':
      return { kind, number };
    default:
      throw new Malformed('a message about snapshots is of an unknown kind');
  }
}
