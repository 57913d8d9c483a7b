/**
 * A disk as a value: the data that one replica would find after a loss of power. Writes are atomic, as the duties of a
 * storage demand; the write under way is kept in the replica's slot until it is durable. Versions of a disk share what
 * they have in common, so that old ones cost little.
 */

import type { DiskView } from '../../core/model.js';
import type {
  DurableCodec,
  Entry,
  HardState,
  Index,
  Limits,
  LogBase,
  Recovered,
  SnapshotName,
  Term,
} from '../../core/protocol.js';
import { noBase } from '../../core/log.js';
import { HARD_KEY } from '../../replica/driver/persist-lane.js';
import type { StorageOp, StoredEntry } from '../../replica/storage.js';
import type { MachinePlace } from './machine.js';

/** A stored entry, decoded on first use. */
class Cell {
  readonly stored: StoredEntry;
  private entry: Entry | null = null;

  constructor(stored: StoredEntry) {
    this.stored = stored;
  }

  decoded(durable: DurableCodec): Entry {
    const { index, term, data } = this.stored;
    this.entry ??= durable.decodeEntry(index, term, data);
    return this.entry;
  }
}

/** A complete snapshot. */
export interface WorldSnapshot extends SnapshotName {
  readonly file: string;
  readonly part: Uint8Array;
  /** How far the machine had come, and what it gave, encoded. */
  readonly place: MachinePlace;
  readonly state: Uint8Array;
}

export interface WorldDisk {
  /** Names this data; a wiped disk gets a new incarnation. */
  readonly incarnation: number;
  /** How often a replica started from it. */
  readonly boot: number;
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** The decoded hard state of `values`; `undefined` before its first use. */
  hard?: HardState | null | undefined;
  /** Cells by index, with gaps; those beyond `last` belong to other versions. */
  readonly cells: readonly (Cell | undefined)[];
  readonly last: Index;
  /** The entries up to here were trimmed; their cells may belong to other versions. */
  readonly trimmed: Index;
  /** By the names of their files. */
  readonly snapshots: ReadonlyMap<string, WorldSnapshot>;
}

const NO_SNAPSHOTS: ReadonlyMap<string, WorldSnapshot> = new Map();

/** A disk without entries. @param values the initial values, by key */
export function newDisk(incarnation: number, values: Iterable<readonly [string, Uint8Array]> = []): WorldDisk {
  return {
    incarnation,
    boot: 0,
    values: new Map(values),
    hard: undefined,
    cells: [undefined],
    last: 0,
    trimmed: 0,
    snapshots: NO_SNAPSHOTS,
  };
}

/** The disk after one more start. */
export function booted(disk: WorldDisk): WorldDisk {
  return { ...disk, boot: disk.boot + 1 };
}

/** The draft of a write: the disk's own parts until they must be copied. */
interface Changes {
  values: ReadonlyMap<string, Uint8Array>;
  cells: (Cell | undefined)[];
  last: Index;
  trimmed: Index;
  /** Whether `cells` is a private copy, whose cells may be replaced. */
  owned: boolean;
}

function own(changes: Changes): (Cell | undefined)[] {
  if (!changes.owned) changes.cells = changes.cells.slice(0, changes.last + 1);
  changes.owned = true;
  return changes.cells;
}

function put(changes: Changes, stored: StoredEntry): void {
  const { index } = stored;
  const inPlace = index > changes.last && changes.cells.length === changes.last + 1;
  const cells = inPlace ? changes.cells : own(changes);
  while (cells.length < index) cells.push(undefined);
  cells[index] = new Cell(stored);
  if (index > changes.last) changes.last = index;
}

function truncate(changes: Changes, from: Index): void {
  let last = Math.min(changes.last, from - 1);
  while (last > changes.trimmed && changes.cells[last] === undefined) last--;
  changes.last = last > changes.trimmed ? last : 0;
  if (changes.owned) changes.cells.length = last + 1;
}

