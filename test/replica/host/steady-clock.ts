/** A clock that does not pass while the process is not run: what a test waits for does not depend on the machine's load. */

import type { Cancellable, Clock } from '../../../src/replica/clock.js';
import { systemClock } from '../../../src/replica/clock.js';

/** The most that passes between two looks at it, and how often it is looked at, in milliseconds. */
const STEP = 2;
const LOOK = 1;

/** One clock for all replicas of a test. */
export function steadyClock(): Clock {
  const own = systemClock();
  let seen = own.now();
  let shown = 0;
  const now = (): number => {
    const real = own.now();
    shown += Math.min(real - seen, STEP);
    seen = real;
    return shown;
  };
  const after = (delay: number, callback: () => void): Cancellable => {
    const due = now() + delay;
    let timer = own.after(LOOK, look);
    function look(): void {
      if (now() >= due) callback();
      else timer = own.after(LOOK, look);
    }
    return { cancel: () => timer.cancel() };
  };
  return { now, wall: () => 1e12 + now(), after, soon: own.soon };
}
