/**
 * The state machines of the host simulation, a few keys with unique values, and the ledger of applied commands. The
 * ledger checks that all members apply the same commands at the same places, each once, with the same results.
 *
 * There are two: one gives its snapshot as a value, the other one streams it, slowly, while commands go on.
 */

import { joined } from '../../core/bytes.js';
import { CommandRejected } from '../../replica/errors.js';
import {
  jsonCodec,
  type ApplyContext,
  type StateMachine,
  type StreamingStateMachine,
} from '../../replica/state-machine.js';
import type { Dice } from '../random.js';
import type { Trace } from './trace.js';

/** What all commands have; `id` is unique in a run. */
interface NamedCommand {
  readonly id: string;
  readonly key: string;
}

/** Values are unique in a run. `refuse` is refused by the machine, `boom` makes it throw. */
export type HostCommand =
  | (NamedCommand & { readonly op: 'set'; readonly value: string; readonly padding?: string })
  | (NamedCommand & { readonly op: 'swap'; readonly from: string | null; readonly value: string })
  | (NamedCommand & { readonly op: 'refuse' | 'boom' });

/** `position`: how many commands were applied, this one included. */
export interface HostResult {
  readonly position: number;
  readonly before: string | null;
  readonly done: boolean;
}

/** `applied`: how many commands, which the simulation needs to know. */
export interface HostSnapshot {
  readonly applied: number;
  /** How often the machine was woken. */
  readonly woken: number;
  readonly values: readonly (readonly [key: string, value: string])[];
}

/** What was applied, in order, by anybody. */
export class CommandLedger {
  readonly commands: HostCommand[] = [];
  /** By id, 1-based. */
  readonly positions = new Map<string, number>();
  private readonly results: string[] = [];
  private readonly times: number[] = [];
  /** When a machine was woken, with how many commands before. */
  private readonly wakes: string[] = [];
  private readonly trace: Trace;

  constructor(trace: Trace) {
    this.trace = trace;
  }

  /** A member applied a command as its `position`-th, at this log time. */
  note(member: string, position: number, command: HostCommand, result: string, time: number): void {
    const known = this.commands[position - 1];
    const expected = this.results[position - 1];
    if (known === undefined) {
      const before = this.positions.get(command.id);
      if (before !== undefined) {
        this.trace.violate(
          'requests/at-most-once',
          `${command.id} is at ${before}, and ${member} applied it at ${position}`,
        );
      }
      this.commands.push(command);
      this.results.push(result);
      const last = this.times[this.times.length - 1] ?? 0;
      if (time < last) this.trace.violate('time/never-falls', `${command.id} is applied at ${time}, after ${last}`);
      this.times.push(time);
      this.positions.set(command.id, position);
    } else if (known.id !== command.id) {
      this.trace.violate('log/one-value-per-index', `${member} applied ${command.id} at ${position}, not ${known.id}`);
    } else if (expected !== result) {
      this.trace.violate('requests/same-everywhere', `${command.id} gave ${result} on ${member}, not ${expected}`);
    } else if (this.times[position - 1] !== time) {
      this.trace.violate('time/never-falls', `${member} applied ${command.id} at another time, ${time}`);
    }
  }

  /** A machine was woken for the `count`-th time, from 0 on. */
  noteWake(member: string, count: number, what: string): void {
    this.wakes[count] ??= what;
    this.trace.cover('machine woken');
    const known = this.wakes[count];
    if (known !== what) {
      this.trace.violate('time/woken-at-first-entry', `${member} was woken ${what}, and another one ${known}`);
    }
  }

  /** A member restored the state after the first `position` commands. */
  checkRestored(member: string, position: number, values: ReadonlyMap<string, string>): void {
    this.trace.cover('snapshot restored');
    const keys = new Set(this.commands.slice(0, position).map(({ key }) => key));
    for (const key of new Set([...keys, ...values.keys()])) {
      const [own, expected] = [values.get(key) ?? null, this.valueAt(key, position)];
      if (own === expected) continue;
      const what = `${member} restored ${key} = ${String(own)} at ${position}, not ${String(expected)}`;
      this.trace.violate('machine/snapshot-is-the-state', what);
    }
  }

