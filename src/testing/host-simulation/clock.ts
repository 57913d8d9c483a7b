/**
 * Virtual time: one queue of events in order, and processes with clocks of their own. A process can be at work (its
 * clock runs ahead, and what comes meanwhile waits until true time has caught up), stalled (its timers and what arrives
 * wait, as in a blocked event loop), suspended (its clock stands still as well, as in a machine that sleeps), and
 * killed (nothing of it ever happens again).
 *
 * Between two events microtasks get a fixed number of turns. Nothing real stands behind any promise here, so what runs
 * in them is the same for the same seed.
 */

import type { Cancellable, Clock } from '../../replica/clock.js';
import type { Dice } from '../random.js';
import type { Trace } from './trace.js';

/** How many promises may follow from each other before the next event: more than the longest chain of the host. */
const TURNS = 12;
/** What wall clocks show when the simulation begins. */
const EPOCH = 1_700_000_000_000;

/** A timer that is due in less is due: clocks are sums of fractions. */
const EARLY = 1e-6;
/** Timers wait at least this long, in milliseconds, so that rounding can never stop time. */
const SHORTEST = 1e-3;

/** `soon`: after everything that is queued already. */
export type ScheduledKind = 'timer' | 'soon' | 'input';

interface ScheduledEvent {
  at: number;
  order: number;
  readonly kind: ScheduledKind;
  /** Whose event loop runs it; `null` for the world. */
  readonly process: SimulatedProcess | null;
  /** On the process's own clock, of a timer. */
  readonly due: number;
  cancelled: boolean;
  run(): void;
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** The event loop of one start of one replica, and its monotonic clock. */
export class SimulatedProcess {
  readonly name: string;
  alive = true;
  stalled = false;
  /** Timers and deferred calls that have not run and were not cancelled: a closed replica leaves none. */
  pending = 0;
  readonly waiting: ScheduledEvent[] = [];
  /** How often it was stalled: nothing that it set a time for need come in time then. */
  stalls = 0;
  /** The longest time for which it let no input in, by its own clock. */
  longest = 0;
  /** True time until which it is at work. */
  private free = 0;
  private begun = 0;
  private readonly schedule: Schedule;
  /** How much faster than true time its clock runs. */
  rate: number;
  private base: number;
  private since: number;
  private suspended = false;
  /** By how much its wall clock is ahead of what it should show, at each true time. */
  wrong: (time: number) => number = () => 0;

  constructor(schedule: Schedule, name: string, zero: number, rate: number) {
    this.schedule = schedule;
    this.name = name;
    this.base = zero;
    this.rate = rate;
    this.since = schedule.now;
  }

  get now(): number {
    return this.suspended ? this.base : this.base + (this.caughtUp - this.since) * this.rate;
  }

  /** True time as this process lives it: ahead of the world's while it works. */
  private get caughtUp(): number {
    return Math.max(this.schedule.now, this.free);
  }

  private rebase(): void {
    this.base = this.now;
    this.since = this.caughtUp;
  }

  /** True milliseconds for which it is still at work; 0 if it is not. */
  get lag(): number {
    const lag = this.free - this.schedule.now;
    return lag > EARLY ? lag : 0;
  }

  /** What runs in it now takes so many true milliseconds more. */
  work(milliseconds: number): void {
    if (milliseconds <= 0 || !this.alive) return;
    const { schedule, lag } = this;
    if (lag === 0) this.begun = schedule.now;
    this.free = this.caughtUp + milliseconds;
    this.longest = Math.max(this.longest, (this.free - this.begun) * this.rate);
    if (lag === 0) this.wakeLater();
  }

  /** When the work is done, what came meanwhile gets its turn before what was put off. */
  private wakeLater(): void {
    this.schedule.after(this.lag, () => {
      if (this.lag > 0) return this.wakeLater();
      if (this.alive && !this.stalled) this.release('input', null);
    });
  }

  /** From now on its clock runs so much faster than true time. */
  setRate(rate: number): void {
    this.rebase();
    this.rate = rate;
    this.schedule.retime(this);
  }

  /** Its loop stands still, and with `suspended` its clock as well. */
  stall(suspended: boolean): void {
    this.rebase();
    this.stalled = true;
    this.suspended = suspended;
    this.stalls += 1;
  }

  /** What has waited happens now: timers first, input first, or in any order. */
  resume(order: 'timers' | 'input' | 'any', dice: Dice): void {
    this.rebase();
    this.stalled = false;
    this.suspended = false;
    this.release(order, dice);
  }

  private release(order: 'timers' | 'input' | 'any', dice: Dice | null): void {
    const all = this.waiting.splice(0).filter((event) => !event.cancelled);
    const of = (kind: ScheduledKind): ScheduledEvent[] => all.filter((event) => event.kind === kind);
    const timers = of('timer').sort((a, b) => a.due - b.due);
    const input = of('input');
    const mixed = dice !== null && order === 'any' ? dice.shuffle([...timers, ...input]) : [];
    const sorted = order === 'timers' ? [...timers, ...input] : order === 'input' ? [...input, ...timers] : mixed;
    for (const event of [...sorted, ...of('soon')]) this.schedule.again(event);
  }

