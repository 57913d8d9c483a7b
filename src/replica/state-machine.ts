/** The interfaces that an application implements: a deterministic state machine, and codecs for its values. */

import { atOnce } from './host/plug-ins.js';
import { checkPlainJson } from './plain-json.js';

/**
 * Duties of an implementation:
 *
 * - Deterministic: the same commands in the same order give the same state and results on every replica. No
 *   clock, no randomness, no I/O inside.
 * - `apply` is synchronous; a returned promise halts the replica (`ERR_APPLY_ASYNC`). To refuse a command it throws
 *   `CommandRejected` before it changes anything. Any other exception halts the replica (`ERR_APPLY_FAILED`),
 *   unless the cluster was made with the constant `onApplyError: 'reject'`.
 * - `validate` is synchronous and changes nothing. It is called where a command is proposed, before the command is
 *   encoded or logged; if it throws, the command is not proposed (`ERR_COMMAND_REJECTED`, outcome `none`).
 * - The result codec must be able to encode a result: for JSON, plain data.
 * - `snapshot` gives the whole state at one point in time as plain data; `restore` replaces the state by a snapshot.
 */
export interface StateMachine<Command = unknown, Result = unknown, Snapshot = unknown> {
  apply(command: Command): Result;
  validate?(command: Command): void;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
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
