/**
 * The machine of one replica, as far as the oracle needs one: its state is the list of values that it was handed. A
 * snapshot is that list up to an index; what stands in it is for the judge alone, no core sees more than its name.
 */

import type { Entry, SnapshotName } from './core.js';

/** What a machine keeps of one entry. */
interface Kept {
  readonly value: string;
  readonly term: number;
  /** The highest stamp, and a hash of all values, up to here. */
  readonly time: number;
  readonly hash: number;
}

export interface OracleSnapshot {
  readonly name: SnapshotName;
  /** As far as the index goes: the machine that it is of goes on behind it. */
  readonly kept: readonly Kept[];
  /** What it weighs on a link. */
  readonly bytes: number;
}

/** Bytes of a snapshot beside its values. */
const AROUND = 64;
const NOTHING: Kept = { value: '', term: 0, time: 0, hash: 0x811c9dc5 };

function hashed(hash: number, value: string): number {
  let next = hash;
  for (let at = 0; at < value.length; at++) next = Math.imul(next ^ value.charCodeAt(at), 0x01000193);
  return next;
}

/** One name is one file. */
export function fileOf({ index, term, checksum }: SnapshotName): string {
  return `${index} ${term} ${checksum}`;
}

export class OracleMachine {
  /** Up to where it has applied what it was handed. */
  applied = 0;
  private kept: Kept[] = [];
  private bytes: number[] = [];

  /** @param snapshot what a start restores */
  constructor(snapshot: OracleSnapshot | null) {
    if (snapshot !== null) this.restore(snapshot);
  }

  /** @param values what the judge makes of the entries */
  hand(entries: readonly Entry[], values: readonly string[]): void {
    entries.forEach(({ term, time, data }, at) => {
      const value = values[at] as string;
      const last = this.kept[this.kept.length - 1] ?? NOTHING;
      this.kept.push({ value, term, time: Math.max(last.time, time), hash: hashed(last.hash, value) });
      this.bytes.push((this.bytes[this.bytes.length - 1] ?? AROUND) + data.length);
    });
  }

  /** Of what is applied. */
  snapshot(): OracleSnapshot {
    const { applied: index, kept } = this;
    const { term, time, hash } = kept[index - 1] ?? NOTHING;
    return { name: { index, term, checksum: hash >>> 0, time }, kept, bytes: this.bytes[index - 1] ?? AROUND };
  }

  restore({ name, kept, bytes }: OracleSnapshot): void {
    this.applied = name.index;
    this.kept = kept.slice(0, name.index);
    this.bytes = this.kept.map(() => bytes);
  }
}
