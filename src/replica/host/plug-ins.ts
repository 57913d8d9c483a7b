/**
 * What a replica is given runs at its own risk: it may throw anything, in whatever form, or return something else than
 * its interface says. The helpers here turn that into typed errors.
 */

import type { Cancellable, Clock } from '../clock.js';
import { ConsensusError, textOf, typedError, type ErrorCode } from '../errors.js';
import { diskStatus, type StoredStatus } from '../driver/disk-status.js';
import type { SnapshotList } from '../driver/snapshot-list.js';
import type { SnapshotPolicy } from '../driver/snapshots.js';
import type { Storage, StoredEntry } from '../storage.js';
import type { Transport, UnsentBytes } from '../transport.js';

/** Whether it is a promise, of whatever make. Throws what a getter throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Handles a rejection that nobody waits for. */
export function silence(promise: PromiseLike<unknown>): void {
  Promise.resolve(promise).catch(() => undefined);
}

/** What was given where nothing is asked for: if it is a promise, its rejection harms nobody. Never throws. */
export function ignored(given: unknown): void {
  try {
    if (isThenable(given)) silence(given);
  } catch {
    // A getter of its own threw.
  }
}

/** What a plug-in gave at once. @throws TypeError for a promise, whose rejection nobody has to handle then */
export function atOnce<T>(what: string, given: T): T {
  if (!isThenable(given)) return given;
  silence(given);
  throw new TypeError(`${what} gave a promise`);
}

/** The promise that a plug-in must have given. @throws TypeError if it is none */
export function promised<T>(what: string, given: PromiseLike<T>): Promise<T> {
  if (!isThenable(given)) throw new TypeError(`${what} gave no promise`);
  return Promise.resolve(given);
}

/** Calls a plug-in, and then one of these, also if it throws or gives no promise. */
export function awaited<T>(
  what: string,
  work: () => Promise<T>,
  then: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  let done: Promise<T>;
  try {
    done = promised(what, work());
  } catch (error) {
    return failed(error);
  }
  done.then(then, failed);
}

/** Waits for a plug-in. What it throws or rejects with becomes a ConsensusError, with this code unless it is one. */
export async function answered<T>(code: ErrorCode, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await promised(what, work());
  } catch (error) {
    throw typedError(error, code);
  }
}

/** Whether a storage gave entries, as `Storage.read` says. */
export function areEntries(value: unknown): value is readonly StoredEntry[] {
  const isEntry = (it: unknown): boolean => {
    const entry = it as Partial<StoredEntry> | null | undefined;
    return Number.isSafeInteger(entry?.index) && Number.isSafeInteger(entry?.term) && ArrayBuffer.isView(entry?.data);
  };
  return Array.isArray(value) && value.every(isEntry);
}

/** Calls what throws a ConsensusError if anything, with this code unless it is one. */
export function typedBy(code: ErrorCode): <T>(work: () => T) => T {
  return (work) => {
    try {
      return work();
    } catch (error) {
      throw typedError(error, code);
    }
  };
}

/** A transport behind the boundary: it has every method, and `unsent` gives `null` if it cannot tell. */
export interface CheckedTransport extends Omit<Required<Transport>, 'unsent'> {
  unsent(): readonly UnsentBytes[] | null;
}

/**
 * A transport of the user's: what is to answer at once does, or throws ERR_TRANSPORT_FAILED. `start` and `stop` give
 * promises, and whoever waits for those checks them.
 */
export function checkedTransport(transport: Transport): CheckedTransport {
  const typed = typedBy('ERR_TRANSPORT_FAILED');
  return {
    checkAddress: (address) => atOnce('transport.checkAddress', transport.checkAddress(address)),
    start: (identity, self, peers, handler, timing) => transport.start(identity, self, peers, handler, timing),
    answer: () => typed(() => atOnce('transport.answer', transport.answer())),
    send: (to, bytes, lane) => typed(() => atOnce('transport.send', transport.send(to, bytes, lane))),
    setPeers: (peers) => typed(() => atOnce('transport.setPeers', transport.setPeers(peers))),
    stop: () => transport.stop(),
    connected: () => typed(() => [...atOnce('transport.connected', transport.connected())]),
    unsent: () => typed(() => atOnce('transport.unsent', transport.unsent?.() ?? null)),
    get maxMessageBytes() {
      return typed(() => atOnce('transport.maxMessageBytes', transport.maxMessageBytes));
    },
  };
}

/** What a transport has not passed on yet; `null` if it cannot tell. */
export function unsentOf(transport: CheckedTransport): readonly UnsentBytes[] | null {
  return transport.unsent()?.map(({ peer, bytes }) => ({ peer, bytes })) ?? null;
}

/** Of a storage that says nothing. */
export const notStored: StoredStatus = { storage: null, disk: null };

/** A storage's account of itself, and what the replica takes there. */
export function storedStatus(
  { storage, snapshots }: { readonly storage: Storage; readonly snapshots: SnapshotPolicy | null },
  { named }: SnapshotList,
): StoredStatus {
  const given = storage.status === undefined ? null : atOnce('storage.status', storage.status());
  if (given === null) return notStored;
  const { durable, state, spaceAhead, logBytes, snapshotBytes, segmentBytes } = given;
  const status = { durable, state, spaceAhead, logBytes, snapshotBytes, segmentBytes };
  return { storage: status, disk: diskStatus(status, snapshots, named[0]?.bytes ?? 0) };
}

function clockFailure(what: string): ConsensusError {
  return new ConsensusError(`clock.${what}`, { code: 'ERR_CLOCK_FAILED' });
}

/** A clock shows at most that, in milliseconds, or times could not be added any more. */
const MOST_TIME = 2 ** 52;

/** A clock of the user's: every call gives what the interface says, or throws ERR_CLOCK_FAILED. */
export function checkedClock(clock: Clock): Clock {
  const typed = typedBy('ERR_CLOCK_FAILED');
  const cancellable = (what: string, given: Cancellable): Cancellable => {
    if (typeof (atOnce(`clock.${what}`, given) as Partial<Cancellable> | null)?.cancel !== 'function') {
      throw clockFailure(`${what} gave nothing to cancel`);
    }
    return { cancel: () => typed(() => atOnce(`clock.${what}().cancel`, given.cancel())) };
  };
  const reading = (what: 'now' | 'wall') => (): number => {
    try {
      const time: unknown = clock[what](); // read for every command, so nothing more is done if it is a number
      if (typeof time === 'number' && Math.abs(time) <= MOST_TIME) return time;
      atOnce(`clock.${what}`, time);
    } catch (error) {
      throw typedError(error, 'ERR_CLOCK_FAILED');
    }
    throw clockFailure(`${what} gave no number`);
  };
  return {
    now: reading('now'),
    wall: reading('wall'),
    after: (delay, callback) => typed(() => cancellable('after', clock.after(delay, callback))),
    soon: (callback) => typed(() => cancellable('soon', clock.soon(callback))),
  };
}

/** A source of random bits of the user's: it gives an integer, or throws ERR_INVALID_ARGUMENT. */
export function checkedRandom(random: () => number): () => number {
  return () => {
    let cause: unknown;
    try {
      const word: unknown = atOnce('random', random());
      if (Number.isInteger(word)) return word as number;
    } catch (error) {
      cause = error;
    }
    const what = cause === undefined ? 'got something else' : `it threw: ${textOf(cause)}`;
    throw new ConsensusError(`random: expected 32 random bits as an integer, ${what}`, {
      code: 'ERR_INVALID_ARGUMENT',
      cause,
    });
  };
}
