/**
 * The disk of one replica: what is durable, and the persists on their way there, in order. A crash keeps any prefix
 * of these. What a start finds, and what a load reads, is what is durable. Files of snapshots come beside the lane: one
 * is there once it is complete, and is restored by a start only if a durable persist names it.
 */

import type { Core, CoreOptions, Entry, Load, LogBase, Persist, PersistOp, Recovered, SnapshotName } from './core.js';
import { Violation } from './judge.js';
import { fileOf, type OracleSnapshot } from './machine.js';

/** Whether a persist holds a new term, vote or promise, or entries alone. */
export type WriteKind = 'promise' | 'entries';

const NO_BASE: LogBase = { index: 0, term: 0 };

export class OracleDisk {
  private hard: Recovered['hard'] = null;
  private readonly entries = new Map<number, Entry>();
  private waiting: Persist[] = [];
  /** The newest term and vote, or promise, that was written. */
  private promised = '';
  private base: LogBase = NO_BASE;
  private readonly files = new Map<string, OracleSnapshot>();
  /** The newest persist of the present start that is durable. */
  durable = 0;
  /** The snapshot that a start restores. */
  named: OracleSnapshot | null = null;

  write(persist: Persist): WriteKind {
    this.waiting.push(persist);
    const before = this.promised;
    for (const op of persist.ops) if (op.kind === 'hard') this.promised = `${op.hard.term} ${op.hard.vote}`;
    return this.promised === before ? 'entries' : 'promise';
  }

  get pending(): number {
    return this.waiting.length;
  }

  /** The first `count` of what waits becomes durable. */
  sync(count: number): void {
    for (const { persistSeq, ops } of this.waiting.splice(0, count)) {
      for (const op of ops) this.make(op);
      this.durable = persistSeq;
    }
  }

  private make(op: PersistOp): void {
    switch (op.kind) {
      case 'hard':
        this.hard = op.hard;
        return;
      case 'put':
        for (const entry of op.entries) this.entries.set(entry.index, entry);
        return;
      case 'truncate':
        return this.drop((index) => index >= op.from);
      case 'trim':
        if (op.base.index > this.base.index && this.entries.get(op.base.index)?.term !== op.base.term) {
          throw new Violation(`the log is trimmed up to ${op.base.index}, of which it has no such entry`);
        }
        return this.begin(op.snapshot, op.base);
      case 'install':
        if (!op.keepsAbove) this.entries.clear();
        return this.begin(op.snapshot, op.snapshot);
    }
  }

  private drop(gone: (index: number) => boolean): void {
    for (const index of [...this.entries.keys()]) if (gone(index)) this.entries.delete(index);
  }

  /** The log begins behind `base`, and a start restores that snapshot; what is older is not needed any more. */
  private begin(snapshot: SnapshotName, { index, term }: LogBase): void {
    this.named = this.file(snapshot);
    this.base = { index, term };
    this.drop((each) => each <= index);
    for (const [file, { name }] of this.files) if (name.index < snapshot.index) this.files.delete(file);
  }

  /** A file is complete; nothing names it yet. */
  complete(snapshot: OracleSnapshot): void {
    this.files.set(fileOf(snapshot.name), snapshot);
  }

  file(name: SnapshotName): OracleSnapshot {
    const found = this.files.get(fileOf(name));
    if (found === undefined) throw new Violation(`the snapshot ${fileOf(name)} is named, and is not there`);
    return found;
  }

  crash(surviving: number): void {
    this.sync(surviving);
    this.waiting = [];
    this.durable = 0;
  }

  /** From its `from` on, without a gap, at least one entry if it is there. */
  read({ from, to, maxBytes }: Load): readonly Entry[] {
    const found: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const entry = this.entries.get(index);
      bytes += entry?.data.length ?? 0;
      if (entry === undefined || (bytes > maxBytes && found.length > 0)) break;
      found.push(entry);
    }
    return found;
  }

  /** What a start finds. Files without a name go. */
  recover(core: Core, limits: CoreOptions['limits']): Recovered {
    const { hard, base, named } = this;
    this.files.clear();
    if (named !== null) this.complete(named);
    const stored = [...this.entries.values()].sort((a, b) => a.index - b.index);
    const last = stored[stored.length - 1]?.index ?? base.index;
    const runs = stored.filter((entry, at) => entry.term !== stored[at - 1]?.term);
    const from = core.durable.tailFrom(hard, base.index + 1, last, limits);
    const tail = stored.filter((entry) => entry.index >= from);
    return {
      hard,
      base,
      last,
      runs: runs.map(({ index, term }) => ({ from: index, term })),
      tail,
      snapshot: named?.name ?? null,
    };
  }
}
