/** What time and weight do to a run: links that carry so much at once, machines that hold up their processes. */

import type { Lane, Milliseconds } from '../../core/protocol.js';
import type { Flight } from '../world/state.js';
import type { Turn } from '../world/turn.js';
import type { Agenda } from '../world/agenda.js';
import { Loops } from '../world/loops.js';
import type { Pace } from './pace.js';
import { bytesOnWire, Wires, type OnItsWay } from '../world/wires.js';

/** Without a pace everything is done at once. */
export class Traffic {
  private readonly size: number;
  private readonly cost: Milliseconds;
  private readonly wires: Wires | null;
  private readonly loops: Loops | null;

  constructor(size: number, agenda: Agenda<() => void>, pace: Pace | null) {
    this.size = size;
    this.cost = pace?.cost ?? 0;
    this.wires = pace === null ? null : new Wires(size * size, agenda, pace.bandwidth);
    this.loops = pace === null ? null : new Loops(size, agenda);
  }

  get passed(): number {
    return this.wires?.passed ?? 0;
  }

  get held(): number {
    return this.loops?.held ?? 0;
  }

  /** A message leaves its replica. */
  send({ now, rules }: Turn, from: number, to: number, { lane, payload }: Flight, done: Omit<OnItsWay, 'left'>): void {
    if (this.wires === null) return done.sent();
    this.wires.put(now, from * this.size + to, lane, bytesOnWire(rules, payload), done);
  }

  /** Something comes to a process, whose machine may be at work. */
  enter(now: Milliseconds, place: number, task: () => void): void {
    if (this.loops === null) return task();
    this.loops.enter(now, place, task);
  }

  /** The machine begins. Returns the time at which it is done. @param time without a pace */
  apply(now: Milliseconds, place: number, commands: number, time: Milliseconds): Milliseconds {
    return this.loops === null ? now + time : this.loops.work(now, place, commands * this.cost);
  }

  /** Tells when a lane of a link is full, and when it has room again. */
  onFull(told: (from: number, to: number, lane: Lane, isFull: boolean) => void): void {
    const { size, wires } = this;
    if (wires === null) return;
    wires.onFull = (link, lane, isFull) => told(Math.floor(link / size), link % size, lane, isFull);
  }

  /** The connection of this lane is lost. */
  lose(from: number, to: number, lane: Lane): void {
    this.wires?.lose(from * this.size + to, lane);
  }

  crash(place: number): void {
    this.loops?.crash(place);
    const links = Array.from({ length: this.size }, (_, to) => place * this.size + to);
    this.wires?.crash(links);
  }
}
