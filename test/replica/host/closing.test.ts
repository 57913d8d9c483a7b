/** The end of a transport and of a storage that comes, fails, or does not come. */

import { describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft, type Clock } from 'quorate';
import { closesAgain, closesDuringTransfer } from './closing-cases.js';
import { endedInTime, endPlugIns } from '../../../src/replica/host/closing.js';

/** A clock by hand: what is set on it, and what was cancelled. */
function handClock(): { clock: Clock; ring: () => void; isSet: () => boolean } {
  let set: (() => void) | null = null;
  const cancel = (): void => void (set = null);
  const after = (_: number, callback: () => void): { cancel: () => void } => {
    set = callback;
    return { cancel };
  };
  const clock = { now: () => 0, wall: () => 0, after, soon: () => ({ cancel }) };
  return { clock, ring: () => set?.(), isSet: () => set !== null };
}

const never = (): Promise<never> => new Promise(() => undefined);
const broken = new Error('broken');

describe('a storage that is closed', () => {
  it('is waited for, and leaves no timer', async () => {
    const { clock, isSet } = handClock();
    await endedInTime(clock, 'storage', Promise.resolve());
    expect(isSet()).toBe(false);
    await expect(endedInTime(clock, 'storage', Promise.reject(broken))).rejects.toBe(broken);
    expect(isSet()).toBe(false);
  });

  it('and does not end is a typed error after a bound', async () => {
    const { clock, ring } = handClock();
    const closed = endedInTime(clock, 'storage', never());
    ring();
    await expect(closed).rejects.toMatchObject({
      code: 'ERR_STORAGE_FAILED',
      message: /the storage has not closed within 5000 ms/,
    });
    const hand = handClock();
    const stopped = endedInTime(hand.clock, 'transport', never());
    hand.ring();
    await expect(stopped).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_FAILED',
      message: /the transport has not stopped within 5000 ms/,
    });
  });

  it('is waited for alone where the clock fails', async () => {
    const fail = (): never => {
      throw broken;
    };
    const clock = { now: fail, wall: fail, after: fail, soon: fail };
    await endedInTime(clock, 'storage', Promise.resolve());
    await expect(endedInTime(clock, 'storage', Promise.reject(broken))).rejects.toBe(broken);
    const late = { now: fail, wall: fail, after: () => ({ cancel: fail }), soon: fail };
    await endedInTime(late, 'storage', Promise.resolve());
  });
});

describe('a transport and a storage', () => {
  const failed = (name: string) => () => Promise.reject(new Error(name));
  const fine = (): Promise<void> => Promise.resolve();

  /** Ends both, and rings whenever something waits. Tells what was called, and how it ended. */
  async function ended(stop: () => Promise<void>, close: () => Promise<void>): Promise<readonly [string, unknown]> {
    const { clock, ring } = handClock();
    const called: string[] = [];
    const transport = { stop: () => (called.push('stop'), stop()) };
    const storage = { close: () => (called.push('close'), close()) };
    let end: unknown = undefined;
    const closing = endPlugIns({ clock, transport, storage } as unknown as Parameters<typeof endPlugIns>[0]).then(
      () => (end = 'done'),
      (error: unknown) => (end = error),
    );
    for (let turn = 0; turn < 1000 && end === undefined; turn++) {
      await Promise.resolve();
      if (called.length === 1 && stop === never) ring();
      if (called.length === 2 && close === never) ring();
    }
    await closing;
    return [called.join(), end];
  }

  it.each([
    ['both end', fine, fine, null],
    ['the transport hangs', never, fine, 'ERR_TRANSPORT_FAILED'],
    ['the storage hangs', fine, never, 'ERR_STORAGE_FAILED'],
    ['both hang', never, never, 'ERR_STORAGE_FAILED'],
    ['the transport fails', failed('t'), fine, 'ERR_TRANSPORT_FAILED'],
    ['both fail', failed('t'), failed('s'), 'ERR_STORAGE_FAILED'],
  ] as const)('%s: both are asked to, and the storage counts more', async (_, stop, close, code) => {
    const [called, end] = await ended(stop, close);
    expect(called).toBe('stop,close');
    if (code === null) expect(end).toBe('done');
    else expect(end).toMatchObject({ code });
  });

  it.each(['while it drains', 'from a plug-in'] as const)(
    'are ended at once when a replica is closed again %s',
    closesAgain,
  );

  it.each([
    ['a storage', fine, never],
    ['a transport', never, fine],
    ['both', never, never],
  ] as const)('that hang do not hold up a start that failed: %s', async (_, stop, close) => {
    const { clock, ring } = handClock();
    const transport = Object.assign(memoryNetwork().transport(), { stop });
    const storage = Object.assign(memoryStorage(), { write: failed('broken'), close });
    const machine = { apply: () => 1, snapshot: () => 1, restore: () => undefined };
    const members = { a: 'x', b: 'y' };
    let isOver = false;
    const over = createReplica({ id: 'a', members, machine, protocol: raft(), clock, transport, storage })
      .catch((error: unknown) => error)
      .finally(() => (isOver = true));
    for (let turn = 0; turn < 1000 && !isOver; turn++) {
      ring();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(isOver).toBe(true);
    expect(await over).toMatchObject({ code: 'ERR_STORAGE_FAILED', message: /broken/ });
  });
});

describe('a leader whose transfer is under way', () => {
  it.each([
    ['raft', 'given up', raft],
    ['raft', 20, raft],
    ['raft', 1_000_000, raft],
    ['multipaxos', 'given up', multipaxos],
    ['multipaxos', 20, multipaxos],
    ['multipaxos', 1_000_000, multipaxos],
  ] as const)('hands over when it closes: %s, the transfer ends: %s', { timeout: 20_000 }, (_, end, protocol) =>
    closesDuringTransfer(protocol as typeof raft, end),
  );
});
