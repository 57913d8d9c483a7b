/** What the host tells the driver of snapshots, what the driver wants done with them, and what people hear. */

import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds, Term } from '../../core/protocol.js';
import type { DriverDraft } from './draft.js';
import type { OfferedSnapshot, PartialSnapshot } from './snapshot-messages.js';
import type { StoredSnapshot } from './snapshots.js';

/** Events of the driver. */
export type SnapshotInput =
  /** The machine has restored the snapshot of the last `restore`. */
  | { readonly kind: 'restored' }
  /** The snapshot is complete and durable, and was read back; or there is nothing of it. */
  | { readonly kind: 'snapshotTaken'; readonly file: string; readonly checksum: number; readonly bytes: number }
  | { readonly kind: 'snapshotFailed'; readonly file: string; readonly reason: string; readonly cause?: unknown }
  /** A chunk was read, for the peer that asked; `null` if it could not be. */
  | {
      readonly kind: 'chunkRead';
      readonly to: ReplicaId;
      readonly number: number;
      readonly snapshot: OfferedSnapshot;
      readonly offset: number;
      readonly data: Uint8Array | null;
    }
  /** Of the file that is pulled so many bytes are written. */
  | { readonly kind: 'chunkStored'; readonly file: string; readonly bytes: number }
  /** The pulled file is complete, durable and verified, whatever it is; `part` is what the driver has in it. */
  | {
      readonly kind: 'snapshotPulled';
      readonly file: string;
      readonly index: Index;
      readonly term: Term;
      readonly checksum: number;
      readonly part: Uint8Array;
    }
  /** There is no such file: what came is no snapshot of this cluster and protocol, or the storage failed. */
  | {
      readonly kind: 'pullFailed';
      readonly file: string;
      readonly reason: string;
      readonly isDamaged: boolean;
    };

/** Effects of the driver. */
export type SnapshotOutput =
  /** Restore this snapshot into the machine, which nothing touches until `restored` says so. */
  | { readonly kind: 'restore'; readonly snapshot: StoredSnapshot }
  /**
   * Take a snapshot of the machine as it is now, and write it beside what the driver adds to it. Nothing of it is
   * written, and it fails, if the storage tells that fewer than `needed` bytes are free.
   */
  | {
      readonly kind: 'takeSnapshot';
      readonly file: string;
      readonly index: Index;
      readonly term: Term;
      readonly part: Uint8Array;
      readonly needed: number;
    }
  /** The machine is to be restored: it is read no further. `snapshotFailed` answers, or `snapshotTaken`. */
  | { readonly kind: 'endTaking'; readonly file: string }
  | { readonly kind: 'removeSnapshot'; readonly file: string }
  /** Read a part of a snapshot's file for a peer; answered by `chunkRead`. */
  | {
      readonly kind: 'readChunk';
      readonly to: ReplicaId;
      readonly number: number;
      readonly file: string;
      readonly snapshot: OfferedSnapshot;
      readonly offset: number;
      readonly length: number;
    }
  /**
   * Begin the file of a snapshot that is pulled, or go on with the partial one of it behind its first `from` bytes: the
   * others follow in order, until it is complete or abandoned.
   */
  | { readonly kind: 'pullSnapshot'; readonly file: string; readonly snapshot: OfferedSnapshot; readonly from: number }
  /** What an earlier start has pulled of this one is not needed any more. */
  | { readonly kind: 'removePartial'; readonly snapshot: PartialSnapshot }
  | { readonly kind: 'storeChunk'; readonly file: string; readonly data: Uint8Array }
  | { readonly kind: 'completeSnapshot'; readonly file: string }
  | { readonly kind: 'abandonSnapshot'; readonly file: string };

/**
 * An event for people: a snapshot was `begun`, `taken` (it is durable, and a start restores it), `restored`, or it
 * `failed`, and the log and the older snapshot serve on. The log was `trimmed` up to `index`. An older one was
 * `givenUp`: the storage is full. One of `peer` is being pulled (`pulling`), or was `installed`, or was `outrun`: the
 * log behind it was trimmed before it had come, and the next one is pulled, for which more of the log is kept; or the
 * pull was `dropped`, needed no longer. It `failed`, too, when no member gives one that serves. `bytes` is its size,
 * `took` how long it took in milliseconds; 0 where not known.
 */
export interface SnapshotReport {
  readonly kind: 'snapshot';
  readonly event:
    | 'begun'
    | 'taken'
    | 'failed'
    | 'restored'
    | 'trimmed'
    | 'givenUp'
    | 'pulling'
    | 'installed'
    | 'outrun'
    | 'dropped';
  readonly index: Index;
  readonly peer?: ReplicaId;
  readonly bytes: number;
  readonly took: Milliseconds;
  readonly reason?: string;
  readonly cause?: unknown;
}

/** Those of a pull, on either side. */
export type PullEffect = Extract<
  SnapshotOutput,
  {
    readonly kind:
      | 'readChunk'
      | 'pullSnapshot'
      | 'storeChunk'
      | 'completeSnapshot'
      | 'abandonSnapshot'
      | 'removePartial';
  }
>;

/** The kinds of `SnapshotInput`. */
export const SNAPSHOT_INPUTS: readonly SnapshotInput['kind'][] = [
  'restored',
  'snapshotTaken',
  'snapshotFailed',
  'chunkRead',
  'chunkStored',
  'snapshotPulled',
  'pullFailed',
];

/** A chunk for a peer; one that could not be read is not sent, and the peer asks again, or another one. */
function onChunkRead(draft: DriverDraft, event: Extract<SnapshotInput, { kind: 'chunkRead' }>): void {
  const { to, number, snapshot, offset, data } = event;
  draft.sources.hasRead(to);
  if (data !== null) draft.pulling.send(to, { kind: 'chunk', number, snapshot, offset, data });
}

export function onSnapshotInput(draft: DriverDraft, event: SnapshotInput): void {
  switch (event.kind) {
    case 'restored':
      return draft.snapshots.restored();
    case 'snapshotTaken':
      return draft.snapshots.taken(event.file, event.checksum, event.bytes);
    case 'snapshotFailed':
      return draft.snapshots.failed(event.file, event.reason, event.cause);
    case 'chunkRead':
      return onChunkRead(draft, event);
    case 'chunkStored':
      return draft.pulling.stored(event.file, event.bytes);
    case 'snapshotPulled':
      return draft.pulling.pulled(event);
    case 'pullFailed':
      return draft.pulling.failed(event.file, event.reason, event.isDamaged);
  }
}
