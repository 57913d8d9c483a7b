/** What the replicas of a run have under way: their ticks, writes, loads and machines. */

import type { Milliseconds } from '../../core/protocol.js';
import type { Dice } from '../random.js';
import { isWritable } from '../world/state.js';
import { dueAt } from '../world/world.js';
import type { Agenda } from '../world/agenda.js';
import type { Span } from './pace.js';
import type { SimulatedRun } from './run.js';

/** What is scheduled. */
interface Busy {
  io: boolean;
  apply: boolean;
  load: boolean;
  snapshot: boolean;
  restore: boolean;
}

export class Work {
  private readonly run: SimulatedRun;
  private readonly agenda: Agenda<() => void>;
  private readonly io: Dice;
  private readonly tickAt: number[];
  private readonly busy: Busy[];

  constructor(run: SimulatedRun, agenda: Agenda<() => void>, io: Dice) {
    this.run = run;
    this.agenda = agenda;
    this.io = io;
    this.tickAt = run.places().map(() => Infinity);
    this.busy = run.places().map(() => ({ io: false, apply: false, load: false, snapshot: false, restore: false }));
  }

  /** A replica took part in something: what it has under way by now is scheduled. */
  touched(place: number): void {
    const slot = this.run.turn.slot(place);
    const due = dueAt(this.run.turn.rules, slot, this.run.now);
    if (due < (this.tickAt[place] as number)) this.scheduleTick(place, due);
    const busy = this.busy[place] as Busy;
    if (isWritable(slot) && !busy.io) {
      busy.io = true;
      this.agenda.add(this.run.now + this.diskTime(this.run.weather.disk), () => this.written(place));
    }
    if (slot.applying !== null && !busy.apply) {
      busy.apply = true;
      const { now } = this.run.turn;
      this.agenda.add(this.run.traffic.apply(now, place, slot.applying.length, this.run.weather.apply), () => {
        busy.apply = false;
        this.own('applied', place);
      });
    }
    if (slot.taking !== null && !busy.snapshot) {
      busy.snapshot = true;
      this.agenda.add(this.run.now + 3 * this.diskTime(this.run.weather.disk), () => this.snapshotted(place));
    }
    if (slot.restoring !== null && !busy.restore) {
      busy.restore = true;
      this.agenda.add(this.run.now + 3 * this.diskTime(this.run.weather.load), () => {
        busy.restore = false;
        this.own('restored', place);
      });
    }
    if (slot.loads.length > 0 && !busy.load) {
      busy.load = true;
      this.agenda.add(this.run.now + this.diskTime(this.run.weather.load), () => {
        busy.load = false;
        this.run.traffic.enter(this.run.now, place, () => this.own('loaded', place));
      });
    }
  }

  /** Carries out work of a replica. If it is paused, the work is scheduled again when it resumes. */
  private own(kind: 'applied' | 'loaded' | 'written' | 'sync' | 'tick' | 'restored', place: number): void {
    this.run.act({ kind, at: this.run.now, replica: this.run.id(place) });
  }

  private scheduleTick(place: number, due: Milliseconds): void {
    this.tickAt[place] = due;
    if (due === Infinity) return;
    const tick = (): void => {
      if (this.tickAt[place] !== due) return;
      const actual = dueAt(this.run.turn.rules, this.run.turn.slot(place), this.run.now);
      if (actual > this.run.now) return this.scheduleTick(place, actual);
      this.tickAt[place] = Infinity;
      this.own('tick', place);
      this.touched(place);
    };
    this.agenda.add(due, () => this.run.traffic.enter(this.run.now, place, tick));
  }

  private diskTime(disk: Span): Milliseconds {
    const { faults } = this.run.plan;
    const time = this.io.between(disk.min, disk.max);
    if (!this.run.stormy || !this.io.chance(faults.slowDisk ?? 0)) return time;
    this.run.fault('slowDisk');
    return time + this.io.between(20, 500);
  }

  private snapshotted(place: number): void {
    (this.busy[place] as Busy).snapshot = false;
    const fails = this.run.stormy && this.io.chance(0.1);
    this.run.act({ kind: 'snapshotted', at: this.run.now, replica: this.run.id(place), fails });
  }

  private written(place: number): void {
    this.run.traffic.enter(this.run.now, place, () => this.write(place));
  }

  private write(place: number): void {
    const busy = this.busy[place] as { io: boolean };
    busy.io = false;
    const slot = this.run.turn.slot(place);
    if (!isWritable(slot)) return;
    if (this.run.stormy && !slot.paused && this.io.chance(this.run.plan.faults.crashAtPersist ?? 0)) {
      this.run.fault('crashAtPersist');
      return this.run.crash(place, this.io.chance(0.5));
    }
    if (!slot.durable && this.io.chance(0.15)) {
      // The write is durable, and the process is not told yet: a crash now keeps a write that nobody has reported.
      busy.io = true;
      this.own('sync', place);
      return this.agenda.add(this.run.now + this.io.between(0, 10), () => this.write(place));
    }
    if (!slot.paused) return this.own('written', place);
    if (!slot.durable) this.own('sync', place);
  }
}
