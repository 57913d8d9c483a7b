/**
 * Random schedules over the shipped driver and a shipped core: loss, repetition, reordering, crashes between any two
 * events, a lost disk; then everything comes to rest, and what was promised to callers is checked against what took
 * effect. As long as the rig of `quorate/testing` is not a witness of its own kind, this is the driver's.
 */

import { majority } from '../../src/core/quorum.js';
import type { AnyProtocol } from '../support/host.js';
import { demand } from '../support/checks.js';
import { Dice } from '../support/schedule.js';
import { World, type Process } from '../replica/world.js';

const MINUTE = 60_000;

export interface DriverSchedule {
  readonly protocol: AnyProtocol;
  readonly size: number;
  readonly seed: number;
  readonly length: number;
}

interface Asked {
  readonly process: Process;
  readonly call: number;
  /** The command; empty for a read. */
  readonly name: string;
  /** Of a read: the highest index acknowledged to anybody when it was asked. */
  readonly floor: number;
  seen: boolean;
}

class Run {
  readonly world: World;
  readonly dice: Dice;
  readonly asked: Asked[] = [];
  /** Commands in the order in which they took effect, wherever that was seen first. */
  private readonly ledger: string[] = [];
  private readonly compared = new Map<Process, number>();
  private readonly acknowledged = new Set<string>();
  private readonly led = new Map<number, Process>();
  private readonly leading = new Set<Process>();
  private floor = 0;
  private topTerm = 0;
  private wiped = '';
  private count = 0;
  private readonly wipes: boolean;

  constructor({ protocol, size, seed }: DriverSchedule) {
    this.dice = new Dice(seed * 104_729);
    this.wipes = this.dice.roll(2) === 0 && size > 2;
    this.world = new World(protocol, size, { requestWindow: 2 + this.dice.roll(8) });
    this.world.startAll();
  }

  get processes(): Process[] {
    return [...this.world.running.values()];
  }

  /** Whatever has happened since it was last called. */
  check(): void {
    for (const process of this.processes) {
      const { phase, fault, term } = process.state;
      demand(phase !== 'halted', 'law 4: nobody halts on a sound disk', () => fault);
      const lost = process.id === this.wiped && phase === 'running';
      demand(!lost, 'R16: a replica that lost its disk takes no part under its old name');
      this.topTerm = Math.max(this.topTerm, term);
      this.compare(process);
    }
    for (const each of this.asked) if (!each.seen && each.process.ended.has(each.call)) this.end(each);
    for (const process of this.processes) this.lead(process);
  }

  /** R4, E1: the same commands in the same order everywhere, none twice. */
  private compare(process: Process): void {
    const { applied } = process;
    let at = this.compared.get(process) ?? 0;
    for (; at < applied.length; at++) {
      const name = applied[at] as string;
      const known = this.ledger[at];
      demand(known === undefined || known === name, 'R4: state machine safety', () => [process.id, at, known, name]);
      if (known !== undefined) continue;
      demand(!this.ledger.includes(name), 'E1: no command takes effect twice', () => [process.id, at, name]);
      this.ledger.push(name);
    }
    this.compared.set(process, at);
  }

  private end(each: Asked): void {
    each.seen = true;
    const ended = each.process.ended.get(each.call);
    if (ended?.result !== undefined) {
      const place = this.ledger.indexOf(each.name) + 1;
      demand(place > 0, 'an acknowledged command has taken effect', () => each.name);
      demand(ended.result.value === place, 'E2: the answer is the command’s own', () => [each.name, place, ended]);
      if (!this.acknowledged.has(each.name)) this.checkDurable(ended.index ?? 0);
      this.acknowledged.add(each.name);
      this.floor = Math.max(this.floor, ended.index ?? 0);
    }
    const fresh = ended?.served === undefined || ended.served >= each.floor;
    demand(fresh, 'H1: a read is linearizable', () => [each.floor, ended]);
  }

  /** R6: what is acknowledged is on the disks of a majority; a disk that was lost since held it, too. */
  private checkDurable(index: number): void {
    const disks = [...this.world.disks].filter(([id]) => id !== this.wiped).map(([, disk]) => disk);
    const records = disks.map(({ entries }) => entries.get(index)?.data);
    const holders = (record: Uint8Array): number => {
      return records.filter((each) => each !== undefined && Buffer.compare(each, record) === 0).length;
    };
    const most = Math.max(...records.map((record) => (record === undefined ? 0 : holders(record))));
    const needed = majority(this.world.disks.size) - (this.wiped === '' ? 0 : 1);
    demand(most >= needed, 'R6: what is acknowledged is durable on a majority', () => [index, most]);
  }

