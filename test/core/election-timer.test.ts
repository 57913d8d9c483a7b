/** law/time-is-data: a pause of the host is forgiven once; the next deadline expires, however late its tick. */

import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { newElectionTimer, withReset, electionTimerAt, type ElectionTimer } from '../../src/core/election-timer.js';
import { nextSeed } from '../../src/core/random.js';
import { frozen, timing } from '../values.js';

const options = { timing, priority: 100, higherPriorities: 0 };

const fresh: ElectionTimer = frozen({
  startedAt: 0,
  deadline: 1500,
  timeout: 1500,
  forgiven: false,
  spread: 1000,
  deferred: false,
  quickUntil: 0,
});
const forgiven: ElectionTimer = frozen({ ...fresh, forgiven: true });
const seed = 42;

describe('a tick that was due', () => {
  it.each([
    // what is listened to, due, now: a tick is late beyond half the smallest election timeout (500)
    ['early', fresh, 1500, 1499, 'waiting'],
    ['on time', fresh, 1500, 1500, 'expired'],
    ['a little late', fresh, 1500, 2000, 'expired'],
    ['late', fresh, 1500, 2001, 'paused'],
    ['very late', fresh, 1500, 90_000, 'paused'],
    ['late, forgiven before', forgiven, 1500, 2001, 'expired'],
    ['very late, forgiven before', forgiven, 1500, 90_000, 'expired'],
    ['early, forgiven before', forgiven, 1500, 1499, 'waiting'],
    ['for a heartbeat, on time', fresh, 150, 150, 'waiting'],
    ['for a heartbeat, a little late', fresh, 150, 650, 'waiting'],
    ['for a heartbeat, late, before the deadline', fresh, 150, 651, 'paused'],
    ['for a heartbeat, late, forgiven before', forgiven, 150, 651, 'waiting'],
    ['for nothing that ends', { ...fresh, deadline: Infinity }, 150, 300, 'waiting'],
  ] as const)('%s', (_, electionTimer, due, now, expected) => {
    const verdict = electionTimerAt(electionTimer, seed, due, now, options);
    if (expected !== 'paused') return void expect(verdict).toBe(expected);
    expect(verdict).toMatchObject({ seed: nextSeed(seed), paused: { forgiven: true } });
    const { paused } = verdict as { paused: ElectionTimer };
    expect(paused.deadline).toBe(now + paused.timeout);
  });
});

it('draws within the bounds, and keeps its timeout when it is reset', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(1e6), fc.nat(1e6), (from, now, later) => {
      const electionTimer = newElectionTimer(from, now, options);
      expect(electionTimer.timeout).toBeGreaterThanOrEqual(timing.electionMin);
      expect(electionTimer.timeout).toBeLessThanOrEqual(timing.electionMax);
      expect(electionTimer).toEqual({
        startedAt: now,
        deadline: now + electionTimer.timeout,
        timeout: electionTimer.timeout,
        forgiven: false,
        spread: timing.electionMax - timing.electionMin,
        deferred: false,
        quickUntil: 0,
      });
      expect(withReset({ ...electionTimer, forgiven: true, deferred: true }, later)).toEqual({
        ...electionTimer,
        startedAt: later,
        deadline: later + electionTimer.timeout,
      });
    }),
  );
});

it('expires at the second deadline on a host that is always late', () => {
  let electionTimer = newElectionTimer(seed, 0, options);
  let now = 0;
  const verdicts: string[] = [];
  for (let turn = 0; turn < 2; turn++) {
    now = electionTimer.deadline + 10_000;
    const verdict = electionTimerAt(electionTimer, seed, electionTimer.deadline, now, options);
    verdicts.push(typeof verdict === 'string' ? verdict : 'paused');
    if (typeof verdict !== 'string') electionTimer = verdict.paused;
  }
  expect(verdicts).toEqual(['paused', 'expired']);
});

it('liveness/lower-priority-waits: half a spread longer for each higher priority, and much longer with priority 0', () => {
  const { timeout } = newElectionTimer(seed, 0, options);
  const timeoutOf = (priority: number, higherPriorities: number): number =>
    newElectionTimer(seed, 0, { timing, priority, higherPriorities }).timeout;
  expect(timeoutOf(50, 1) - timeout).toBe((timing.electionMax - timing.electionMin) / 2);
  expect(timeoutOf(50, 2) - timeout).toBe(timing.electionMax - timing.electionMin);
  expect(timeoutOf(0, 1) - timeoutOf(50, 1)).toBe(4 * timing.electionMax);
  expect(timeoutOf(0, 0)).toBe(timeout);
});