function trim(changes: Changes, through: Index): void {
  changes.trimmed = Math.max(changes.trimmed, through);
  if (changes.last <= through) changes.last = 0;
}

/** The disk with these operations on it. */
export function written(disk: WorldDisk, ops: readonly StorageOp[]): WorldDisk {
  const changes: Changes = {
    values: disk.values,
    cells: disk.cells as (Cell | undefined)[],
    last: disk.last,
    trimmed: disk.trimmed,
    owned: false,
  };
  for (const op of ops) {
    if (op.kind === 'set') changes.values = new Map(changes.values).set(op.key, op.value);
    else if (op.kind === 'truncate') truncate(changes, op.from);
    else if (op.kind === 'trim') trim(changes, op.through);
    else for (const entry of op.entries) put(changes, entry);
  }
  const { values, cells, last, trimmed } = changes;
  const { incarnation, boot, snapshots } = disk;
  const hard = values === disk.values ? disk.hard : undefined;
  return { incarnation, boot, values, hard, cells, last, trimmed, snapshots };
}

function cellAt(disk: WorldDisk, index: Index): Cell | undefined {
  return index <= disk.last && index > disk.trimmed ? disk.cells[index] : undefined;
}

/** Stored entries in `[from, to]`, at least one if there is one, within `maxBytes` otherwise; gaps are left out. */
export function read(disk: WorldDisk, from: Index, to: Index, maxBytes: number): readonly StoredEntry[] {
  const entries: StoredEntry[] = [];
  let bytes = 0;
  for (let index = Math.max(from, disk.trimmed + 1); index <= Math.min(to, disk.last); index++) {
    const stored = disk.cells[index]?.stored;
    if (stored === undefined) continue;
    bytes += stored.data.length;
    if (bytes > maxBytes && entries.length > 0) break;
    entries.push(stored);
  }
  return entries;
}

function hardOf(disk: WorldDisk, durable: DurableCodec): HardState | null {
  if (disk.hard === undefined) {
    const bytes = disk.values.get(HARD_KEY);
    disk.hard = bytes === undefined ? null : durable.decodeHard(bytes);
  }
  return disk.hard;
}

/** The state from which a core recovers. */
export function recovered(
  disk: WorldDisk,
  durable: DurableCodec,
  limits: Limits,
  snapshot: SnapshotName | null = null,
  base: LogBase = noBase,
): Recovered {
  const hard = hardOf(disk, durable);
  const first = base.index + 1;
  const last = Math.max(disk.last, base.index);
  const from = durable.tailFrom(hard, first, last, limits);
  const runs: { from: Index; term: Term }[] = [];
  const tail: Entry[] = [];
  for (let index = first; index <= disk.last; index++) {
    const cell = disk.cells[index];
    if (cell === undefined) continue;
    const { term } = cell.stored;
    if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
    if (index >= from) tail.push(cell.decoded(durable));
  }
  return { hard, base, last, runs, tail, snapshot };
}

/** A view of a replica's disk for the checks; it always reads the current version, by `disk`. */
export class LiveDiskView implements DiskView {
  private readonly disk: () => WorldDisk;
  private readonly durable: DurableCodec;
  private readonly committed: (index: Index) => Entry | undefined;

  /** @param committed what was delivered anywhere: what was trimmed is in a snapshot, which is checked against that */
  constructor(disk: () => WorldDisk, durable: DurableCodec, committed: (index: Index) => Entry | undefined) {
    this.disk = disk;
    this.durable = durable;
    this.committed = committed;
  }

  get hard(): HardState | null {
    return hardOf(this.disk(), this.durable);
  }

  get last(): Index {
    return this.disk().last;
  }

  entry(index: Index): Entry | undefined {
    const disk = this.disk();
    return index <= disk.trimmed ? this.committed(index) : cellAt(disk, index)?.decoded(this.durable);
  }
}
