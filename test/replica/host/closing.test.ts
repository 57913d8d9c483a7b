/** The end of a storage that comes, fails, or does not come. */

import { describe, expect, it } from 'vitest';
import type { Clock } from 'quorate';
import { endedInTime } from '../../../src/replica/host/closing.js';

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
    const closed = endedInTime(clock, 'storage', new Promise(() => undefined));
    ring();
    await expect(closed).rejects.toMatchObject({
      code: 'ERR_STORAGE_FAILED',
      message: /the storage has not closed within 5000 ms/,
    });
    const hand = handClock();
    const stopped = endedInTime(hand.clock, 'transport', new Promise(() => undefined));
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
