/** The watch for a sleep of the host: what of a sleep goes unnoticed, and what is taken for one. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SleepWatch } from '../../../src/replica/host/sleep-watch.js';

const LEASE_READS = 900;
const MOST = LEASE_READS / 20;

/** Two clocks by hand. */
class Clocks {
  now = 5000;
  private ahead = 1.7e12;
  readonly watch: SleepWatch;

  constructor() {
    const never = { cancel: () => undefined };
    const clock = { now: () => this.now, wall: () => this.now + this.ahead, after: () => never, soon: () => never };
    this.watch = new SleepWatch(clock, LEASE_READS);
    expect(this.slept).toBe(false);
  }

  get slept(): boolean {
    return this.watch.hasSlept(this.now);
  }

  /** Time goes by, and so much more on the wall clock. */
  pass(time: number, asleep = 0): boolean {
    this.now += time;
    this.ahead += asleep;
    return this.slept;
  }
}

describe('a sleep of the host', () => {
  it('is noticed when it is long enough to matter, once', () => {
    const clocks = new Clocks();
    expect(clocks.pass(10, MOST)).toBe(true);
    expect(clocks.pass(10)).toBe(false);
  });

  it('is not seen in a wall clock that runs 1 % fast, or is set back', () => {
    const clocks = new Clocks();
    for (let at = 0; at < 10_000; at++) expect(clocks.pass(10, 0.1)).toBe(false);
    expect(clocks.pass(10, -3_600_000)).toBe(false);
    expect(clocks.pass(10, MOST)).toBe(true);
  });

  it('of whatever pieces: within the length of a grant at most a twentieth of it goes unnoticed', () => {
    const piece = fc.record({ time: fc.integer({ min: 0, max: 500 }), asleep: fc.integer({ min: 0, max: 2 * MOST }) });
    const pieces = fc.array(piece, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(pieces, (all) => {
        const clocks = new Clocks();
        let unnoticed: { readonly at: number; readonly asleep: number }[] = [];
        for (const { time, asleep } of all) {
          if (clocks.pass(time, asleep)) unnoticed = [];
          else unnoticed.push({ at: clocks.now, asleep });
          const recent = unnoticed.filter(({ at }) => at > clocks.now - LEASE_READS);
          expect(recent.reduce((sum, each) => sum + each.asleep, 0)).toBeLessThanOrEqual(MOST);
        }
      }),
    );
  });

  it('is assumed by who cannot read the wall clock, and once when it can be read again', () => {
    const fail = (): never => {
      throw new Error('no wall clock');
    };
    const never = { cancel: () => undefined };
    const shown: readonly (() => number)[] = [() => 7, fail, fail, () => NaN, () => NaN, () => 9, () => 9];
    let at = 0;
    const wall = (): number => (shown[at++] as () => number)();
    const watch = new SleepWatch({ now: () => 0, wall, after: () => never, soon: () => never }, LEASE_READS);
    expect(shown.map(() => watch.hasSlept(1))).toEqual([false, true, true, true, true, true, false]);
  });
});
