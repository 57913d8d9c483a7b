/**
 * The snapshots of this replica: when one is taken, which ones a start may restore, what the log may be trimmed to, and
 * when a snapshot is no longer needed. The host calls the machine and writes the files; the core names a complete one
 * in the persist lane. Those of peers are pulled by `pulling.ts` and installed here.
 *
 * Invariants: one snapshot is taken at a time, never while one is restored; its point in time lies between two runs of
 * commands, so what the driver adds to it (driver-part.ts) is of that very index; a file goes only after the list of
 * names without it is durable; the two newest are kept, and the log from the older one on. While the storage is full,
 * one is kept, unless a peer pulls the older one; the log is trimmed with the next one.
 */

import type { Mutable } from '../../core/draft.js';
import { noBase } from '../../core/log.js';
import type { Index, Milliseconds, PersistOp, SnapshotName, Term } from '../../core/protocol.js';
import { encodeDriverPart } from './driver-part.js';
import { PartDraft } from './part-draft.js';
import type { LaneOp } from './persist-lane.js';
import { restoredFrom } from './restored.js';
import type { PartialSnapshot } from './snapshot-messages.js';
import { SNAPSHOTS_KEY, encodeSnapshots, type SnapshotList, type StoredSnapshot } from './snapshot-list.js';

export type { SnapshotList, StoredSnapshot } from './snapshot-list.js';

/** A snapshot is taken when so many entries, or bytes of them, were applied since the last one was begun. */
export interface SnapshotPolicy {
  readonly entries: number;
  readonly bytes: number;
}

/** What a start found. */
export interface FoundSnapshots extends SnapshotList {
  /** What the driver has in the first of these, which verifies; `null` without one. */
  readonly part: Uint8Array | null;
  /** What an earlier start has pulled of a snapshot of a peer; absent without. */
  readonly partial?: PartialSnapshot | undefined;
}

export const noSnapshots: FoundSnapshots = { named: [], base: noBase, part: null };

/** The snapshot that the host takes. */
interface TakingSnapshot {
  readonly file: string;
  readonly index: Index;
  readonly term: Term;
  readonly time: Milliseconds;
  readonly since: Milliseconds;
}

/** A complete snapshot of which the core has heard. */
interface KnownSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly since: Milliseconds;
  /** Of one that was pulled: what the driver has in it. */
  readonly part: Uint8Array | null;
}

/** A list on its way to the disk. */
interface NamingSnapshot {
  /** The snapshot that is new in it; `null` if it only lacks one. */
  readonly known: KnownSnapshot | null;
  readonly list: SnapshotList;
  /** The write that holds it. */
  readonly writeId: number;
}

/** The machine is to be restored. */
interface RestoringSnapshot extends KnownSnapshot {
  /** The host was told: nothing else touches the machine. Before, it ends what it applies. */
  readonly begun: boolean;
}

/** @see SnapshotsDraft */
export interface SnapshotsState extends SnapshotList {
  /** Lists that are not durable yet, oldest first; `named` and `base` are the durable one. */
  readonly naming: readonly NamingSnapshot[];
  readonly restoring: RestoringSnapshot | null;
  readonly taking: TakingSnapshot | null;
  /** Told to the core, which has not named it. */
  readonly told: KnownSnapshot | null;
  /** Entries, and their bytes, that were applied since the last one was begun. */
  readonly entries: number;
  readonly bytes: number;
  /** How many failed in a row; after a failure there is none before `retryAt`. */
  readonly failures: number;
  readonly retryAt: Milliseconds;
}

const KEPT = 2;
/** One is begun only while so many times the size of the last one is free. */
const NEEDED = 1.5;
/** Milliseconds after the first failure; they double with each further one, up to the longest. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

/** At the start. */
export function initialSnapshots({ named, base, part }: FoundSnapshots, now: Milliseconds): SnapshotsState {
  const [snapshot] = named;
  const restoring = snapshot === undefined ? null : { snapshot, since: now, part, begun: true };
  const none = { naming: [], taking: null, told: null, entries: 0, bytes: 0, failures: 0, retryAt: -Infinity };
  return { named, base, restoring, ...none };
}

/** As the core names it. */
export function nameOf({ index, term, checksum, time }: SnapshotName): SnapshotName {
  return { index, term, checksum, time };
}

