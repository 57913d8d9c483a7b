/**
 * The loop of one process. Its machine works in slices; what comes meanwhile waits for the end of the slice, and is then
 * handled in the order in which it came.
 */

import type { OracleAgenda } from './agenda.js';

/** Milliseconds for which a machine works before the loop lets input in. */
export const SLICE = 15;

export class OracleLoop {
  private readonly agenda: OracleAgenda;
  private waiting: (() => void)[] = [];
  /** The machine works between these times. */
  private since = 0;
  private until = 0;

  constructor(agenda: OracleAgenda) {
    this.agenda = agenda;
  }

  /** When what comes now is handled. */
  private get gap(): number {
    const { since, until, agenda } = this;
    if (agenda.now >= until) return agenda.now;
    const slices = Math.max(1, Math.ceil((agenda.now - since) / SLICE));
    return Math.min(until, since + slices * SLICE);
  }

  /** Gives the machine work, behind what it has. Returns when it will be done. */
  work(time: number): number {
    const { now } = this.agenda;
    if (now >= this.until) this.since = this.until = now;
    return (this.until += time);
  }

  enter(run: () => void): void {
    const { agenda, gap, waiting } = this;
    if (gap === agenda.now && waiting.length === 0) return run();
    waiting.push(run);
    if (waiting.length === 1) agenda.schedule(gap - agenda.now, () => this.flush());
  }

  flush(): void {
    const due = this.waiting;
    this.waiting = [];
    for (const run of due) run();
  }

  /** The process is gone, with what waited. */
  reset(): void {
    this.waiting = [];
    this.since = this.until = 0;
  }
}
