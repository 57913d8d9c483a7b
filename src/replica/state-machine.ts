/** The interfaces that an application implements: a deterministic state machine, and codecs for its values. */

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
 * JSON in UTF-8; `undefined` is carried as no bytes. `encode` throws a TypeError for functions, symbols, BigInts and
 * cycles.
 */
export function jsonCodec<T = unknown>(): ValueCodec<T> {
  const platform = globalThis as unknown as TextPlatform;
  const encoder = new platform.TextEncoder();
  const decoder = new platform.TextDecoder('utf-8', { fatal: true });
  return {
    encode(value) {
      if (value === undefined) return new Uint8Array(0);
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError(`JSON cannot carry a ${typeof value}`);
      return encoder.encode(text);
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
      const bytes: unknown = codec.encode(value);
      if (!(bytes instanceof Uint8Array)) throw new TypeError('the codec gave something else than a Uint8Array');
      return new Uint8Array(bytes);
    },
    decode: (bytes) => codec.decode(new Uint8Array(bytes)) as unknown,
  };
}
