/**
 * Tries the snapshots of a state machine by themselves, those that stream, too: commands are applied while a snapshot
 * is read, as on a replica, and a machine that was restored from what was read must go on as one that has applied every
 * command.
 *
 * Invariants: the snapshot is asked for its first chunk in the turn of the call; every machine gets copies of its own,
 * of commands and of chunks; a restored machine may have had another state before. What a machine or its codec throws
 * is its failure, whatever it is; what the options throw besides passes through.
 */

import { InvariantViolation } from '../../core/assert.js';
import { joined } from '../../core/bytes.js';
import { CommandRejected, invalidArgument, textOf } from '../../replica/errors.js';
import {
  jsonCodec,
  type StateMachine,
  type StreamingStateMachine,
  type ValueCodec,
} from '../../replica/state-machine.js';
import { checkNames, checkObject, checkShape, expecting, whole } from '../check-input.js';
import { Dice } from '../random.js';
import { sameDeep } from '../world/laws.js';
import type { Random } from './simulate-options.js';

/** What `checkSnapshots` takes. */
export interface SnapshotCheckOptions<Command = any> {
  /** Makes a machine before its first command. */
  create(): StateMachine<Command, any, any> | StreamingStateMachine<Command, any>;
  /** Makes the `number`-th command of a run, from 1 on. */
  commands(random: Random, number: number): Command;
  /** The codec of commands; JSON unless given. */
  readonly codec?: ValueCodec<Command> | undefined;
  /** The codec of snapshots that do not stream; JSON unless given. */
  readonly snapshotCodec?: ValueCodec | undefined;
  /** Of the first run; the others count on from it. 1 unless given. */
  readonly seed?: number | undefined;
  /** 100 unless given. */
  readonly runs?: number | undefined;
}

/** What was tried. */
export interface SnapshotCheckReport {
  readonly runs: number;
  /** Chunks that were read of snapshots that stream. */
  readonly chunks: number;
  /** Commands that were applied while a snapshot was read. */
  readonly meanwhile: number;
}

const MOST_BEFORE = 60;
const MOST_AT_ONCE = 4;
const MOST_AFTER = 30;
/** While a snapshot is read: a stream of what commands change may otherwise have no end. */
const MOST_MEANWHILE = 200;
/** Bytes of a chunk that a machine is restored from. */
const MOST_CHUNK = 64;

type Machine = StateMachine | StreamingStateMachine;

/** A machine, and the index of its last command. */
class Subject {
  readonly machine: Machine;
  private readonly codec: ValueCodec;
  private index = 0;

  constructor(machine: Machine, codec: ValueCodec) {
    this.machine = machine;
    this.codec = codec;
  }

  /** Gives what each command gave, one that was rejected its message. */
  apply(commands: readonly Uint8Array[]): readonly unknown[] {
    return commands.map((bytes) => {
      const context = { index: ++this.index, time: this.index, wakeAt: () => undefined };
      try {
        return this.machine.apply(this.codec.decode(bytes), context);
      } catch (error) {
        if (error instanceof CommandRejected) return { rejected: error.message };
        throw error;
      }
    });
  }

  /** The machine was restored from a snapshot at this index. */
  restoredAt(index: number): void {
    this.index = index;
  }
}

/** A run from its seed. */
class Run {
  chunks = 0;
  meanwhile = 0;
  private readonly seed: number;
  private readonly dice: Dice;
  private readonly options: SnapshotCheckOptions;
  private readonly codec: ValueCodec;
  private readonly snapshots: ValueCodec;
  private made = 0;

  constructor(options: SnapshotCheckOptions, seed: number) {
    this.options = options;
    this.seed = seed;
    this.dice = new Dice(seed);
    this.codec = options.codec ?? jsonCodec();
    this.snapshots = options.snapshotCodec ?? jsonCodec();
  }

  async go(): Promise<void> {
    const before = this.draw(this.dice.between(0, MOST_BEFORE));
    const [taken, replayed] = [this.subject(), this.subject()];
    const restored = this.subject();
    const { dice } = this;
    const earlier = before.slice(0, dice.chance(0.5) ? dice.between(0, before.length) : 0);
    this.duty(() => [taken.apply(before), replayed.apply(before), restored.apply(earlier)]);
    const bytes = await this.read(taken.machine, () => {
      const most = Math.min(MOST_AT_ONCE, MOST_MEANWHILE - this.meanwhile);
      const commands = this.draw(dice.between(0, most));
      this.meanwhile += commands.length;
      this.duty(() => taken.apply(commands));
    });
    await this.restore(restored.machine, bytes);
    restored.restoredAt(before.length);
    const after = this.draw(dice.between(0, MOST_AFTER));
    const [own, expected] = this.duty(() => [restored.apply(after), replayed.apply(after)]);
    if (!sameDeep(own, expected)) {
      throw this.violation('a restored machine gives the same results', { after: after.length, own, expected });
    }
    const [left, wanted] = [await this.read(restored.machine), await this.read(replayed.machine)];
    if (!sameDeep(left, wanted)) throw this.violation('a restored machine is the one that applied every command');
  }

