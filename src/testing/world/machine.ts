/**
 * The state machines of a world. A machine is the user's own object, and changes in place; a world is a value. So a
 * replica holds a machine together with how many commands it must have seen, and one that was led elsewhere by a
 * fork is built again from the commands.
 */

import { Reader, VARINT_MAX_BYTES, Writer, part } from '../../core/bytes.js';
import type { Constants } from '../../core/members.js';
import type { Entry } from '../../core/protocol.js';
import { invalidArgument } from '../../replica/errors.js';
import { MachineRunner, type ApplyFailure } from '../../replica/host/machine-runner.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import { jsonCodec, type StateMachine, type ValueCodec } from '../../replica/state-machine.js';

/** The machine under test, and how its commands travel. */
export interface MachineSpec<Command = any, Result = any, Snapshot = any> {
  /** A machine before its first command. Called for every start of every replica. */
  create(): StateMachine<Command, Result, Snapshot>;
  /** JSON unless given. */
  readonly codec?: ValueCodec<Command>;
  /** Called after every batch of commands; what it throws is a violation. */
  check?(machine: StateMachine<Command, Result, Snapshot>): void;
}

/** Counts the commands; a command is any JSON. The machine of worlds that are about the protocol alone. */
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

/** Every command carries the number of the call that made it, so that its fate can be followed. */
export function sealCommand(call: number, payload: Uint8Array): Uint8Array {
  const writer = new Writer(VARINT_MAX_BYTES + payload.length);
  writer.varint(call);
  writer.raw(payload);
  return writer.finish();
}

/** The call that made a command. */
export function callOf(data: Uint8Array): number {
  return new Reader(data).varint();
}

function payloadOf(data: Uint8Array): Uint8Array {
  let at = 0;
  while ((data[at] as number) >= 0x80) at++;
  return part(data, at + 1, data.length);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A machine that has seen `at` commands. */
export interface Holder {
  readonly runner: MachineRunner;
  readonly machine: StateMachine;
  at: number;
}

/** Makes and feeds the machines of one world. */
export class Machines {
  private readonly spec: MachineSpec;
  private readonly codec: ValueCodec;
  private readonly onError: Constants['onApplyError'];

  constructor(spec: MachineSpec, onError: Constants['onApplyError']) {
    this.spec = spec;
    this.onError = onError;
    this.codec = spec.codec ?? jsonCodec();
  }

  /**
   * The bytes of a command of this call.
   * @throws ConsensusError `ERR_INVALID_ARGUMENT` with what the codec throws as its cause
   */
  encode(call: number, command: unknown): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.codec.encode(command);
    } catch (error) {
      const wrong = invalidArgument(`the command of call ${call} cannot be encoded: ${reasonOf(error)}`);
      wrong.cause = error;
      throw wrong;
    }
    return sealCommand(call, bytes);
  }

  /** The command in an entry's data. */
  decode(data: Uint8Array): unknown {
    return this.codec.decode(payloadOf(data));
  }

  private create(): Holder {
    const machine = this.spec.create();
    for (const method of ['apply', 'snapshot', 'restore'] as const) {
      if (typeof (machine as Partial<StateMachine> | undefined)?.[method] === 'function') continue;
      throw invalidArgument(`machine.create: expected a state machine, got one without ${method}`);
    }
    const codec: ValueCodec = { encode: this.codec.encode, decode: (data) => this.decode(data) };
    return { machine, runner: new MachineRunner(machine, codec, jsonCodec(), this.onError), at: 0 };
  }

  /** A holder at this position: the one given if it stands there, else a new one that has seen those commands. */
  at(holder: Holder | null, position: number, commands: readonly Entry[]): Holder {
    if (holder !== null && holder.at === position) return holder;
    const fresh = this.create();
    fresh.runner.run(commands.slice(0, position));
    fresh.at = position;
    return fresh;
  }

  /** Applies commands. What the user's `check` throws passes through. */
  apply(holder: Holder, commands: readonly Entry[]): readonly StoredResult[] | ApplyFailure {
    const { at } = holder;
    // Of no use to another fork, should it fail half-way.
    holder.at = -1;
    const results = holder.runner.run(commands);
    if ('code' in results) return results;
    holder.at = at + commands.length;
    this.spec.check?.(holder.machine);
    return results;
  }
}
