/**
 * The disk of one replica: what is durable, and the persists on their way there, in order. A crash keeps any prefix
 * of these. What a start finds, and what a load reads, is what is durable.
 */

import type { Core, CoreOptions, Entry, Load, Persist, Recovered } from './core.js';

/** Whether a persist holds a new term, vote or promise, or entries alone. */
export type WriteKind = 'promise' | 'entries';

export class OracleDisk {
  private hard: Recovered['hard'] = null;
  private readonly entries = new Map<number, Entry>();
  private waiting: Persist[] = [];
  /** The newest term and vote, or promise, that was written. */
  private promised = '';
  /** The newest persist of the present start that is durable. */
  durable = 0;

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
      for (const op of ops) {
        if (op.kind === 'hard') this.hard = op.hard;
        else if (op.kind === 'put') for (const entry of op.entries) this.entries.set(entry.index, entry);
        else if (op.kind === 'truncate')
          for (const index of [...this.entries.keys()]) if (index >= op.from) this.entries.delete(index);
      }
      this.durable = persistSeq;
    }
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

  recover(core: Core, limits: CoreOptions['limits']): Recovered {
    const { hard } = this;
    const stored = [...this.entries.values()].sort((a, b) => a.index - b.index);
    const last = stored[stored.length - 1]?.index ?? 0;
    const runs = stored.filter((entry, at) => entry.term !== stored[at - 1]?.term);
    const from = core.durable.tailFrom(hard, 1, last, limits);
    const tail = stored.filter((entry) => entry.index >= from);
    return {
      hard,
      base: { index: 0, term: 0 },
      last,
      runs: runs.map(({ index, term }) => ({ from: index, term })),
      tail,
      snapshot: null,
    };
  }
}
