/**
 * The snapshots of this replica: when one is taken, which ones a start may restore, what the log may be trimmed to, and
 * when a snapshot is no longer needed. The host calls the machine and writes the files; the core names a complete one
 * in the persist lane. Those of peers are pulled by `pulling.ts` and installed here.
 *
 * Invariants: one snapshot is taken at a time, never while one is restored; its point in time lies between two runs of
 * commands, so what the driver adds to it (driver-part.ts) is of that very index; a file goes only after the list of
 * names without it is durable; the two newest are kept, and the log from the older one on. While the storage is full,
 * one is kept, and the log from that one on; a file that a peer pulls stays for it.
 */

import type { Mutable } from '../../core/draft.js';
import type { Index, Milliseconds, PersistOp, SnapshotName, Term } from '../../core/protocol.js';
import { encodeDriverPart } from './driver-part.js';
import { PartDraft } from './part-draft.js';
import type { LaneOp } from './persist-lane.js';
import { restoredFrom } from './restored.js';
import {
  dueAt,
  snapshotsDeadline,
  type KnownSnapshot,
  type NamingSnapshot,
  type SnapshotsState,
  type TakingSnapshot,
} from './snapshots-state.js';
import { SNAPSHOTS_KEY, encodeSnapshots, type SnapshotList, type StoredSnapshot } from './snapshot-list.js';

export type { SnapshotList, StoredSnapshot } from './snapshot-list.js';
export { initialSnapshots, noSnapshots } from './snapshots-state.js';
export type { FoundSnapshots, SnapshotPolicy, SnapshotsState } from './snapshots-state.js';

const KEPT = 2;
/** One is begun only while so many times the size of the last one is free. */
const NEEDED = 1.5;
/** Milliseconds after the first failure; they double with each further one, up to the longest. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
/** After one has ended, none is taken to make room for `FIRST_PAUSE`, nor for so many times as long as it took. */
const SPARING = 4;

/** As the core names it. */
export function nameOf({ index, term, checksum, time }: SnapshotName): SnapshotName {
  return { index, term, checksum, time };
}

/** It replaces the list, or trims the log by it. */
type ListOp = Extract<LaneOp, { readonly kind: 'set' | 'trim' }>;

export class SnapshotsDraft extends PartDraft<SnapshotsState> {
  protected override copy(state: SnapshotsState): Mutable<SnapshotsState> {
    const { named, base, naming, restoring, taking, told, entries, bytes } = state;
    const { failures, retryAt, wantsRoom, roomAt, shrunkTo } = state;
    const waits = { failures, retryAt, wantsRoom, roomAt, shrunkTo };
    return { named, base, naming, restoring, taking, told, entries, bytes, ...waits };
  }

  /** Whether the machine is not to be given anything new: it restores a snapshot, or is about to. */
  get isRestoring(): boolean {
    return this.state.restoring !== null;
  }

  /** Whether nothing touches the machine. */
  get isAlone(): boolean {
    return this.state.restoring?.begun === true;
  }

  /** The list that will be durable next. */
  get newest(): SnapshotList {
    const { naming } = this.state;
    return naming[naming.length - 1]?.list ?? this.state;
  }

  /** How many snapshots are kept. */
  private get kept(): number {
    return this.draft.calls.state.storageFull ? 1 : KEPT;
  }

  /** The storage has run out of space, or has some again: what failed before may succeed now. */
  spaceChanged(full: boolean): void {
    const next = this.edit();
    next.wantsRoom = full;
    next.retryAt = Math.min(next.retryAt, Math.max(this.draft.now, next.roomAt));
  }

  /** The one that was taken has ended. */
  private ended({ since }: TakingSnapshot): void {
    const { now } = this.draft;
    const next = this.edit();
    next.taking = null;
    next.roomAt = now + Math.max(FIRST_PAUSE, SPARING * (now - since));
  }

  /** The list that was to make room is durable, though what the lane has written before may not be. */
  roomMade(): void {
    const { naming } = this.state;
    this.edit().naming = naming.map((each) => (each.makesRoom ? { ...each, writeId: 0 } : each));
  }

  /** The machine has restored the snapshot. */
  restored(): void {
    const { draft } = this;
    const { restoring } = this.state;
    if (restoring === null || !restoring.begun) return;
    this.edit().restoring = null;
    const { snapshot, since, part } = restoring;
    const { index, bytes } = snapshot;
    if (part !== null && index > draft.applying.state.applied) restoredFrom(draft, snapshot, part);
    draft.event({ kind: 'snapshot', event: 'restored', index, bytes, took: draft.now - since });
  }

  /** The index of the snapshot that will be the newest once all that is under way has succeeded; 0 without one. */
  get newestIndex(): Index {
    const { taking, told } = this.state;
    return Math.max(this.newest.named[0]?.index ?? 0, told?.snapshot.index ?? 0, taking?.index ?? 0);
  }