  /** The value of a key after the first `position` commands. */
  valueAt(key: string, position: number): string | null {
    let value: string | null = null;
    for (const command of this.commands.slice(0, position)) {
      if (command.key !== key) continue;
      if (command.op === 'set' || (command.op === 'swap' && command.from === value)) value = command.value;
    }
    return value;
  }
}

/** Milliseconds of log time after which the machine is woken. */
const WAKE_AFTER = 40;

/** What both machines of one start do. */
class HostState {
  applied = 0;
  private woken = 0;
  private readonly values = new Map<string, string>();
  private readonly member: string;
  private readonly ledger: CommandLedger;
  private readonly work: () => void;

  /** @param work takes the time that a command takes */
  constructor(member: string, ledger: CommandLedger, work: () => void) {
    this.member = member;
    this.ledger = ledger;
    this.work = work;
  }

  get(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  apply(command: HostCommand, { time, wakeAt }: ApplyContext): HostResult {
    this.work();
    this.applied += 1; // what the machine was asked, refused or not: the simulation's book, not the machine's state
    const position = this.applied;
    const before = this.get(command.key);
    const done = command.op === 'set' || (command.op === 'swap' && command.from === before);
    this.ledger.note(this.member, position, command, `${command.op} ${String(before)} ${String(done)}`, time);
    if (command.op === 'refuse') throw new CommandRejected({ position });
    if (command.op === 'boom') throw new Error(`boom at ${position}`);
    if (done) this.values.set(command.key, command.value);
    if (command.op === 'swap') wakeAt(time + WAKE_AFTER);
    return { position, before, done };
  }

  wake({ index, time }: ApplyContext): void {
    this.ledger.noteWake(this.member, this.woken, `after ${this.applied} commands at ${index}, ${time}`);
    this.woken += 1;
  }

  protected taken(): HostSnapshot {
    return { applied: this.applied, woken: this.woken, values: [...this.values] };
  }

  /** What is restored must be what the ledger has. */
  protected become({ applied, woken, values }: HostSnapshot): void {
    this.applied = applied;
    this.woken = woken;
    this.values.clear();
    for (const [key, value] of values) this.values.set(key, value);
    this.ledger.checkRestored(this.member, applied, this.values);
  }
}

export class ValueHostMachine extends HostState implements StateMachine<HostCommand, HostResult, HostSnapshot> {
  snapshot(): HostSnapshot {
    return this.taken();
  }

  restore(snapshot: HostSnapshot): void {
    this.become(snapshot);
  }
}

/** How snapshots stream. */
export interface StreamHabits {
  readonly dice: Dice;
  readonly trace: Trace;
  /** Waits for so many milliseconds in the machine's process. */
  pause(milliseconds: number): Promise<void>;
}

/** Milliseconds that a chunk takes, at most. */
const CHUNK_TAKES = 30;
const CHUNK_BYTES = 40;

const snapshotCodec = jsonCodec<HostSnapshot>();

export class StreamingHostMachine extends HostState implements StreamingStateMachine<HostCommand, HostResult> {
  readonly habits: StreamHabits;

  constructor(member: string, ledger: CommandLedger, work: () => void, habits: StreamHabits) {
    super(member, ledger, work);
    this.habits = habits;
  }

  /** What streams is of the time of the call. Some streams fail on their way. */
  snapshot(): AsyncIterable<Uint8Array> {
    return this.stream(snapshotCodec.encode(this.taken()));
  }

  private async *stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    const { dice, trace, pause } = this.habits;
    const fails = dice.chance(0.1) ? dice.between(0, bytes.length) : Infinity;
    const most = Math.min(bytes.length, fails);
    for (let at = 0; at < most; ) {
      await pause(dice.within(0, CHUNK_TAKES));
      const end = Math.min(most, at + dice.between(1, CHUNK_BYTES));
      yield bytes.slice(at, end);
      at = end;
    }
    if (fails !== Infinity) {
      trace.cover('stream fails');
      throw new Error('simulated: the stream fails');
    }
    trace.cover('snapshot streamed');
  }

  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { dice, trace, pause } = this.habits;
    const pieces: Uint8Array[] = [];
    for await (const chunk of chunks) {
      pieces.push(chunk.slice());
      await pause(dice.within(0, CHUNK_TAKES));
    }
    this.become(snapshotCodec.decode(joined(pieces)));
    trace.cover('restored from a stream');
  }
}

/** One start's machine. */
export type HostMachine = ValueHostMachine | StreamingHostMachine;
