/**
 * The loops of the processes of a paced run. A machine works in slices; what comes to its process meanwhile waits for
 * the end of the slice, and is then handled in the order in which it came.
 */

import type { Milliseconds } from '../../core/protocol.js';
import type { Agenda } from './agenda.js';
import { SLICE } from './timing-assumption.js';

interface Loop {
  /** The machine works between these times. */
  since: Milliseconds;
  until: Milliseconds;
  waiting: (() => void)[];
}

export class Loops {
  /** How often something had to wait. */
  held = 0;
  private readonly loops: readonly Loop[];
  private readonly agenda: Agenda<() => void>;

  constructor(size: number, agenda: Agenda<() => void>) {
    this.agenda = agenda;
    this.loops = Array.from({ length: size }, () => ({ since: 0, until: 0, waiting: [] }));
  }

  /** The machine works for so long from now on. Returns the time at which it is done. */
  work(now: Milliseconds, place: number, time: Milliseconds): Milliseconds {
    const loop = this.loops[place] as Loop;
    loop.since = now;
    loop.until = now + Math.ceil(time);
    return loop.until;
  }

  /** When what comes at this time is handled: then, or at the end of the slice. */
  inputAt(at: Milliseconds, place: number): Milliseconds {
    const { since, until } = this.loops[place] as Loop;
    const slices = Math.max(1, Math.ceil((at - since) / SLICE));
    return at >= until ? at : Math.min(until, since + slices * SLICE);
  }

  /** Does it now, or at the end of the slice. */
  enter(now: Milliseconds, place: number, task: () => void): void {
    const loop = this.loops[place] as Loop;
    const gap = this.inputAt(now, place);
    if (gap <= now && loop.waiting.length === 0) return task();
    this.held += 1;
    loop.waiting.push(task);
    if (loop.waiting.length > 1) return;
    this.agenda.add(gap, () => {
      const due = loop.waiting;
      loop.waiting = [];
      for (const each of due) each();
    });
  }

  /** The process is gone, and its machine with it. What waited finds nobody. */
  crash(place: number): void {
    const loop = this.loops[place] as Loop;
    loop.until = loop.since;
  }
}
