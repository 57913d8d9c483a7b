/** What a replica knows of the snapshot that it pulls; `pulling.ts` changes it. */

import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import type { PullWindow } from './pull-window.js';
import { MOST_DOUBLINGS, type OfferedSnapshot, type PartialSnapshot, type SnapshotChunk } from './snapshot-messages.js';
import type { FoundSnapshots } from './snapshots.js';

/** The pull that is under way. */
export interface PullUnderWay {
  /** In the range of this boot. */
  readonly number: number;
  readonly least: Index;
  readonly since: Milliseconds;
  readonly source: ReplicaId;
  /** Who was asked before. */
  readonly tried: readonly ReplicaId[];
  /** Who of these has not answered; once the source has, nobody. */
  readonly silent: readonly ReplicaId[];
  /** `null` before the source has answered. */
  readonly offer: OfferedSnapshot | null;
  readonly file: string;
  /** What an earlier start has of the snapshot that is asked for first; `null`: the newest one is. */
  readonly partial: PartialSnapshot | null;
  /** So many bytes of the file are an earlier start's. */
  readonly from: number;
  /** What is asked for. */
  readonly window: PullWindow;
  /** Where in the file: what was given to the host, what the host has stored. */
  readonly given: number;
  readonly stored: number;
  /** Chunks that came before those below them. */
  readonly ahead: readonly Pick<SnapshotChunk, 'offset' | 'data'>[];
  readonly strikes: number;
  readonly retryAt: Milliseconds;
  /** All of it is with the host. */
  readonly ending: boolean;
}

/** @see PullingDraft */
export interface PullingState {
  readonly pull: PullUnderWay | null;
  /** When those who keep the log for this replica are told so again; `Infinity` if nobody needs to. */
  readonly holdAt: Milliseconds;
  /** After a failure of the own storage, or when all members were asked in vain, there is no pull before. */
  readonly retryAt: Milliseconds;
  /** How often all were asked in vain, in a row. */
  readonly vain: number;
  /** The snapshot that was pulled last, and from whom; for a while the log behind it is to follow. */
  readonly last: { readonly index: Index; readonly source: ReplicaId; readonly until: Milliseconds } | null;
  /** How many pulls were outrun, in a row. */
  readonly outrun: number;
  /** What an earlier start has pulled, which no pull of this one has taken up. */
  readonly partial: PartialSnapshot | null;
}

/** At the start. */
export function initialPulling({ partial }: Pick<FoundSnapshots, 'partial'>): PullingState {
  const none = { pull: null, holdAt: Infinity, retryAt: -Infinity, vain: 0, last: null, outrun: 0 };
  return { ...none, partial: partial ?? null };
}

/** These but for those. */
export function without(ids: readonly ReplicaId[], ...those: readonly ReplicaId[]): readonly ReplicaId[] {
  return ids.filter((each) => !those.includes(each));
}

/** Whether this is the snapshot that is pulled, or one that serves while none is. `time` follows from the others. */
export function serves({ offer, partial, least }: PullUnderWay, snapshot: OfferedSnapshot): boolean {
  const asked = offer ?? partial;
  if (asked === null) return snapshot.index >= least;
  return (['index', 'term', 'checksum', 'bytes'] as const).every((name) => asked[name] === snapshot[name]);
}

/** How far a pull has come. */
export interface PullStatus {
  readonly from: ReplicaId;
  /** The index of the snapshot and the size of its file; 0 before the peer has answered. */
  readonly index: Index;
  readonly bytes: number;
  /** How many of these bytes are stored here. */
  readonly stored: number;
}

export function pullOf({ pull }: PullingState): PullStatus | null {
  if (pull === null) return null;
  const { source: from, offer, stored } = pull;
  return { from, index: offer?.index ?? 0, bytes: offer?.bytes ?? 0, stored };
}

/** When something of it is due. */
export function pullingDeadline({ pull, holdAt }: PullingState): Milliseconds {
  return pull === null || pull.ending ? holdAt : Math.min(pull.retryAt, holdAt);
}

/** How many pulls were outrun in a row, after another one. */
export function outrunAgain(outrun: number): number {
  return Math.min(MOST_DOUBLINGS, outrun + 1);
}
