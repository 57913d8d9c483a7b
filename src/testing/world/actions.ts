/**
 * Everything that can happen in a world, as plain data: a list of actions is a whole run, to be replayed, shrunk and
 * written down. An action that fits nothing at the time (a message that was never sent, a replica that is down)
 * changes nothing, so that a list stays meaningful when others are taken out of it.
 */

import type { Index, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';

/**
 * Which message on a link: its ordinal among all that were ever sent there (1-based), or its description, or how that
 * begins: the oldest that fits, or with ` #2` after it the second oldest, and so on. Ordinals are quick; descriptions
 * survive changes of what else happens.
 */
export type MessagePick = number | string;

/** What can happen. */
export type Happening =
  /** The message arrives. `duplicate`: and stays under way. `drop`: it never will. */
  | {
      readonly kind: 'deliver' | 'duplicate' | 'drop';
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly pick: MessagePick;
    }
  /** A tick, whether due or not. `timeout`: the replica's clock leaps to its deadline first. */
  | { readonly kind: 'tick' | 'timeout'; readonly replica: ReplicaId }
  /** The write under way is on the disk. `written`: and the replica is told. */
  | { readonly kind: 'sync' | 'written'; readonly replica: ReplicaId }
  /** The machine applies what it was given; the oldest load is answered. */
  | { readonly kind: 'applied' | 'loaded'; readonly replica: ReplicaId }
  /** The process ends at once; `keep`: the write under way happens to be on the disk. */
  | { readonly kind: 'crash'; readonly replica: ReplicaId; readonly keep: boolean }
  /** A replica that is down (or closed, or halted) starts again from its disk; `wipe`: its disk is lost first. */
  | { readonly kind: 'restart' | 'wipe'; readonly replica: ReplicaId }
  /** The write under way fails, whether or not it is on the disk; without one, the next will. */
  | { readonly kind: 'failStorage'; readonly replica: ReplicaId; readonly keep: boolean }
  /** Everything sent from one to the other is lost, until it is healed. */
  | { readonly kind: 'cut' | 'heal'; readonly from: ReplicaId; readonly to: ReplicaId }
  /** A paused replica does nothing and its clock runs on; what was sent to it waits. */
  | { readonly kind: 'pause' | 'resume'; readonly replica: ReplicaId }
  /** The clock of a replica leaps ahead by milliseconds, or goes at another rate from now on (1 is true time). */
  | { readonly kind: 'leap'; readonly replica: ReplicaId; readonly by: Milliseconds }
  | { readonly kind: 'rate'; readonly replica: ReplicaId; readonly rate: number }
  /** A caller at a replica; `timeout` in milliseconds of the replica's clock, `Infinity` for none. */
  | { readonly kind: 'propose'; readonly replica: ReplicaId; readonly command: unknown; readonly timeout: Milliseconds }
  /** A linearizable read, or with `minIndex` one as stale as that. */
  | {
      readonly kind: 'read';
      readonly replica: ReplicaId;
      readonly minIndex: Index | null;
      readonly timeout: Milliseconds;
    }
  /** The callers go away. Calls count from 1 in the order in which they were made. */
  | { readonly kind: 'cancel'; readonly calls: readonly number[] }
  | { readonly kind: 'campaign' | 'stop'; readonly replica: ReplicaId }
  | { readonly kind: 'unreachable'; readonly replica: ReplicaId; readonly peer: ReplicaId }
  /** Nothing but the passing of time. */
  | { readonly kind: 'wait' };

/** Something happens, at a true time in milliseconds; one before the world's is the world's. */
export type Action = Happening & { readonly at: Milliseconds };
