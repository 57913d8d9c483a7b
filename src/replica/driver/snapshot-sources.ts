/**
 * The side of a pull that answers: it sends chunks of the snapshots that this replica has, and keeps the log behind
 * what its peers pull, up to a bound.
 *
 * Invariants: a file that a peer pulls stays until the peer has asked for nothing for a while, at most so many beside
 * those that are named; no more reads are under way than a bound for each peer; the log is kept for a puller until it
 * has grown by as much as the puller could have pulled twice (twice that for each pull before that was outrun, at most
 * eight times), so a slow or silent one holds up nobody for good.
 */

import type { Mutable } from '../../core/draft.js';
import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import { PartDraft } from './part-draft.js';
import { MOST_DOUBLINGS, type AskChunk } from './snapshot-messages.js';
import { nameOf, type StoredSnapshot } from './snapshots.js';

/** Snapshots without a name that stay for their pullers. */
const MOST_PINNED = 2;
/** Reads under way for one peer. */
const MOST_READS = 64;
/** The log is kept for a puller while no more than so many times is kept what lies between two snapshots. */
const MOST_KEPT = 4;
/**
 * It is kept beyond that while it has grown by no more than so many times the size of a snapshot, or so many bytes:
 * then a puller whose link carries the load comes level, however often a snapshot is taken.
 */
const MOST_GROWN = 2;
const LEAST_GROWN = 4 * 1024 * 1024;

/** What is kept for a puller until then. */
interface LogHold {
  readonly peer: ReplicaId;
  readonly index: Index;
  readonly until: Milliseconds;
  /** Bytes of entries by which the log has grown meanwhile. */
  readonly grown: number;
  /** How often the bounds are doubled. */
  readonly doublings: number;
}

interface PinnedSnapshot {
  readonly file: string;
  readonly until: Milliseconds;
}

/** @see SourcesDraft */
export interface SourcesState {
  readonly holds: readonly LogHold[];
  /** Files that peers pull, named or not. */
  readonly pins: readonly PinnedSnapshot[];
  /** Snapshots that no list names any more. */
  readonly unnamed: readonly StoredSnapshot[];
  /** Reads under way, by peer. */
  readonly reads: readonly { readonly peer: ReplicaId; readonly count: number }[];
}

export const noSources: SourcesState = { holds: [], pins: [], unnamed: [], reads: [] };

/** When something of it is due. */
export function sourcesDeadline({ pins, unnamed }: SourcesState): Milliseconds {
  let due = Infinity;
  for (const { file, until } of pins) if (unnamed.some((each) => each.file === file)) due = Math.min(due, until);
  return due;
}

export class SourcesDraft extends PartDraft<SourcesState> {
  protected override copy({ holds, pins, unnamed, reads }: SourcesState): Mutable<SourcesState> {
    return { holds, pins, unnamed, reads };
  }

  /** For so long something is kept for a puller that is silent. */
  private get patience(): Milliseconds {
    return 8 * this.draft.options.timing.electionMax;
  }

  /** A peer needs the log behind this index. */
  hold(peer: ReplicaId, index: Index, outrun: number): void {
    const { holds } = this.state;
    const before = holds.find((each) => each.peer === peer);
    const grown = before === undefined || before.index < index ? 0 : before.grown;
    const doublings = Math.min(MOST_DOUBLINGS, outrun);
    const hold = { peer, index, until: this.draft.now + this.patience, grown, doublings };
    this.edit().holds = [...holds.filter((each) => each !== before), hold];
  }

  /** The log has grown by so many bytes of entries. */
  grew(bytes: number): void {
    const { holds } = this.state;
    if (holds.length > 0) this.edit().holds = holds.map((hold) => ({ ...hold, grown: hold.grown + bytes }));
  }

  /** What the log may be trimmed to, when it is to be kept from `older` on and the newest snapshot is complete. */
  kept(older: Index, newest: Pick<StoredSnapshot, 'index' | 'bytes'>): Index {
    const { now } = this.draft;
    const { holds } = this.state;
    const alive = holds.filter(({ until }) => until > now);
    if (alive.length < holds.length) this.edit().holds = alive;
    const mostKept = MOST_KEPT * Math.max(1, newest.index - older);
    const mostGrown = Math.max(LEAST_GROWN, MOST_GROWN * newest.bytes);
    const from = ({ index, grown, doublings }: LogHold): Index => {
      const times = 2 ** doublings;
      return grown <= times * mostGrown ? index : Math.max(index, newest.index - times * mostKept);
    };
    return alive.reduce((through, hold) => Math.min(through, from(hold)), older);
  }

  /** A peer asks for a chunk. */
  ask(peer: ReplicaId, question: AskChunk): void {
    const { draft } = this;
    const { number, offset } = question;
    const snapshot = this.find(question);
    if (snapshot === undefined || offset >= snapshot.bytes)
      return draft.pulling.send(peer, { kind: 'noSnapshot', number });
    const { file } = snapshot;
    const { reads, pins } = this.state;
    const count = reads.find((each) => each.peer === peer)?.count ?? 0;
    if (count >= MOST_READS) return; // it asks again
    const next = this.edit();
    next.reads = [...reads.filter((each) => each.peer !== peer), { peer, count: count + 1 }];
    next.pins = [...pins.filter((each) => each.file !== file), { file, until: draft.now + this.patience }];
    this.hold(peer, snapshot.index, question.outrun);
    const { bytes } = snapshot;
    const offered = { ...nameOf(snapshot), bytes };
    const length = Math.min(question.length, bytes - offset);
    draft.effect({ kind: 'readChunk', to: peer, number, file, snapshot: offered, offset, length });
  }

  private find({ least, index, checksum }: AskChunk): StoredSnapshot | undefined {
    const all = [...this.draft.snapshots.state.named, ...this.state.unnamed];
    if (index === 0) return all.find((each) => each.index >= least);
    return all.find((each) => each.index === index && each.checksum === checksum);
  }

  /** A read for this peer has ended. */
  hasRead(peer: ReplicaId): void {
    const reads = this.state.reads.map((each) => (each.peer === peer ? { peer, count: each.count - 1 } : each));
    this.edit().reads = reads.filter(({ count }) => count > 0);
  }

  /** No list names these any more. */
  unnamed(snapshots: readonly StoredSnapshot[]): void {
    if (snapshots.length > 0) this.edit().unnamed = [...snapshots, ...this.state.unnamed];
  }

  /** Whether a peer pulls this file. */
  isPinned(file: string): boolean {
    return this.state.pins.some((pin) => pin.file === file && pin.until > this.draft.now);
  }

  /** Removes the files that neither a list nor a puller needs. */
  removeUnused(): void {
    const { draft } = this;
    const { unnamed, pins } = this.state;
    if (unnamed.length === 0 && pins.length === 0) return;
    const alive = pins.filter(({ until }) => until > draft.now);
    if (alive.length < pins.length) this.edit().pins = alive;
    if (unnamed.length === 0) return;
    const isPinned = ({ file }: StoredSnapshot): boolean => alive.some((pin) => pin.file === file);
    const kept = unnamed.filter(isPinned).slice(0, MOST_PINNED);
    if (kept.length === unnamed.length) return;
    this.edit().unnamed = kept;
    for (const snapshot of unnamed) {
      if (!kept.includes(snapshot)) draft.effect({ kind: 'removeSnapshot', file: snapshot.file });
    }
  }
}
