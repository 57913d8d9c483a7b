/** What the host tells of its clocks, before every event: that it slept, and by how much the wall clock is ahead. */

import type { Clock } from '../clock.js';
import type { DriverEvent, DriverOptions } from '../driver/state.js';
import { sleepWatchFor, type SleepWatch } from './sleep-watch.js';
import { WallWatch } from './wall-watch.js';

export class ClockWatch {
  /** Only where members grant. */
  private readonly sleepWatch: SleepWatch | null;
  private readonly wallWatch: WallWatch;

  constructor(options: DriverOptions, clock: Clock) {
    this.sleepWatch = sleepWatchFor(options, clock);
    this.wallWatch = new WallWatch(clock);
  }

  /** For the options of a start. */
  atStart(now: number): Pick<DriverOptions, 'now' | 'ahead'> {
    const ahead = this.wallWatch.news(now);
    return ahead === null ? { now } : { now, ahead };
  }

  /** Adds what is new to the events that are due. */
  tell(now: number, events: DriverEvent[]): void {
    if (this.sleepWatch?.hasSlept(now) === true) events.push({ kind: 'resumed', now });
    const ahead = this.wallWatch.news(now);
    if (ahead !== null) events.push({ kind: 'wallClock', now, ahead });
  }
}
