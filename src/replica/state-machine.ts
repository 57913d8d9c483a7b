/** The interfaces that an application implements: a deterministic state machine, and codecs for its values. */

import { atOnce } from './host/plug-ins.js';
import { checkPlainJson } from './plain-json.js';

/** Where in the log, and when, a machine applies a command or is woken. */
export interface ApplyContext {
  /** The log index of the entry. */
  readonly index: number;
  /** Log time, in whole milliseconds since the epoch; 0 before any is known. It never falls. */
  readonly time: number;
  /**
   * Asks that `wake` is called once log time reaches `time`, in milliseconds since the epoch: by the next entry of the
   * log if that is not after now. To be called within `apply` or `wake` only. Throws TypeError if the machine has no
   * `wake`, RangeError for anything but a whole number ≥ 0.
   */
  wakeAt(time: number): void;
}

/**
 * Duties of an implementation:
 *
 * - Deterministic: the same commands in the same order give the same state and results on every replica. No
 *   clock, no randomness, no I/O inside.
 * - `apply` is synchronous; a returned promise halts the replica (`ERR_APPLY_ASYNC`). To refuse a command it throws
 *   `CommandRejected` before it changes anything. Any other exception halts the replica (`ERR_APPLY_FAILED`),
 *   unless the cluster was made with the constant `onApplyError: 'reject'`.
 * - Time comes with the command: `context.time` is log time, which never falls and is the same on every replica. What
 *   expires in the machine does so by it alone. `context.wakeAt(time)` asks that `wake` is called at the first entry of
 *   the log whose time reaches that, before the entry's command is applied; the earliest time asked for counts, and is
 *   over when `wake` is called. An exception of `wake` is handled as one of `apply`.
 * - `validate` is synchronous and changes nothing. It is called where a command is proposed, before the command is
 *   encoded or logged; if it throws, the command is not proposed (`ERR_COMMAND_REJECTED`, outcome `none`).
 * - The result codec must be able to encode a result: for JSON, plain data.
 * - `snapshot` gives the whole state at one point in time, at once, as a value that the snapshot codec can encode: for
 *   JSON, plain data. What is applied afterwards must not show in it. An exception costs the snapshot, not the replica.
 *   `restore` replaces the state by a snapshot.
 */
export interface StateMachine<Command = unknown, Result = unknown, Snapshot = unknown> {
  apply(command: Command, context: ApplyContext): Result;
  wake?(context: ApplyContext): void;
  validate?(command: Command): void;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
}

/**
 * A machine whose snapshots stream, so that it may be larger than one value. Its further duties:
 *
 * - `snapshot` gives an iterable of chunks of bytes of one point in time, that of the call: it is read in the turns
 *   that follow, while commands are applied, so it must not iterate what they change.
 * - `restoreFrom` replaces the state by the same bytes, cut into other chunks, which are the machine's to keep.
 *
 * One that has a `restore` beside it takes snapshots from before it streamed, too: they are one value.
 */
export interface StreamingStateMachine<Command = unknown, Result = unknown> {
  apply(command: Command, context: ApplyContext): Result;
  wake?(context: ApplyContext): void;
  validate?(command: Command): void;
  snapshot(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  restoreFrom(chunks: AsyncIterable<Uint8Array>): void | Promise<void>;
}

/** Turns values into bytes and back. `encode` throws for a value that it cannot carry. */
export interface ValueCodec<T = unknown> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

interface TextPlatform {
  TextEncoder: new () => { encode(text: string): Uint8Array };
  TextDecoder: new (label: string, options: { fatal: boolean }) => { decode(bytes: Uint8Array): string };
}

/**
 * JSON in UTF-8; `undefined` itself is carried as no bytes. `encode` throws a TypeError that says what and where for
 * everything that `decode` would not give back equal, at any depth: NaN, infinities and -0, BigInts, functions and
 * symbols, `undefined` in an array, arrays with holes or other properties, every object that is not plain (Map, Set,
 * Date, bytes, instances of classes, boxed values, objects without a prototype), `toJSON`, getters, properties named by
 * symbols or not enumerable, cycles, and more than 1,000 levels. Properties that hold `undefined` are left out.
 */
export function jsonCodec<T = unknown>(): ValueCodec<T> {
  const platform = globalThis as unknown as TextPlatform;
  const encoder = new platform.TextEncoder();
  const decoder = new platform.TextDecoder('utf-8', { fatal: true });
  return {
    encode(value) {
      if (value === undefined) return new Uint8Array(0);
      checkPlainJson(value);
      return encoder.encode(JSON.stringify(value));
    },
    decode(bytes) {
      return (bytes.length === 0 ? undefined : JSON.parse(decoder.decode(bytes))) as T;
    },
  };
}

/**
 * A codec that copies the bytes that go in and out. Otherwise an application that later writes to an array it handed
 * in would change the log of this member alone.
 */
export function copying(codec: ValueCodec<any>): ValueCodec<unknown> {
  return {
    encode(value) {
      const bytes: unknown = atOnce('encode', codec.encode(value));
      if (!(bytes instanceof Uint8Array)) throw new TypeError('the codec gave something else than a Uint8Array');
      return new Uint8Array(bytes);
    },
    decode: (bytes) => atOnce('decode', codec.decode(new Uint8Array(bytes)) as unknown),
  };
}
