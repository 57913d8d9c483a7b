/**
 * The snapshots of this replica: when one is taken, which ones a start may restore, and when one is no longer needed.
 * The host calls the machine and writes the files; the core names a complete one in the persist lane.
 *
 * Invariants: one snapshot is taken at a time, never while one is restored; its point in time lies between two runs of
 * commands, so what the driver adds to it (driver-part.ts) is of that very index; a file goes only after the list of
 * names without it is durable; the two newest are kept.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { Mutable } from '../../core/draft.js';
import type { Index, Milliseconds, PersistOp, SnapshotName, Term } from '../../core/protocol.js';
import { PartDraft } from './part-draft.js';
import type { LaneOp } from './persist-lane.js';
import { encodeDriverPart } from './driver-part.js';

/** A snapshot that the storage holds. */
export interface StoredSnapshot extends SnapshotName {
  /** The name of its file. */
  readonly file: string;
  /** The size of its file. */
  readonly bytes: number;
}

/** A snapshot is taken when so many entries, or bytes of them, were applied since the last one was begun. */
export interface SnapshotPolicy {
  readonly entries: number;
  readonly bytes: number;
}

/** What a start found. */
export interface FoundSnapshots {
  /** By which the snapshots are kept, newest first. */
  readonly named: readonly StoredSnapshot[];
  /** What the driver has in the first of these, which verifies; `null` without one. */
  readonly part: Uint8Array | null;
}

export const noSnapshots: FoundSnapshots = { named: [], part: null };

/** The snapshot that the host takes. */
interface TakingSnapshot {
  readonly file: string;
  readonly index: Index;
  readonly term: Term;
  readonly since: Milliseconds;
}

/** @see SnapshotsDraft */
export interface SnapshotsState {
  /** What a durable list names, newest first. */
  readonly named: readonly StoredSnapshot[];
  /** The machine restores the first of these. */
  readonly restoring: { readonly since: Milliseconds } | null;
  readonly taking: TakingSnapshot | null;
  /** It is complete: the write of that number names it; 0 until the core has asked for it. */
  readonly naming: { readonly snapshot: StoredSnapshot; readonly since: Milliseconds; readonly writeId: number } | null;
  /** Entries, and their bytes, that were applied since the last one was begun. */
  readonly entries: number;
  readonly bytes: number;
  /** How many failed in a row; after a failure there is none before `retryAt`. */
  readonly failures: number;
  readonly retryAt: Milliseconds;
}

/** The key under which the storage keeps the names, newest first. */
export const SNAPSHOTS_KEY = 'snapshots';
const VERSION = 1;
const KEPT = 2;
const LONGEST_NAME = 64;
/** Milliseconds after the first failure; they double with each further one, up to the longest. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

export function encodeSnapshots(named: readonly StoredSnapshot[]): Uint8Array {
  const writer = new Writer(128);
  writer.u8(VERSION);
  writer.varint(named.length);
  for (const { file, index, term, checksum, bytes } of named) {
    writer.ascii(file);
    for (const field of [index, term, checksum, bytes]) writer.varint(field);
  }
  return writer.finish();
}

/** @throws Malformed */
export function decodeSnapshots(bytes: Uint8Array): readonly StoredSnapshot[] {
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) throw new Malformed('the names of snapshots are of an unknown version');
  const named: StoredSnapshot[] = [];
  for (let left = reader.count(5); left > 0; left--) {
    const file = reader.ascii(LONGEST_NAME);
    const [index, term] = [reader.varint(), reader.varint()];
    named.push({ file, index, term, checksum: reader.varint(), bytes: reader.varint() });
  }
  reader.end();
  return named;
}

/** At the start. */
export function initialSnapshots({ named }: FoundSnapshots, now: Milliseconds): SnapshotsState {
  const restoring = named.length === 0 ? null : { since: now };
  return { named, restoring, taking: null, naming: null, entries: 0, bytes: 0, failures: 0, retryAt: -Infinity };
}

export class SnapshotsDraft extends PartDraft<SnapshotsState> {
  protected override copy(state: SnapshotsState): Mutable<SnapshotsState> {
    const { named, restoring, taking, naming, entries, bytes, failures, retryAt } = state;
    return { named, restoring, taking, naming, entries, bytes, failures, retryAt };
  }

