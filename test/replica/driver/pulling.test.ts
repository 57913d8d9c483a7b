/** A pull, by itself: what is asked of whom, and what becomes of the answers. */

import { describe, expect, it } from 'vitest';
import {
  asksLittle,
  asksMuch,
  asksOnce,
  blamesItself,
  keepsTwiceAsMuch,
  outrunAfterwards,
  outrunIsDoubled,
  pullOver,
  resumesOnTheSame,
  startsAgain,
} from './pulling-cases.js';
import {
  holdsOn,
  leavesWhoRefuses,
  pausesInVain,
  waitsForItsDisk,
  waitsForASlowOne,
  waitsNotForEver,
  waitsOnceForASilentOne,
  waitsThoughOneRefuses,
} from './pulling-waits.js';

describe('a pull that an earlier start began', () => {
  it('goes on with the same snapshot, whoever has it', resumesOnTheSame);
  it('blames nobody for what was stored before', blamesItself);
  it('begins anew when nobody has it', startsAgain);
});

describe('what a pull asks for at once', () => {
  it.each([
    ['5 kB/s', { rate: 5, latency: 5 }, 300_000],
    ['100 kB/s', { rate: 100, latency: 5 }, 2_000_000],
    ['400 ms each way', { rate: 10_000, latency: 400 }, 5_000_000],
    ['1 kB/s and a second each way', { rate: 1, latency: 1000 }, 60_000],
    ['100 kB/s, of which a tenth is lost', { rate: 100, latency: 20, loses: 10 }, 1_000_000],
  ])('over %s is asked for once, and the pull ends', (_, link, bytes) => asksOnce(link, bytes));

  it('is little over a slow link', asksLittle);
  it('is much over a quick one', asksMuch);

  it('makes good what is lost without waiting for each', () => {
    const bytes = 2_000_000;
    const { took } = pullOver({ rate: 1000, latency: 20, loses: 10 }, bytes);
    expect(took).toBeLessThan(20 * (bytes / 1000));
  });
});

describe('while nothing comes', () => {
  it('the log behind the snapshot is asked for on and on', holdsOn);
  it('because of the own disk, nobody is blamed', waitsForItsDisk);
  it('from one that is down, the next one is asked', waitsOnceForASilentOne);
  it('from one that has it no longer, the next one is asked at once', leavesWhoRefuses);
  it('from one that is slow, it is heard late', waitsForASlowOne);
  it('from one that is slow, it is heard late, though the other one has none', waitsThoughOneRefuses);
  it('from one that is down, and the other one has none, the wait has an end', waitsNotForEver);
  it('since nobody has it, all are asked again after pauses', pausesInVain);
});

describe('a pull that is outrun', () => {
  it('is told, and the next one says so: at most three doublings', outrunIsDoubled);
  it('is one behind which the log is gone, too', outrunAfterwards);
  it('lets the leader keep twice as much for the next one', keepsTwiceAsMuch);
});