  private violation(what: string, evidence?: unknown): InvariantViolation {
    return new InvariantViolation(`machine/snapshot-is-the-state: ${what} (seed ${this.seed})`, evidence);
  }

  /** What a machine or its codec gives. */
  private duty<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** What it gives later. */
  private later<T>(work: () => T | PromiseLike<T>): Promise<T> {
    return Promise.resolve(this.duty(work)).catch((error: unknown) => {
      throw this.failure(error);
    });
  }

  private failure(error: unknown): InvariantViolation {
    return new InvariantViolation(`machine/never-fails: ${textOf(error)} (seed ${this.seed})`, error);
  }

  private subject(): Subject {
    const machine = this.options.create() as Machine;
    for (const method of ['apply', 'snapshot'] as const) {
      if (typeof (machine as Partial<Machine> | undefined)?.[method] === 'function') continue;
      throw invalidArgument(`create: expected a state machine, got one without ${method}`);
    }
    if (!streams(machine) && typeof (machine as Partial<StateMachine>).restore !== 'function') {
      throw invalidArgument('create: expected a state machine, got one without restore or restoreFrom');
    }
    return new Subject(machine, this.codec);
  }

  private draw(count: number): readonly Uint8Array[] {
    return Array.from({ length: count }, () =>
      this.codec.encode(this.options.commands(this.dice, ++this.made)).slice(),
    );
  }

  /** The bytes of a snapshot. @param between called while it is read */
  private async read(machine: Machine, between: () => void = () => undefined): Promise<Uint8Array> {
    if (!streams(machine)) {
      const bytes = this.duty(() => this.snapshots.encode(machine.snapshot()).slice());
      between();
      return bytes;
    }
    const iterator = this.duty(() => {
      const snapshot = machine.snapshot() as Partial<AsyncIterable<Uint8Array> & Iterable<Uint8Array>>;
      return snapshot[Symbol.asyncIterator]?.() ?? snapshot[Symbol.iterator]?.();
    });
    if (iterator === undefined) throw this.violation('a machine with restoreFrom gives an iterable of chunks');
    const chunks: Uint8Array[] = [];
    let isOver = false;
    try {
      for (;;) {
        const asked = this.later(() => iterator.next());
        asked.catch(() => undefined);
        between();
        const next = await asked;
        isOver = next.done === true;
        if (next.done === true) return joined(chunks);
        if (!(next.value instanceof Uint8Array)) throw this.violation('a chunk of a snapshot is a Uint8Array');
        chunks.push(next.value.slice());
        this.chunks += 1;
        between();
      }
    } finally {
      if (!isOver) await leave(iterator);
    }
  }

  private async restore(machine: Machine, bytes: Uint8Array): Promise<void> {
    if (!streams(machine)) return this.duty(() => machine.restore(this.snapshots.decode(bytes)));
    let isRead = false;
    const { dice } = this;
    async function* cut(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + dice.between(1, MOST_CHUNK));
        yield bytes.slice(at, end);
        at = end;
      }
      isRead = true;
    }
    await this.later(() => machine.restoreFrom(cut()));
    if (!isRead) throw this.violation('restoreFrom reads all chunks');
  }
}

/** The reading has failed already, and by what it failed is told, whatever `return` does besides. */
async function leave(iterator: Iterator<Uint8Array> | AsyncIterator<Uint8Array>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Nothing is read any more.
  }
}

function streams(machine: Machine): machine is StreamingStateMachine {
  return typeof (machine as Partial<StreamingStateMachine>).restoreFrom === 'function';
}

const isFunction = expecting('a function', (value) => typeof value === 'function');
const isCodec = expecting('a value codec, with encode and decode', (value) => {
  const { encode, decode } = (value ?? {}) as Partial<ValueCodec>;
  return value === undefined || (typeof encode === 'function' && typeof decode === 'function');
});
const NAMES = ['create', 'commands', 'codec', 'snapshotCodec', 'seed', 'runs'];

/**
 * Takes snapshots of machines after drawn commands and while further ones are applied, and restores other machines from
 * them. A machine that was restored has to give the same results as one that applied every command, and the same
 * snapshot. A stream that never ends, or whose next chunk never comes, is read without end, and a `restoreFrom` that
 * never ends is waited for: give the test a timeout.
 * @throws InvariantViolation machine/snapshot-is-the-state, machine/never-fails, with the seed of the run
 * @throws ConsensusError ERR_INVALID_ARGUMENT; and what `create` and `commands` throw
 */
export async function checkSnapshots<Command>(options: SnapshotCheckOptions<Command>): Promise<SnapshotCheckReport> {
  checkObject('options', options);
  checkNames('', options, NAMES);
  const { seed = 1, runs = 100 } = options;
  checkShape(
    '',
    { ...options, seed, runs },
    {
      create: isFunction,
      commands: isFunction,
      codec: isCodec,
      snapshotCodec: isCodec,
      seed: whole(0),
      runs: whole(1),
    },
  );
  let [chunks, meanwhile] = [0, 0];
  for (let at = seed; at < seed + runs; at++) {
    const run = new Run(options, at);
    await run.go();
    chunks += run.chunks;
    meanwhile += run.meanwhile;
  }
  return { runs, chunks, meanwhile };
}
