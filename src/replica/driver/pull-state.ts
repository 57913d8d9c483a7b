/** What a replica knows of the snapshot that it pulls; `pulling.ts` changes it. */

import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import { openWindow, type FileSpan, type PullWindow, type WindowBounds } from './pull-window.js';
import {
  MOST_DOUBLINGS,
  type AskChunk,
  type OfferedSnapshot,
  type PartialSnapshot,
  type SnapshotChunk,
} from './snapshot-messages.js';
import type { FoundSnapshots } from './snapshots.js';

/** The numbers of the requests of a start are below this. */
const REQUESTS = 2 ** 32;

/** The pull that is under way. */
export interface PullUnderWay {
  /** @see pullNumber */
  readonly number: number;
  readonly least: Index;
  readonly since: Milliseconds;
  /** Who gives it; before the first answer, who was asked last and has not refused. */
  readonly source: ReplicaId;
  /** Who else was asked. */
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

interface HeldFor {
  readonly index: Index;
  readonly source: ReplicaId;
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
  readonly last: (HeldFor & { readonly until: Milliseconds }) | null;
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

/** These, the leader last: it has the most to do. */
export function inOrder(ids: readonly ReplicaId[], leader: ReplicaId | null): readonly ReplicaId[] {
  return [...ids.filter((each) => each !== leader), ...ids.filter((each) => each === leader)];
}

type AtFirst = 'number' | 'least' | 'since' | 'source' | 'tried' | 'silent' | 'partial' | 'retryAt';

/** The number of a pull: of the start, and of the request in it. */
export function pullNumber(boot: number, request: number): number {
  return boot * REQUESTS + request;
}

/** A pull of which nothing has come. */
export function openPull(asked: Pick<PullUnderWay, AtFirst>, bounds: WindowBounds): PullUnderWay {
  const { number, least, partial } = asked;
  const file = `${least}-${Math.floor(number / REQUESTS)}-${number % REQUESTS}`;
  // At least one byte is asked for: the answer says that the peer has the same snapshot.
  const from = partial === null ? 0 : Math.min(partial.stored, partial.bytes - 1);
  const at = { from, given: from, stored: from, window: openWindow(from, bounds) };
  return { ...asked, file, ...at, offer: null, ahead: [], strikes: 0, ending: false };
}

/**
 * Whether this is the snapshot that is pulled or, before the first answer, one that may be. `time` follows from the
 * others.
 */
export function isWanted({ offer, partial, least }: PullUnderWay, snapshot: OfferedSnapshot): boolean {
  const asked = offer ?? partial;
  if (asked === null) return snapshot.index >= least;
  return (['index', 'term', 'checksum', 'bytes'] as const).every((name) => asked[name] === snapshot[name]);
}

/** How far a pull has come. */
export interface PullStatus {
  readonly from: ReplicaId;
  /** The index of the snapshot and the size of its file; 0 before the peer has answered, unless a part is here. */
  readonly index: Index;
  readonly bytes: number;
  /** How many of these bytes are stored here. */
  readonly stored: number;
}

export function pullOf({ pull }: PullingState): PullStatus | null {
  if (pull === null) return null;
  const { source: from, offer, partial, stored } = pull;
  const { index, bytes } = offer ?? partial ?? { index: 0, bytes: 0 };
  return { from, index, bytes, stored };
}

/** When something of it is due. */
export function pullingDeadline({ pull, holdAt }: PullingState): Milliseconds {
  return pull === null || pull.ending ? holdAt : Math.min(pull.retryAt, holdAt);
}

/** How many pulls were outrun in a row, after another one. */
export function outrunAgain(outrun: number): number {
  return Math.min(MOST_DOUBLINGS, outrun + 1);
}

/** What is asked of the source for a part of the file. */
export function questionOf({ number, least, offer, partial }: PullUnderWay, span: FileSpan, outrun: number): AskChunk {
  const { index, checksum } = offer ?? partial ?? { index: 0, checksum: 0 };
  return { kind: 'askChunk', number, least, index, checksum, ...span, outrun };
}

/** Behind which snapshot the log is to be kept, and by whom: the one that comes, or the last until its log follows. */
export function heldFor({ pull, last }: PullingState, applied: Index, now: Milliseconds): HeldFor | null {
  if (pull !== null) return pull.offer === null ? null : { index: pull.offer.index, source: pull.source };
  return last !== null && now <= last.until && applied <= last.index ? last : null;
}