  /** Whether the machine is not to be touched: it restores a snapshot. */
  get isRestoring(): boolean {
    return this.state.restoring !== null;
  }

  /** The machine has restored the snapshot. */
  restored(): void {
    const { draft } = this;
    const { restoring, named } = this.state;
    const [snapshot] = named;
    if (restoring === null || snapshot === undefined) return;
    this.edit().restoring = null;
    const { index, bytes } = snapshot;
    draft.event({ kind: 'snapshot', event: 'restored', index, bytes, took: draft.now - restoring.since });
  }

  /** A run was applied whole, and the next one has not begun: takes a snapshot if one is due. */
  applied(index: Index, term: Term, entries: number, bytes: number): void {
    const { snapshotPolicy } = this.draft.options;
    if (snapshotPolicy === null) return;
    const next = this.edit();
    next.entries += entries;
    next.bytes += bytes;
    const isDue = next.entries >= snapshotPolicy.entries || next.bytes >= snapshotPolicy.bytes;
    if (isDue && this.draft.now >= next.retryAt) this.take(index, term);
  }

  private take(index: Index, term: Term): void {
    const { draft } = this;
    const next = this.edit();
    if (next.taking !== null || next.naming !== null) return;
    const file = `${index}-${draft.options.boot}`;
    next.taking = { file, index, term, since: draft.now };
    next.entries = 0;
    next.bytes = 0;
    const part = encodeDriverPart(draft.applying.state);
    draft.event({ kind: 'snapshot', event: 'begun', index, bytes: 0, took: 0 });
    draft.effect({ kind: 'takeSnapshot', file, index, term, part });
  }

  /** The snapshot is complete and durable: the core is to name it. */
  taken(file: string, checksum: number, bytes: number): void {
    const { draft } = this;
    const { taking } = this.state;
    if (taking?.file !== file) return;
    const { index, term, since } = taking;
    const next = this.edit();
    next.taking = null;
    next.naming = { snapshot: { file, index, term, checksum, bytes }, since, writeId: 0 };
    draft.toCore({ kind: 'snapshotTaken', now: draft.now, snapshot: { index, term, checksum } });
  }

  /** There is no snapshot; nothing of it is left. */
  failed(file: string, reason: string, cause: unknown): void {
    const { draft } = this;
    const { taking } = this.state;
    if (taking?.file !== file) return;
    const next = this.edit();
    next.taking = null;
    next.failures += 1;
    next.retryAt = draft.now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (next.failures - 1));
    const took = draft.now - taking.since;
    draft.event({ kind: 'snapshot', event: 'failed', index: taking.index, bytes: 0, took, reason, cause });
  }

  /** The operations of a persist as the lane has them: what names a snapshot becomes the list of names. */
  inLane(ops: readonly PersistOp[]): readonly LaneOp[] {
    const { naming, named } = this.state;
    if (naming === null || !ops.some(({ kind }) => kind === 'trim')) return ops as readonly LaneOp[];
    const value = encodeSnapshots([naming.snapshot, ...named].slice(0, KEPT));
    return ops.map((op) => (op.kind === 'trim' ? { kind: 'set', key: SNAPSHOTS_KEY, value } : op));
  }

  /** A persist of the core is part of this write. */
  queued(ops: readonly PersistOp[], writeId: number): void {
    const { naming } = this.state;
    if (naming !== null && ops.some(({ kind }) => kind === 'trim')) this.edit().naming = { ...naming, writeId };
  }

  /** At the end of every event: a snapshot whose name is durable replaces the oldest. */
  conclude(): void {
    const { draft } = this;
    const { naming, named } = this.state;
    if (naming === null || naming.writeId === 0 || draft.lane.state.durableWriteId < naming.writeId) return;
    const { snapshot, since } = naming;
    const all = [snapshot, ...named];
    const next = this.edit();
    next.naming = null;
    next.failures = 0;
    next.named = all.slice(0, KEPT);
    for (const { file } of all.slice(KEPT)) draft.effect({ kind: 'removeSnapshot', file });
    const { index, bytes } = snapshot;
    draft.event({ kind: 'snapshot', event: 'taken', index, bytes, took: draft.now - since });
  }
}
