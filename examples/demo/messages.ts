/** What the demo says to a member's process, and hears from it, over the pipe between them. */

import type { ReplicaEvent } from 'quorate';
import type { Add, TallyState } from './tally.js';

/** What a member's process is started with. */
export interface MemberSettings {
  readonly id: string;
  readonly members: Record<string, string>;
  /** Where it listens, which is not where its peers dial if there is a link between. */
  readonly listen: string;
  readonly directory: string;
  readonly protocol: 'raft' | 'multipaxos';
  /** How many entries lie between two snapshots; `null`: none is taken; absent: as by default. */
  readonly snapshotEvery?: number | null;
  /** Bytes in one file of the log; absent: as by default. */
  readonly segmentBytes?: number;
}

export type Ask =
  | { readonly ask: number; readonly kind: 'add'; readonly add: Add }
  /** A linearizable read of everything. */
  | { readonly ask: number; readonly kind: 'read' }
  | { readonly ask: number; readonly kind: 'status' }
  /** Close the replica, and end. */
  | { readonly ask: number; readonly kind: 'close' };

export interface MemberStatus {
  readonly leader: string | null;
  readonly leading: boolean;
  readonly applied: number;
  readonly commit: number;
  /** The lowest and the highest index in its log. */
  readonly first: number;
  readonly last: number;
  /** The indexes of the snapshots that it keeps, newest first. */
  readonly snapshots: readonly number[];
  /** How many commands its machine has applied since the process began. */
  readonly commands: number;
}

/** What a member tells of a snapshot. */
export type SnapshotTold = Pick<
  Extract<ReplicaEvent, { readonly kind: 'snapshot' }>,
  'event' | 'index' | 'bytes' | 'took' | 'peer' | 'reason'
>;

export type Answer =
  | { readonly ask: number; readonly kind: 'added'; readonly value: number }
  | { readonly ask: number; readonly kind: 'tally'; readonly state: TallyState }
  | { readonly ask: number; readonly kind: 'status'; readonly status: MemberStatus }
  | { readonly ask: number; readonly kind: 'failed'; readonly code: string; readonly outcome: 'none' | 'unknown' }
  | { readonly ask: number; readonly kind: 'closed' }
  /** Unasked: the replica listens. */
  | { readonly ask: 0; readonly kind: 'up' }
  /** Unasked: something happened to a snapshot. */
  | { readonly ask: 0; readonly kind: 'snapshot'; readonly told: SnapshotTold }
  /** Unasked: it could not start, or has halted. */
  | { readonly ask: 0; readonly kind: 'down'; readonly reason: string };