  /** A run was applied whole, and the next one has not begun: takes a snapshot if one is due, or wanted. */
  applied(index: Index, term: Term, entries: number, bytes: number): void {
    const { snapshotPolicy } = this.draft.options;
    if (this.draft.compactions.wants) this.take(index, term);
    if (snapshotPolicy === null) return;
    const next = this.edit();
    next.entries += entries;
    next.bytes += bytes;
    if (this.draft.now >= dueAt(next, snapshotPolicy)) this.take(index, term);
  }

  /** Takes one of what is applied, unless the machine is at work: then once its run has ended. */
  takeAtOnce(): void {
    const { running, applied, term } = this.draft.applying.state;
    if (running === null) this.take(applied, term);
  }

  private take(index: Index, term: Term): void {
    const { draft } = this;
    const { taking, told, naming, restoring } = this.state;
    if (taking !== null || told !== null || naming.length > 0 || restoring !== null) return;
    const next = this.edit();
    // What is left of one that failed here may be removed at any moment.
    const file = `${index}-${draft.options.boot}${next.failures > 0 ? `-f${next.failures}` : ''}`;
    const { time } = draft.applying.state;
    next.taking = { file, index, term, time, since: draft.now, entries: next.entries, bytes: next.bytes };
    draft.sources.grew(next.bytes);
    next.entries = 0;
    next.bytes = 0;
    const part = encodeDriverPart(draft.applying.state);
    draft.event({ kind: 'snapshot', event: 'begun', index, bytes: 0, took: 0 });
    const needed = Math.ceil(NEEDED * (this.newest.named[0]?.bytes ?? 0));
    draft.effect({ kind: 'takeSnapshot', file, index, term, part, needed });
  }

  /** The snapshot is complete and durable: the core is to name it, and to trim what no start and no peer needs. */
  taken(file: string, checksum: number, bytes: number): void {
    const { draft } = this;
    const { taking } = this.state;
    if (taking?.file !== file) return;
    if (this.state.restoring !== null) {
      this.edit().taking = null; // it was complete before it could be ended
      return draft.effect({ kind: 'removeSnapshot', file });
    }
    const { index, term, time, since } = taking;
    const snapshot = { file, index, term, checksum, time, bytes };
    this.ended(taking);
    const next = this.edit();
    next.told = { snapshot, since, part: null, isNamed: false };
    const through = this.kept === 1 ? index : this.trimmable(snapshot);
    draft.toCore({ kind: 'snapshotTaken', now: draft.now, snapshot: nameOf(snapshot), through });
  }

  /** What the log may be trimmed to once this one is named, too. */
  private trimmable(snapshot: StoredSnapshot): Index {
    const { sources, compactions } = this.draft;
    const most = Math.max(0, snapshot.index - compactions.keepOf(snapshot.index));
    return Math.min(most, sources.kept(this.newest.named[0]?.index ?? 0, snapshot));
  }

