/**
 * The actions of a world: everything that can happen in it, as plain data. A list of actions is a whole run, which can
 * be replayed, shrunk and stored. An action that is not possible at its time (a message that was never sent, a replica
 * that is down) changes nothing, so that a list stays valid when other actions are removed from it.
 */

import type { Index, Lane, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';

/**
 * Chooses a message on a link: by its ordinal among all that were ever sent there (1-based), or by the beginning of its
 * description, which means the oldest message that fits; with ` #2` after it the second oldest, and so on. A
 * description still means the same message when other actions of the run change.
 */
export type MessagePick = number | string;

/** An action without its time. */
export type Happening =
  /** The message arrives. `duplicate`: it arrives and stays under way. `drop`: it is lost. */
  | {
      readonly kind: 'deliver' | 'duplicate' | 'drop';
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly pick: MessagePick;
    }
  /** A tick, whether due or not. `timeout`: the replica's clock leaps to its deadline first. */
  | { readonly kind: 'tick' | 'timeout'; readonly replica: ReplicaId }
  /** The write under way becomes durable. `sync`: the replica is not told yet. `written`: it is. */
  | { readonly kind: 'sync' | 'written'; readonly replica: ReplicaId }
  /** `applied`: the machine applies the entries that it was given. `loaded`: the oldest load is answered. */
  | { readonly kind: 'applied' | 'loaded'; readonly replica: ReplicaId }
  /** The snapshot that is taken is complete and durable; `fails`: there is none. */
  | { readonly kind: 'snapshotted'; readonly replica: ReplicaId; readonly fails: boolean }
  /** Of a bare core: its host takes a snapshot of what is applied; once complete, the log is trimmed up to it. */
  | { readonly kind: 'compact'; readonly replica: ReplicaId }
  /** Of a bare core: it is brought the newest snapshot of a peer at once, and installs it if that is news. */
  | { readonly kind: 'install'; readonly replica: ReplicaId; readonly peer: ReplicaId }
  /** The machine has restored the snapshot of a start. */
  | { readonly kind: 'restored'; readonly replica: ReplicaId }
  /** The process crashes. `keep`: the write under way is durable all the same. */
  | { readonly kind: 'crash'; readonly replica: ReplicaId; readonly keep: boolean }
  /** A replica that is down (or closed, or halted) starts again from its disk; `wipe`: its disk is lost first. */
  | { readonly kind: 'restart' | 'wipe'; readonly replica: ReplicaId }
  /** The write under way fails, whether or not it is on the disk; without one, the next will. */
  | { readonly kind: 'failStorage'; readonly replica: ReplicaId; readonly keep: boolean }
  /**
   * The storage runs out of space, but for so many writes; later ones wait until it has some again. The replica is told
   * of both, and after a start on a full disk.
   */
  | { readonly kind: 'fill'; readonly replica: ReplicaId; readonly room: number }
  | { readonly kind: 'free'; readonly replica: ReplicaId }
  /** Everything sent from one to the other is lost, until it is healed. `heal` also accepts what was refused. */
  | { readonly kind: 'cut' | 'heal'; readonly from: ReplicaId; readonly to: ReplicaId }
  /** The sender's transport refuses what it is given on this lane, which never leaves, until it accepts it again. */
  | { readonly kind: 'refuse' | 'accept'; readonly from: ReplicaId; readonly to: ReplicaId; readonly lane: Lane }
  /** A paused replica does nothing and its clock runs on; what was sent to it waits. */
  | { readonly kind: 'pause' | 'resume'; readonly replica: ReplicaId }
  /** The clock of a replica leaps ahead by milliseconds, or goes at another rate from now on (1 is true time). */
  | { readonly kind: 'leap'; readonly replica: ReplicaId; readonly by: Milliseconds }
  | { readonly kind: 'rate'; readonly replica: ReplicaId; readonly rate: number }
  /** The wall clock of a replica is from now on so many milliseconds ahead of its own clock; at first it has none. */
  | { readonly kind: 'wall'; readonly replica: ReplicaId; readonly ahead: Milliseconds }
  /**
   * A caller at a replica; `timeout` in milliseconds of the replica's clock, `Infinity` for none. With `padding` the
   * command takes so many bytes more in messages and on disks; the machine does not see them.
   */
  | {
      readonly kind: 'propose';
      readonly replica: ReplicaId;
      readonly command: unknown;
      readonly timeout: Milliseconds;
      readonly padding?: number;
    }
  /**
   * A linearizable read, confirmed by the leader's round unless `by` names another way; or with `minIndex` a stale one,
   * served once that index is applied.
   */
  | {
      readonly kind: 'read';
      readonly replica: ReplicaId;
      readonly minIndex: Index | null;
      readonly timeout: Milliseconds;
      readonly by?: 'lease' | 'quorum';
    }
  /** The callers wait no longer. Calls are numbered from 1 in the order in which they were made. */
  | { readonly kind: 'cancel'; readonly calls: readonly number[] }
  | { readonly kind: 'campaign' | 'stop'; readonly replica: ReplicaId }
  /** A caller at a replica that leads: transfer the leadership to that member, or to the best candidate. */
  | {
      readonly kind: 'transfer';
      readonly replica: ReplicaId;
      readonly to: ReplicaId | null;
      readonly timeout: Milliseconds;
    }
  /** It is about to close: it hands over and drains, and takes no new calls. */
  | { readonly kind: 'leave'; readonly replica: ReplicaId; readonly timeout: Milliseconds }
  /** A replica loses its connection to a peer on this lane, with what it has under way there, and is told. */
  | { readonly kind: 'disconnect'; readonly replica: ReplicaId; readonly peer: ReplicaId; readonly lane: Lane }
  /** It is told that it could not connect again. */
  | { readonly kind: 'unreachable'; readonly replica: ReplicaId; readonly peer: ReplicaId }
  /** Nothing but the passing of time. */
  | { readonly kind: 'wait' };

/** An action at a true time in milliseconds; a time before the world's counts as the world's. */
export type Action = Happening & { readonly at: Milliseconds };