  /** One leads in a term, and has applied whatever was acknowledged before it led. */
  private lead(process: Process): void {
    const { leading, term } = process.state;
    const before = this.leading.has(process);
    if (leading === before) return;
    if (!leading) return void this.leading.delete(process);
    this.leading.add(process);
    const known = this.led.get(term);
    demand(known === undefined || known === process, 'R1: election safety', () => [term, known?.id, process.id]);
    this.led.set(term, process);
    if (term < this.topTerm) return;
    const missing = [...this.acknowledged].find((name) => !process.applied.includes(name));
    demand(missing === undefined, 'a leader has applied what was acknowledged before', () => [process.id, missing]);
  }

  private ask(process: Process): void {
    const deadline = this.world.now + ([400, 3000, 20_000, Infinity][this.dice.roll(4)] as number);
    const read = this.dice.roll(4) === 0;
    const name = read ? '' : String(++this.count);
    const call = read ? this.world.read(process, deadline) : this.world.propose(process, name, deadline);
    this.asked.push({ process, call, name, floor: this.floor, seen: false });
  }

  private crash(process: Process): void {
    if (this.dice.roll(2) === 0) this.world.sync(process);
    this.check();
    this.world.crash(process.id);
    const lose = this.wipes && this.wiped === '' && process.state.phase === 'running' && this.dice.roll(3) === 0;
    if (!lose) return;
    this.wiped = process.id;
    this.world.wipe(process.id);
  }

  private restart(always: boolean): void {
    for (const id of this.world.disks.keys()) {
      if (!this.world.running.has(id) && (always || this.dice.roll(2) === 0)) this.world.start(id);
    }
  }

  /** Something happens. */
  act(): void {
    const { dice, world, processes } = this;
    const process = processes[dice.roll(Math.max(1, processes.length))];
    const flight = dice.roll(Math.max(1, world.flights.length));
    switch (dice.roll(11)) {
      case 0:
      case 1:
        for (let left = process === undefined ? 0 : 1 + dice.roll(4); left > 0; left--) this.ask(process as Process);
        return;
      case 2:
        return dice.roll(3) === 0 ? void world.flights.splice(flight, 1) : undefined;
      case 3:
        return world.deliver(flight, true);
      case 4:
        return process !== undefined && dice.roll(5) === 0 ? this.crash(process) : undefined;
      case 5:
        return this.restart(false);
      case 6:
        return void world.run(dice.roll(400), () => dice.roll(8) === 0);
      case 7:
        return dice.roll(8) === 0 ? void world.run(5_000, () => dice.roll(60) === 0) : undefined;
      default:
        if (process !== undefined && dice.roll(2) === 0) world.sync(process);
        return world.deliver(flight);
    }
  }

  /** Everything is up and nothing is lost any more: all apply the same, and every call ends as it may. */
  rest(): void {
    const { world } = this;
    this.restart(true);
    const sound = (): Process[] => this.processes.filter((each) => each.id !== this.wiped);
    const level = (): boolean => new Set(sound().map((each) => each.state.applied)).size === 1;
    const ended = (): boolean => this.asked.every(({ process, call }) => {
      return world.running.get(process.id) !== process || process.ended.has(call);
    });
    const rested = world.run(5 * MINUTE, () => ended() && level() && world.leader() !== undefined);
    this.check();
    demand(rested, 'L3, L5: all comes to rest');
    const there = new Set(sound()[0]?.applied);
    for (const { process, call, name } of this.asked) {
      const failure = process.ended.get(call)?.failure;
      if (name === '' || failure === undefined) continue;
      demand(failure.outcome !== 'none' || !there.has(name), 'law 5: none means without effect', () => [name, failure]);
    }
    for (const name of this.acknowledged) demand(there.has(name), 'H5: no acknowledged command is lost', () => name);
    for (const process of sound()) demand(process.applied.length === there.size, 'E1: all have applied all, once');
  }
}

/** Throws a `Violation` if the run finds one. */
export function driverSchedule(schedule: DriverSchedule): void {
  const run = new Run(schedule);
  const { world } = run;
  world.run(MINUTE, () => world.leader() !== undefined);
  for (let turn = 0; turn < schedule.length; turn++) {
    run.act();
    run.check();
  }
  run.rest();
}

