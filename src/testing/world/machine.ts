/**
 * The state machines of a world. A machine is the user's own object and changes in place, while a world is a value. So
 * a replica keeps its machine together with the number of commands that it must have applied; a machine that a fork has
 * moved elsewhere is built again from the commands.
 */

import { InvariantViolation } from '../../core/assert.js';
import { Reader, VARINT_MAX_BYTES, Writer, part } from '../../core/bytes.js';
import type { Constants, ReplicaId } from '../../core/members.js';
import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import { invalidArgument, textOf } from '../../replica/errors.js';
import { MachineRunner } from '../../replica/host/machine-runner.js';
import type { Fault } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import {
  jsonCodec,
  type StateMachine,
  type StreamingStateMachine,
  type ValueCodec,
} from '../../replica/state-machine.js';

/** The state machine under test and the codec of its commands. */
export interface MachineSpec<Command = any, Result = any, Snapshot = any> {
  /** Makes a machine before its first command; called for every start of every replica. */
  create(): StateMachine<Command, Result, Snapshot>;
  /** The codec of commands; JSON unless given. */
  readonly codec?: ValueCodec<Command>;
  /** The codec of snapshots; JSON unless given. */
  readonly snapshotCodec?: ValueCodec<Snapshot>;
  /** Called after every batch of commands; an exception is a violation (machine/own-check). */
  check?(machine: StateMachine<Command, Result, Snapshot>): void;
}

/** The default machine: it counts its commands, which are any JSON. */
export const countingMachine: MachineSpec = {
  create() {
    let count = 0;
    return {
      apply: () => ++count,
      snapshot: () => count,
      restore(snapshot: number) {
        count = snapshot;
      },
    };
  },
};

/** Bytes: the most that a command can be padded with. */
export const MAX_PADDING = 64 * 1024 * 1024;

/** Added to the number of a padded command's call; the length of the padding follows it. */
const PADDED = 2 ** 40;
/** Where a number that large has its last byte, or later. */
const PADDED_AT = 5;

/** Encodes a command with the number of its call, so that the call's effect can be found, and with padding. */
function sealCommand(call: number, payload: Uint8Array, padding: number): Uint8Array {
  const writer = new Writer(2 * VARINT_MAX_BYTES + padding + payload.length);
  if (padding === 0) writer.varint(call);
  else {
    writer.varint(PADDED + call);
    writer.varint(padding);
    writer.raw(new Uint8Array(padding));
  }
  writer.raw(payload);
  return writer.finish();
}

/** The number of the call that proposed a command. */
export function callOf(data: Uint8Array): number {
  return new Reader(data).varint() % PADDED;
}

function payloadOf(data: Uint8Array): Uint8Array {
  let at = 0;
  while ((data[at] as number) >= 0x80) at++;
  if (at < PADDED_AT) return part(data, at + 1, data.length);
  const reader = new Reader(data, at + 1);
  const padding = reader.varint();
  return part(data, data.length - reader.remaining + padding, data.length);
}

/** What a machine has been through: every entry of the log, and which commands took effect, at their log time. */
export interface MachineHistory {
  readonly committed: (index: Index) => Entry;
  readonly commands: () => readonly Entry[];
}

/** How far a machine has come: how many commands it has applied, and the last index at which it was called. */
export interface MachinePlace {
  readonly effects: number;
  readonly position: Index;
  /** `null` where nobody wakes it. */
  readonly wakeAt: Milliseconds | null;
}

/** A machine that has applied `at` commands and was called last at the index `position`. */
export interface Holder {
  readonly runner: MachineRunner;
  readonly machine: StateMachine;
  at: number;
  position: Index;
}

/** Makes the machines of one world and applies commands to them. */
export class Machines {
  private readonly spec: MachineSpec;
  private readonly codec: ValueCodec;
  private readonly snapshots: ValueCodec<any>;
  private readonly onError: Constants['onApplyError'];

  constructor(spec: MachineSpec, onError: Constants['onApplyError']) {
    this.spec = spec;
    this.onError = onError;
    this.codec = spec.codec ?? jsonCodec();
    this.snapshots = spec.snapshotCodec ?? jsonCodec();
  }