export class SnapshotsDraft extends PartDraft<SnapshotsState> {
  protected override copy(state: SnapshotsState): Mutable<SnapshotsState> {
    const { named, base, naming, restoring, taking, told, entries, bytes, failures, retryAt } = state;
    return { named, base, naming, restoring, taking, told, entries, bytes, failures, retryAt };
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
    const isDue = next.entries >= snapshotPolicy.entries || next.bytes >= snapshotPolicy.bytes;
    if (isDue && this.draft.now >= next.retryAt) this.take(index, term);
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
    next.taking = { file, index, term, time, since: draft.now };
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
    const next = this.edit();
    next.taking = null;
    next.told = { snapshot, since, part: null };
    const older = this.kept === 1 ? index : (this.newest.named[0]?.index ?? 0);
    const most = Math.max(0, index - draft.compactions.keepOf(index));
    const through = Math.min(most, draft.sources.kept(older, snapshot));
    draft.toCore({ kind: 'snapshotTaken', now: draft.now, snapshot: nameOf(snapshot), through });
  }

  /** There is no snapshot; nothing of it is left. */
  failed(file: string, reason: string, cause: unknown): void {
    const { draft } = this;
    const { taking } = this.state;
    if (taking?.file !== file) return;
    const next = this.edit();
    next.taking = null;
    if (next.restoring !== null) return; // it was ended
    next.failures += 1;
    next.retryAt = draft.now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (next.failures - 1));
    draft.compactions.failed(taking.index, reason, cause);
    const took = draft.now - taking.since;
    draft.event({ kind: 'snapshot', event: 'failed', index: taking.index, bytes: 0, took, reason, cause });
  }

  /** A snapshot of a peer is complete, durable and verified: the core is to install it. */
  pulled(snapshot: StoredSnapshot, part: Uint8Array, since: Milliseconds): void {
    const { draft } = this;
    this.edit().told = { snapshot, since, part };
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
    return { named: [told.snapshot, ...this.newest.named].slice(0, this.kept), base: op.base };
  }

  /** The operations of a persist as the lane has them: the list, and what goes from the log. */
  inLane(ops: readonly PersistOp[]): readonly LaneOp[] {
    const list = this.listBy(ops);
    if (list === null) return ops as readonly LaneOp[];
    const { index } = list.base;
    const set: LaneOp = { kind: 'set', key: SNAPSHOTS_KEY, value: encodeSnapshots(list) };
    const isTrimmed = index > this.newest.base.index;
    const trim: readonly LaneOp[] = isTrimmed ? [{ kind: 'trim', through: index }] : [];
    return ops.flatMap((op): readonly LaneOp[] => {
      if (op.kind === 'trim') return [set, ...trim];
      if (op.kind !== 'install') return [op];
      return op.keepsAbove ? [set, ...trim] : [set, { kind: 'truncate', from: 1 }, ...trim];
    });
  }

  /** A persist of the core is part of this write. */
  queued(ops: readonly PersistOp[], writeId: number): void {
    const { told, naming } = this.state;
    const list = this.listBy(ops);
    if (list === null || told === null) return;
    const next = this.edit();
    next.told = null;
    next.naming = [...naming, { known: told, list, writeId }];
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
      draft.effect({ kind: 'removeSnapshot', file: told.snapshot.file });
    }
    const { durableWriteId } = draft.lane.state;
    let at = 0;
    for (; at < naming.length && (naming[at] as NamingSnapshot).writeId <= durableWriteId; at++) {
      this.named(naming[at] as NamingSnapshot);
    }
    if (at > 0) this.edit().naming = naming.slice(at);
    if (this.kept === 1) this.giveUpOlder();
    draft.sources.removeUnused();
  }

  /** The storage is full: the older snapshot is to go, unless a peer pulls it. The log stays as it is. */
  private giveUpOlder(): void {
    const { draft } = this;
    const { named, base, naming, told } = this.state;
    const [newest, ...older] = named;
    if (newest === undefined || older.length === 0 || naming.length > 0 || told !== null) return;
    if (draft.phase.kind !== 'running' || older.some(({ file }) => draft.sources.isPinned(file))) return;
    const list = { named: [newest], base };
    const writeId = draft.lane.set(SNAPSHOTS_KEY, encodeSnapshots(list));
    this.edit().naming = [{ known: null, list, writeId }];
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
