/**
 * One simulated replica: a state, a disk with what is on its way there, and what it waits for. The disk goes
 * through `protocol.durable`, so that its codecs run, and loses any suffix of what was not yet synced.
 */

import type { ReplicaId } from '../../src/core/members.js';
import type * as core from '../../src/core/protocol.js';

/** A protocol of whatever states and messages. */
export type AnyProtocol = core.Protocol<unknown, unknown>;

interface Cell {
  readonly term: core.Term;
  readonly bytes: Uint8Array;
  readonly value: string;
}

type Write =
  | { readonly kind: 'hard'; readonly bytes: Uint8Array }
  | { readonly kind: 'put'; readonly cells: readonly (readonly [core.Index, Cell])[] }
  | { readonly kind: 'truncate'; readonly from: core.Index };

/** What an entry says, apart from its place and term. */
export function valueOf(entry: core.Entry): string {
  const id = entry.id === null ? '' : `${entry.id.session}.${entry.id.sequence}.${entry.id.firstIncomplete}`;
  return `${entry.kind}:${id}:${Buffer.from(entry.data).toString('latin1')}`;
}

/** Name of a proposal, however often it is sent. */
export function nameOf(id: core.EntryId): string {
  return `${id.session}.${id.sequence}`;
}

export class Disk {
  readonly cells = new Map<core.Index, Cell>();
  private hard: Uint8Array | null = null;
  /** Entries of one index that were replaced by another value, or dropped. */
  conflicts = 0;
  private readonly protocol: AnyProtocol;

  constructor(protocol: AnyProtocol) {
    this.protocol = protocol;
  }

  encode(ops: readonly core.PersistOp[]): readonly Write[] {
    const { durable } = this.protocol;
    return ops.map((op): Write => {
      if (op.kind === 'hard') return { kind: 'hard', bytes: durable.encodeHard(op.hard) };
      if (op.kind === 'truncate') return op;
      const records = durable.encodeEntries(op.entries);
      const cell = (entry: core.Entry, at: number): Cell => {
        return { term: entry.term, bytes: records[at] as Uint8Array, value: valueOf(entry) };
      };
      return { kind: 'put', cells: op.entries.map((entry, at) => [entry.index, cell(entry, at)] as const) };
    });
  }

  apply(writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.kind === 'hard') this.hard = write.bytes;
      else if (write.kind === 'put') {
        for (const [index, cell] of write.cells) {
          const old = this.cells.get(index);
          if (old !== undefined && old.value !== cell.value) this.conflicts++;
          this.cells.set(index, cell);
        }
      } else {
        for (const index of [...this.cells.keys()]) {
          if (index < write.from) continue;
          this.cells.delete(index);
          this.conflicts++;
        }
      }
    }
  }

  private entry(index: core.Index, { term, bytes }: Cell): core.Entry {
    return this.protocol.durable.decodeEntry(index, term, bytes);
  }

  /** Consecutive entries from `from` on, at least one if it is there. */
  read(from: core.Index, to: core.Index, maxBytes: number): readonly core.Entry[] {
    const entries: core.Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const cell = this.cells.get(index);
      if (cell === undefined) break;
      bytes += cell.bytes.length;
      if (bytes > maxBytes && entries.length > 0) break;
      entries.push(this.entry(index, cell));
    }
    return entries;
  }

  recover(limits: core.Limits): core.Recovered {
    const { durable } = this.protocol;
    const hard = this.hard === null ? null : durable.decodeHard(this.hard);
    const indexes = [...this.cells.keys()].sort((a, b) => a - b);
    const last = indexes[indexes.length - 1] ?? 0;
    const runs: core.Recovered['runs'][number][] = [];
    for (const index of indexes) {
      const { term } = this.cells.get(index) as Cell;
      if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
    }
    const from = durable.tailFrom(hard, 1, last, limits);
    const kept = indexes.filter((index) => index >= from);
    return { hard, first: 1, last, runs, tail: kept.map((index) => this.entry(index, this.cells.get(index) as Cell)) };
  }
}

/** What this start of a replica was asked and has not answered. */
export interface Asked {
  readonly kind: 'propose' | 'read';
  readonly deadline: core.Milliseconds;
  /** Of a proposal. */
  readonly name: string;
  /** Of a read: everything up to here was handed over somewhere when it was asked. */
  readonly floor: core.Index;
  /** The host did not lead when it was asked. */
  readonly away: boolean;
}

/** One host with one replica, `state` null while it is down. Everything but the disk ends with a crash. */
export class Host {
  readonly id: ReplicaId;
  readonly disk: Disk;
  state: unknown = null;
  boot = 0;
  /** What this host's clock is ahead of the world's. */
  offset = 0;
  paused = false;
  /** It was stopped, or its storage failed: it must say nothing any more. */
  silent = false;
  unsynced: { readonly seq: core.PersistSeq; readonly writes: readonly Write[] }[] = [];
  durable: core.PersistSeq = 0;
  reported: core.PersistSeq = 0;
  held: core.Send<unknown>[] = [];
  loads: { readonly load: core.Load; readonly early: readonly core.Entry[] | null }[] = [];
  asked = new Map<core.RequestNumber, Asked>();
  names = new Set<string>();
  handed: core.Index = 0;
  applied: core.Index = 0;
  /** Outbound messages left until it crashes in the middle of a step. */
  fuse = Infinity;
  role: core.Role = 'follower';

  constructor(id: ReplicaId, protocol: AnyProtocol) {
    this.id = id;
    this.disk = new Disk(protocol);
  }

  get up(): boolean {
    return this.state !== null;
  }

  /** Makes the first `count` persists durable. */
  sync(count: number): void {
    for (const persist of this.unsynced.splice(0, count)) {
      this.disk.apply(persist.writes);
      this.durable = Math.max(this.durable, persist.seq);
    }
  }

  /** The first `survivors` of what was not synced happen to be on the disk. Gives how many were lost. */
  crash(survivors: number): number {
    this.sync(survivors);
    const lost = this.unsynced.length;
    this.state = null;
    this.paused = this.silent = false;
    [this.unsynced, this.held, this.loads] = [[], [], []];
    this.durable = this.reported = this.handed = this.applied = 0;
    this.asked = new Map();
    this.names = new Set();
    this.fuse = Infinity;
    this.role = 'follower';
    return lost;
  }
}
