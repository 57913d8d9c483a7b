/** A host of the oracle: one replica with its disk, its loop and its links, and what is under way at it. */

import type { Send } from './core.js';
import type { OracleDisk, WriteKind } from './disk.js';
import type { OracleLoop } from './loop.js';
import type { OracleMachine } from './machine.js';
import type { OracleWire } from './wire.js';

export interface OracleHost {
  readonly id: string;
  readonly disk: OracleDisk;
  readonly loop: OracleLoop;
  /** To each host, in their order. */
  readonly wires: readonly OracleWire[];
  /** `null` while it is down. */
  state: unknown;
  /** Counts starts; what was scheduled for an earlier one is void. */
  boot: number;
  /** When it started; `Infinity` while it is down. */
  startedAt: number;
  /** When its clock showed 0: clocks of different starts have nothing in common. */
  zero: number;
  machine: OracleMachine;
  /** Whether it is restored, what waits for the end of that, and when it will have done what it was given. */
  restoring: boolean;
  jobs: (() => void)[];
  done: number;
  /** What the log begins behind, as the newest persist of the core says. */
  base: number;
  /** Whether a snapshot is being taken, and the index of the last one that was begun. */
  taking: boolean;
  begun: number;
  /** The number of the pull that is waited for. */
  pull: number | null;
  held: Send[];
  syncing: boolean;
  /** Up to when the reports of its disk are scheduled; they keep their order. */
  reported: number;
  tickAt: number;
  leads: boolean;
  /** It crashes while its next persist of that kind is under way, and loses it. */
  doomed: WriteKind | null;
  requests: number;
}
