/**
 * The side of a pull that answers: it sends chunks of the snapshots that this replica has, and keeps the log behind
 * what its peers pull, up to a bound.
 *
 * Invariants: a file that a peer pulls stays until the peer has asked for nothing for a while, at most so many beside
 * those that are named; no more reads are under way than a bound for each peer; the log is kept for a puller no longer
 * than a few snapshots, so a slow or silent one holds up nobody for good.
 */

import type { Mutable } from '../../core/draft.js';
import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import { PartDraft } from './part-draft.js';
import type { AskChunk } from './snapshot-messages.js';
import type { StoredSnapshot } from './snapshots.js';

/** Snapshots without a name that stay for their pullers. */
const MOST_PINNED = 2;
/** Reads under way for one peer. */
const MOST_READS = 64;
/** The log is kept for pullers while no more than so many times is kept what lies between two snapshots. */
const MOST_KEPT = 4;

/** What is kept for a puller until then. */
interface LogHold {
  readonly peer: ReplicaId;
  readonly index: Index;
  readonly until: Milliseconds;
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
  hold(peer: ReplicaId, index: Index): void {
    const others = this.state.holds.filter((each) => each.peer !== peer);
    this.edit().holds = [...others, { peer, index, until: this.draft.now + this.patience }];
  }

  /** What the log may be trimmed to, when it is to be kept from `older` on and a snapshot at `newest` is complete. */
  kept(older: Index, newest: Index): Index {
    const { now } = this.draft;
    const { holds } = this.state;
    const alive = holds.filter(({ until }) => until > now);
    if (alive.length < holds.length) this.edit().holds = alive;
    const least = newest - MOST_KEPT * Math.max(1, newest - older);
    return alive.reduce((through, { index }) => Math.min(through, Math.max(index, least, 0)), older);
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
    this.hold(peer, snapshot.index);
    const { index, term, checksum, time, bytes } = snapshot;
    const offered = { index, term, checksum, time, bytes };
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

  /** Removes the files that neither a list nor a puller needs. */
  removeUnused(): void {
    const { draft } = this;
    const { unnamed, pins } = this.state;
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