  /**
   * Encodes a command of this call, with so many bytes of padding.
   * @throws ConsensusError `ERR_INVALID_ARGUMENT` whose cause is the codec's error
   */
  encode(call: number, command: unknown, padding = 0): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.codec.encode(command);
    } catch (error) {
      const wrong = invalidArgument(`the command of call ${call} cannot be encoded: ${textOf(error)}`);
      wrong.cause = error;
      throw wrong;
    }
    return sealCommand(call, bytes, padding);
  }

  /** The command in an entry's data. */
  decode(data: Uint8Array): unknown {
    return this.codec.decode(payloadOf(data));
  }

  private create(): Holder {
    const machine = this.spec.create();
    if (typeof (machine as Partial<StreamingStateMachine> | undefined)?.restoreFrom === 'function') {
      throw invalidArgument(
        'machine.create: expected a machine that does not stream its snapshots: checkSnapshots tries those',
      );
    }
    for (const method of ['apply', 'snapshot', 'restore'] as const) {
      if (typeof (machine as Partial<StateMachine> | undefined)?.[method] === 'function') continue;
      throw invalidArgument(`machine.create: expected a state machine, got one without ${method}`);
    }
    const codec: ValueCodec = { encode: this.codec.encode, decode: (data) => this.decode(data) };
    return { machine, runner: new MachineRunner(machine, codec, jsonCodec(), this.onError), at: 0, position: 0 };
  }

  /** A holder at this place: the given one if it is there, else a new one that goes through the history up to there. */
  at(holder: Holder | null, { effects, position, wakeAt }: MachinePlace, history: MachineHistory): Holder {
    if (holder !== null && holder.at === effects && holder.position === position) return holder;
    const fresh = this.create();
    if (wakeAt === null) fresh.runner.wakeAt = null;
    this.replay(fresh.runner, history, effects, position);
    fresh.at = effects;
    fresh.position = position;
    return fresh;
  }

  /** What a machine gives as its snapshot, encoded as a host does by default. @param id whose machine it is */
  snapshotOf(machine: StateMachine, id: ReplicaId): Uint8Array {
    try {
      return this.snapshots.encode(machine.snapshot());
    } catch (error) {
      const rule = 'machine/snapshot-is-the-state: a machine gives a snapshot that can be encoded';
      throw new InvariantViolation(`${rule}: ${id}: ${textOf(error)}`);
    }
  }

  /** A holder whose machine was restored from a snapshot that was taken at this place. */
  restored(state: Uint8Array, { effects, position, wakeAt }: MachinePlace): Holder {
    const fresh = this.create();
    try {
      fresh.machine.restore(this.snapshots.decode(state));
    } catch (error) {
      throw new InvariantViolation(`machine/never-fails: a machine cannot be restored: ${textOf(error)}`);
    }
    fresh.runner.wakeAt = wakeAt;
    fresh.at = effects;
    fresh.position = position;
    return fresh;
  }

  private replay(runner: MachineRunner, { committed, commands }: MachineHistory, effects: number, to: Index): void {
    if (runner.wakeAt === null) {
      runner.run(commands().slice(0, effects));
      return;
    }
    const due = commands();
    for (let index = 1, next = 0, time = 0; index <= to; index++) {
      time = Math.max(time, committed(index).time);
      const command = due[next];
      if (command?.index === index) next += 1;
      if (command?.index === index) runner.apply(command);
      else if (runner.wakeAt <= time) runner.wake(index, time);
    }
  }

  /** Wakes a machine. */
  wake(holder: Holder, index: Index, time: Milliseconds): Fault | null {
    const { at } = holder;
    holder.at = -1;
    const fault = holder.runner.wake(index, time);
    if (fault !== null) return fault;
    holder.at = at;
    holder.position = index;
    this.spec.check?.(holder.machine);
    return null;
  }

  /** Applies commands. Exceptions of the user's `check` pass through. */
  apply(holder: Holder, commands: readonly Entry[]): readonly StoredResult[] | Fault {
    const { at } = holder;
    // If it fails half-way, no fork can use this machine again.
    holder.at = -1;
    const results = holder.runner.run(commands);
    if ('code' in results) return results;
    holder.at = at + commands.length;
    holder.position = (commands[commands.length - 1] as Entry).index;
    this.spec.check?.(holder.machine);
    return results;
  }
}