  /** There is no snapshot; nothing of it is left. */
  failed(file: string, reason: string, cause: unknown): void {
    const { draft } = this;
    const { taking } = this.state;
    if (taking?.file !== file) return;
    this.ended(taking);
    const next = this.edit();
    if (next.restoring !== null) return; // it was ended
    next.entries += taking.entries;
    next.bytes += taking.bytes;
    next.failures += 1;
    next.retryAt = draft.now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (next.failures - 1));
    draft.compactions.failed(taking.index, reason, cause);
    const took = draft.now - taking.since;
    draft.event({ kind: 'snapshot', event: 'failed', index: taking.index, bytes: 0, took, reason, cause });
  }

  /** A snapshot of a peer is complete, durable and verified: the core is to install it. */
  pulled(snapshot: StoredSnapshot, part: Uint8Array, since: Milliseconds): void {
    const { draft } = this;
    this.edit().told = { snapshot, since, part, isNamed: false };
    draft.toCore({ kind: 'install', now: draft.now, snapshot: nameOf(snapshot) });
  }

  /** The list with which a persist of the core replaces the newest one; `null` if it names no snapshot. */
  private listBy(ops: readonly PersistOp[]): SnapshotList | null {
    const { told } = this.state;
    if (told === null) return null; // so it is with nearly every persist
    const op = ops.find((each) => each.kind === 'trim' || each.kind === 'install');
    if (op === undefined) return null;
    if (op.kind === 'install') {
      const { index, term } = op.snapshot;
      return { named: [told.snapshot], base: { index, term } };
    }
    const { named } = this.newest;
    const older = told.isNamed ? [] : named;
    return { named: [told.snapshot, ...older].slice(0, this.kept), base: op.base };
  }

  /** The operations of a persist as the lane has them: the list, and what goes from the log. */
  inLane(ops: readonly PersistOp[]): readonly LaneOp[] {
    const list = this.listBy(ops);
    if (list === null) return ops as readonly LaneOp[];
    const [set, ...trim] = this.opsOf(list);
    return ops.flatMap((op): readonly LaneOp[] => {
      if (op.kind === 'trim') return [set, ...trim];
      if (op.kind !== 'install') return [op];
      return op.keepsAbove ? [set, ...trim] : [set, { kind: 'truncate', from: 1 }, ...trim];
    });
  }

  private opsOf(list: SnapshotList): readonly [ListOp, ...ListOp[]] {
    const { index } = list.base;
    const set: ListOp = { kind: 'set', key: SNAPSHOTS_KEY, value: encodeSnapshots(list) };
    return index > this.newest.base.index ? [set, { kind: 'trim', through: index }] : [set];
  }

  /** A persist of the core is part of this write. */
  queued(ops: readonly PersistOp[], writeId: number): void {
    const { told, naming } = this.state;
    const list = this.listBy(ops);
    if (list === null || told === null) return;
    if (told.isNamed) this.draft.effect({ kind: 'makeRoom', ops: this.opsOf(list) });
    const next = this.edit();
    next.told = null;
    next.naming = [...naming, { known: told.isNamed ? null : told, list, writeId, makesRoom: told.isNamed }];
  }

  /**
   * The core has installed the pulled snapshot: the machine is to be restored from it, once it has ended its run, and
   * the snapshot that is taken of it has ended.
   */
  restore(): void {
    const { naming, taking } = this.state;
    const { snapshot, since, part } = naming[naming.length - 1]?.known as KnownSnapshot;
    const next = this.edit();
    if (taking !== null && next.restoring === null) this.draft.effect({ kind: 'endTaking', file: taking.file });
    next.restoring = { snapshot, since, part, begun: false };
    next.entries = 0;
    next.bytes = 0;
    this.draft.applying.forget();
  }

  /** Begins to restore, unless the machine still applies, or is read. */
  beginRestore(): void {
    const { draft } = this;
    const { restoring, taking } = this.state;
    if (restoring === null || restoring.begun || taking !== null || draft.applying.state.running !== null) return;
    this.edit().restoring = { ...restoring, begun: true };
    draft.effect({ kind: 'restore', snapshot: restoring.snapshot });
  }

  /** At the end of every event: lists that are durable replace those before them, and files without a name go. */
  conclude(): void {
    const { draft } = this;
    const { told, naming } = this.state;
    if (told !== null && draft.phase.kind === 'running') {
      this.edit().told = null; // the core has no use for it any more
      if (!told.isNamed) draft.effect({ kind: 'removeSnapshot', file: told.snapshot.file });
    }
    const { durableWriteId } = draft.lane.state;
    let at = 0;
    for (; at < naming.length && (naming[at] as NamingSnapshot).writeId <= durableWriteId; at++) {
      this.named(naming[at] as NamingSnapshot);
    }
    if (at > 0) this.edit().naming = naming.slice(at);
    draft.sources.removeUnused();
    const again = snapshotsDeadline(this.state, draft.options.snapshotPolicy);
    if (draft.phase.kind === 'running' && draft.now >= again) this.takeAtOnce();
  }

  /**
   * Of a full storage the log below the newest snapshot goes, and the older one, whatever a peer needs of the log; at
   * once, since the write under way may wait for that space. No list is on its way then, and what the lane has to write
   * is above what is trimmed, so it makes no difference which of them is written first.
   */
  shrink(): void {
    const { draft } = this;
    const { named, base, shrunkTo } = this.state;
    const [newest] = named;
    if (this.kept > 1 || newest === undefined || this.isBusy) return;
    const through = newest.index;
    if (through <= Math.max(base.index, shrunkTo)) return;
    this.edit().shrunkTo = through;
    this.edit().told = { snapshot: newest, since: draft.now, part: null, isNamed: true };
    draft.toCore({ kind: 'snapshotTaken', now: draft.now, snapshot: nameOf(newest), through });
  }

  /** Whether a list is about to change. */
  private get isBusy(): boolean {
    const { naming, told, restoring } = this.state;
    return naming.length > 0 || told !== null || restoring !== null;
  }

  private named({ list, known }: NamingSnapshot): void {
    const { draft } = this;
    const { named } = this.state;
    const gone = named.filter(({ file }) => list.named.every((kept) => kept.file !== file));
    const next = this.edit();
    next.named = list.named;
    const trimmed = list.base.index > next.base.index;
    next.base = list.base;
    draft.sources.unnamed(gone);
    if (known !== null) {
      next.failures = 0;
      next.wantsRoom = false;
      const { index, bytes } = known.snapshot;
      const took = draft.now - known.since;
      draft.event({ kind: 'snapshot', event: known.part === null ? 'taken' : 'installed', index, bytes, took });
    }
    const isGivenUp = known === null || (known.part === null && list.named.length < Math.min(KEPT, 1 + named.length));
    for (const { index, bytes } of isGivenUp ? gone : []) {
      draft.event({ kind: 'snapshot', event: 'givenUp', index, bytes, took: 0 });
    }
    if (trimmed) draft.event({ kind: 'snapshot', event: 'trimmed', index: list.base.index, bytes: 0, took: 0 });
  }
}