  kill(): void {
    this.alive = false;
    this.stalled = false;
    this.pending = 0;
    this.waiting.length = 0;
  }

  /** Something from outside reaches this process now, or when it is no longer stalled. */
  input(run: () => void): void {
    if (this.alive) this.schedule.add('input', this, 0, 0, run);
  }

  /** What runs in it waits for so many true milliseconds; without end, if it is killed meanwhile. */
  pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.schedule.after(milliseconds, () => this.input(resolve)));
  }

  /** True milliseconds until its clock shows `due`. */
  until(due: number): number {
    return this.lag + Math.max(SHORTEST, (due - this.now) / this.rate);
  }

  readonly clock: Clock = {
    now: () => this.now,
    wall: () => EPOCH + this.caughtUp + this.wrong(this.caughtUp),
    after: (delay, callback) => this.later('timer', this.now + Math.max(0, delay), callback),
    soon: (callback) => this.later('soon', 0, callback),
  };

  private later(kind: ScheduledKind, due: number, callback: () => void): Cancellable {
    if (!this.alive) return { cancel: () => undefined };
    this.pending += 1;
    const delay = kind === 'soon' ? 0 : this.until(due);
    const run = (): void => {
      this.pending -= 1;
      event.cancelled = true;
      callback();
    };
    const event = this.schedule.add(kind, this, delay, due, run);
    return {
      cancel: () => {
        if (event.cancelled) return;
        event.cancelled = true;
        if (this.alive) this.pending -= 1;
      },
    };
  }
}

export class Schedule {
  private readonly trace: Trace;
  private readonly heap: ScheduledEvent[] = [];
  private time = 0;
  private orders = 0;

  constructor(trace: Trace) {
    this.trace = trace;
  }

  /** True time, in milliseconds. */
  get now(): number {
    return this.time;
  }

  /** In so many true milliseconds, whatever becomes of any process. */
  after(delay: number, run: () => void): void {
    this.add('input', null, delay, 0, run);
  }

  add(
    kind: ScheduledKind,
    process: SimulatedProcess | null,
    delay: number,
    due: number,
    run: () => void,
  ): ScheduledEvent {
    const event: ScheduledEvent = {
      at: this.time + delay,
      order: ++this.orders,
      kind,
      process,
      due,
      cancelled: false,
      run,
    };
    this.push(event);
    return event;
  }

  /** Puts back an event whose process could not run it. */
  again(event: ScheduledEvent): void {
    event.at = event.kind === 'timer' && this.isEarly(event) ? this.time + this.wait(event) : this.time;
    event.order = ++this.orders;
    this.push(event);
  }

  /** The clock of this process goes faster or slower than when its timers were set. */
  retime(process: SimulatedProcess): void {
    for (const event of this.heap) {
      if (event.process === process && event.kind === 'timer') event.at = this.time + process.until(event.due);
    }
    this.heap.sort((a, b) => (isBefore(a, b) ? -1 : 1)); // a sorted list is a heap
  }

  private isEarly({ kind, process, due }: ScheduledEvent): boolean {
    return kind === 'timer' && process !== null && process.now < due - EARLY;
  }

  private wait({ process, due }: ScheduledEvent): number {
    return process === null ? 0 : process.until(due);
  }

  /**
   * Runs events until `done` holds, or `limit` true milliseconds have passed. Gives whether it holds.
   * @throws HostSimulationFailure as soon as a rule is broken
   */
  async run(done: () => boolean, limit: number): Promise<boolean> {
    const end = this.time + limit;
    await turns();
    for (;;) {
      this.trace.check();
      if (done()) return true;
      const first = this.heap[0];
      if (first === undefined || first.at > end) break;
      if (this.happen(this.pop())) await turns();
    }
    this.time = end;
    this.trace.now = end;
    return done();
  }

  /** Lets this many true milliseconds pass. */
  async pass(milliseconds: number): Promise<void> {
    await this.run(() => false, milliseconds);
  }

  private happen(event: ScheduledEvent): boolean {
    const { process } = event;
    this.time = Math.max(this.time, event.at);
    this.trace.now = this.time;
    if (event.cancelled || (process !== null && !process.alive)) return false;
    if (process !== null && (process.stalled || process.lag > 0)) {
      process.waiting.push(event);
      return false;
    }
    if (this.isEarly(event)) {
      this.again(event);
      return false;
    }
    this.trace.step += 1;
    event.run();
    return true;
  }

  private push(event: ScheduledEvent): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as ScheduledEvent, event)) break;
      heap[at] = heap[parent] as ScheduledEvent;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): ScheduledEvent {
    const { heap } = this;
    const first = heap[0] as ScheduledEvent;
    const last = heap.pop() as ScheduledEvent;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as ScheduledEvent, heap[child] as ScheduledEvent))
        child += 1;
      if (isBefore(last, heap[child] as ScheduledEvent)) break;
      heap[at] = heap[child] as ScheduledEvent;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** Lets promises run that follow from each other. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await null;
}
