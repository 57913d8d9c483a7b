/** What the rig says to a member's process, and hears from it, over the pipe between them. */

import type { Command, Contents, Result } from './machine.js';

export type ProtocolName = 'raft' | 'multipaxos';

/** Which storage a member stands on. */
export type DiskKind =
  /** The shipped one on the real file system. */
  | 'real'
  /** The same over a facade that fails on demand. */
  | 'facade'
  /** A facade that also keeps back what is not synced: a kill loses it, as a power cut would. */
  | 'volatile'
  /** A facade that soon says "synced" and keeps everything back: a canary, which the rig has to notice. */
  | 'lying';

/** What a member's process is started with. Times are milliseconds. */
export interface MemberSettings {
  readonly id: string;
  /** The addresses that peers dial: those of the proxies, where there are any. */
  readonly members: Readonly<Record<string, string>>;
  readonly listen: string;
  readonly directory: string;
  readonly protocol: ProtocolName;
  readonly disk: DiskKind;
  readonly timing: { readonly heartbeat: number; readonly electionMin: number; readonly electionMax: number };
  readonly requestTimeout: number;
  readonly segmentBytes: number;
  /** A snapshot is due after so many entries. */
  readonly snapshotEvery: number;
  /** Serves linearizable reads from what is applied here: a canary, which the rig has to notice. */
  readonly readsLie: boolean;
}

/** What the facade does from now on. */
export interface DiskFault {
  /** Every sync fails with EIO. */
  readonly sync: boolean;
  /** Every write and creation fails with ENOSPC, after half of the bytes. */
  readonly full: boolean;
  /** Milliseconds that a sync takes longer. */
  readonly slow: number;
}

export type Question =
  | { readonly kind: 'propose'; readonly command: Command }
  | { readonly kind: 'read'; readonly key: string }
  /** What is applied here once the entry at `minIndex` is. */
  | { readonly kind: 'stale'; readonly key: string; readonly minIndex: number }
  /** A linearizable read of everything. */
  | { readonly kind: 'contents' }
  | { readonly kind: 'status' }
  | { readonly kind: 'disk'; readonly fault: DiskFault }
  | { readonly kind: 'close' };

export type Ask = { readonly ask: number; readonly question: Question };

export interface MemberStatus {
  readonly role: string;
  readonly term: number;
  readonly leader: string | null;
  readonly leading: boolean;
  readonly connected: readonly string[];
  readonly commit: number;
  readonly applied: number;
  readonly phase: string;
  readonly fault: string | null;
}

export type Answer =
  | { readonly kind: 'proposed'; readonly result: Result; readonly index: number }
  | { readonly kind: 'read'; readonly result: Result }
  | { readonly kind: 'contents'; readonly contents: Contents }
  | { readonly kind: 'status'; readonly status: MemberStatus }
  | { readonly kind: 'done' }
  /** `code` is `null` for anything else than a ConsensusError. */
  | {
      readonly kind: 'failed';
      readonly code: string | null;
      readonly outcome: 'none' | 'unknown';
      readonly message: string;
    };

/** What a member says: an answer, or something unasked. */
export type Said =
  | { readonly ask: number; readonly answer: Answer }
  /** The replica listens. */
  | { readonly up: true }
  /** It could not start. */
  | { readonly refused: { readonly code: string | null; readonly message: string } }
  /** An event of the replica that is worth counting. */
  | { readonly event: string; readonly detail: string };
