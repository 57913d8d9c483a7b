/** What the application brings: a deterministic state machine, and how its commands and results travel. */

/**
 * Duties of an implementation:
 *
 * - Deterministic: the same commands in the same order give the same state and results on every replica. No
 *   clock, no randomness, no I/O inside.
 * - `apply` is synchronous; a returned promise halts the replica (`ERR_APPLY_ASYNC`). To refuse a command throw
 *   `CommandRejected`, before anything was changed. Any other exception halts the replica (`ERR_APPLY_FAILED`),
 *   unless the cluster was made with `onApplyError: 'reject'`.
 * - A result must be encodable by the result codec: for JSON, plain data.
 * - `snapshot` gives the whole state as plain data of one point in time; `restore` replaces the state by one.
 */
export interface StateMachine<Command = unknown, Result = unknown, Snapshot = unknown> {
  apply(command: Command): Result;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
}

/** Values to bytes and back. `encode` throws for what it cannot carry. */
export interface ValueCodec<T = unknown> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

interface TextPlatform {
  TextEncoder: new () => { encode(text: string): Uint8Array };
  TextDecoder: new (label: string, options: { fatal: boolean }) => { decode(bytes: Uint8Array): string };
}

/** JSON in UTF-8; `undefined` is carried as no bytes at all. Refuses functions, symbols, BigInts and cycles. */
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
 * A codec whose bytes are nobody else's: what a caller or a machine still holds and writes to would otherwise change
 * the log behind the replica's back, and each member's in its own way.
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
