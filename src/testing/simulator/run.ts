/**
 * One simulated run: the scheduler that decides when each message, write, tick and fault happens. It keeps an agenda
 * beside the world. Its decisions become actions, and the list of actions alone reproduces the run.
 */

import type { StepFact } from '../../core/model.js';
import type { Lane, Milliseconds, Status } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { ESTABLISHED_KEY } from '../../replica/driver/stored-identity.js';
import { abstractState } from './coverage.js';
import type { Action } from '../world/actions.js';
import { Agenda } from '../world/agenda.js';
import { Dice } from '../random.js';
import { closePort, openPort } from './nemeses.js';
import type { FaultKind, Plan } from './plan.js';
import { Traffic } from './traffic.js';
import { Work } from './work.js';
import type { RunOptions, Tally, Weather } from './options.js';
import type { Watcher } from '../world/draft.js';
import { Turn } from '../world/turn.js';
import type { Flight } from '../world/state.js';
import { createWorld } from '../world/world.js';

/** The number of actions between two looks at the cluster's abstract state. */
const LOOK_EVERY = 16;

/** The most messages on one link; with more, the oldest is lost. */
const MOST_ON_A_LINK = 100;

/** Bytes of padding in one run, about. */
const MOST_PADDED = 6 * 1024 * 1024;

export class SimulatedRun implements Watcher {
  readonly plan: Plan;
  readonly turn: Turn;
  readonly size: number;
  readonly dice: Dice;
  readonly tally: Tally = {
    delivered: 0,
    actions: 0,
    faults: new Map(),
    coverage: new Map(),
    bursts: 0,
    largest: 0,
    full: 0,
  };
  readonly traffic: Traffic;
  /** The actions so far, with messages by description; `null` if they are not kept. */
  readonly actions: Action[] | null;
  /** A hash of the actions and their times, by which two runs are compared. */
  hash = 0;
  weather: Weather;
  /** Whether faults happen. */
  stormy: boolean;
  /** Bytes of padding so far. */
  padded = 0;
  private stormLength = 0;
  private readonly countsCoverage: boolean;
  private readonly abstractStates: Set<number> | undefined;
  private readonly agenda = new Agenda<() => void>();
  private readonly net: Dice;
  private readonly work: Work;
  private readonly lastArrival: number[];
  private readonly backlog: (() => void)[][];

  constructor(plan: Plan, options: RunOptions) {
    this.plan = plan;
    this.weather = plan;
    this.stormy = !plan.loose;
    this.actions = options.keep ? [] : null;
    this.countsCoverage = options.coverage;
    this.abstractStates = options.abstractStates;
    const world = createWorld(plan.world, options.observer);
    this.turn = new Turn(world, options.observer);
    this.size = world.slots.length;
    const dice = new Dice(plan.seed);
    this.dice = dice.fork('run');
    this.net = dice.fork('net');
    this.lastArrival = world.links.flatMap(() => [0, 0]);
    this.backlog = world.slots.map(() => []);
    this.traffic = new Traffic(this.size, this.agenda, plan.pace);
    this.work = new Work(this, this.agenda, dice.fork('io'));
    this.traffic.onFull((from, to, lane, isFull) => this.noticeFull(from, to, lane, isFull));
    this.turn.watcher = this;
    this.adopt();
  }

  /** Schedules everything that is under way in the world. */
  private adopt(): void {
    for (let from = 0; from < this.size; from++) {
      for (let to = 0; to < this.size; to++) {
        for (const flight of this.turn.link(from, to).flights) this.sent(from, to, flight);
      }
      this.touched(from);
    }
  }

  get now(): Milliseconds {
    return this.turn.now;
  }

  id(place: number): ReplicaId {
    return this.turn.rules.ids[place] as ReplicaId;
  }

  private placeOf(id: ReplicaId): number {
    return this.turn.rules.places.get(id) as number;
  }

  places(): number[] {
    return this.turn.rules.ids.map((_, place) => place);
  }

  status(place: number): Status | null {
    const { model, program } = this.turn.rules;
    const { process } = this.turn.slot(place);
    if (process === null || program.health(process) !== 'running') return null;
    const core = program.core(process);
    return core === null ? null : model.protocol.status(core);
  }

  isUp(place: number): boolean {
    const { process } = this.turn.slot(place);
    return process !== null && this.turn.rules.program.health(process) === 'running';
  }

  /** Whether a replica's first start is complete. */
  isKnown(place: number): boolean {
    const { rules } = this.turn;
    return rules.program.kind === 'core' || this.turn.slot(place).disk.values.has(ESTABLISHED_KEY);
  }

  stepped(fact: StepFact<unknown, unknown>): void {
    if (!this.countsCoverage) return;
    const { coverage } = this.tally;
    this.turn.rules.model.cover(fact, (name) => coverage.set(name, (coverage.get(name) ?? 0) + 1));
  }

  /** Ends all faults. */
  endStorm(): void {
    this.stormy = false;
    this.stormLength = this.actions?.length ?? 0;
  }

  /** The actions of the storm, if they are kept. */
  get storm(): readonly Action[] {
    return this.actions?.slice(0, this.stormLength) ?? [];
  }

  fault(kind: FaultKind): void {
    this.tally.faults.set(kind, (this.tally.faults.get(kind) ?? 0) + 1);
  }

  /** Carries out an action now. */
  act(action: Action): void {
    this.tally.actions += 1;
    this.hash = Math.imul(this.hash ^ action.at ^ (action.kind.length << 24), 0x01000193);
    if (this.actions !== null) this.actions.push(this.described(action));
    if (action.kind === 'disconnect') this.loseConnection(action);
    this.turn.run(action);
    if (action.kind === 'crash' || action.kind === 'wipe') this.traffic.crash(this.placeOf(action.replica));
    if (this.tally.actions % LOOK_EVERY === 0) {
      this.abstractStates?.add(abstractState(this.places().map((place) => this.status(place))));
    }
  }

  /** What waits for this connection goes with it, unless the process stands still and hears nothing of it. */
  private loseConnection({ replica, peer, lane }: Extract<Action, { kind: 'disconnect' }>): void {
    const place = this.placeOf(replica);
    const { process, paused } = this.turn.slot(place);
    if (process !== null && !paused) this.traffic.lose(place, this.placeOf(peer), lane);
  }

  /** A call of this command at a replica, padded if the plan has a pace for it: most a little, few much. */
  propose(place: number, command: unknown, timeout: Milliseconds, dice: Dice): void {
    const most = this.plan.pace?.padding ?? 0;
    const padding = most === 0 || this.padded > MOST_PADDED ? 0 : Math.floor(most ** (dice.unit() ** 2));
    this.padded += padding;
    this.tally.largest = Math.max(this.tally.largest, padding);
    const call = { kind: 'propose', at: this.turn.now, replica: this.id(place), command, timeout } as const;
    this.act(padding === 0 ? call : { ...call, padding });
  }

  private described(action: Action): Action {
    if (action.kind !== 'deliver' && action.kind !== 'duplicate' && action.kind !== 'drop') return action;
    const [from, to] = [this.placeOf(action.from), this.placeOf(action.to)];
    return typeof action.pick === 'number'
      ? { ...action, pick: this.turn.network.pickOf(from, to, action.pick) }
      : action;
  }

  /** Schedules a task in `ms` milliseconds. */
  later(ms: Milliseconds, task: () => void): void {
    this.agenda.add(this.turn.now + ms, task);
  }

  /** Carries out the next task if it is due by `limit`. Returns whether there was one. */
  step(limit: Milliseconds): boolean {
    const at = this.agenda.nextAt;
    if (at > limit) return false;
    if (at > this.turn.now) this.turn.now = at;
    this.agenda.take()();
    return true;
  }

  /** Runs until `done` holds or `limit` milliseconds have passed. Returns whether it holds. */
  until(limit: Milliseconds, done: () => boolean): boolean {
    const end = this.turn.now + limit;
    for (let count = 0; ; count++) {
      if (count % 8 === 0 && done()) return true;
      if (this.step(end)) continue;
      this.turn.now = end;
      return done();
    }
  }

  // Messages.

  sent(from: number, to: number, flight: Flight): void {
    const { faults } = this.plan;
    const { ordinal } = flight;
    if (this.plan.pace === null && this.turn.link(from, to).flights.length > MOST_ON_A_LINK) {
      const oldest = this.turn.link(from, to).flights[0] as Flight;
      this.agenda.add(this.turn.now, () => this.message('drop', from, to, oldest.ordinal));
    }
    if (this.stormy && this.net.chance(faults.loss ?? 0)) {
      this.fault('loss');
      return this.agenda.add(this.turn.now, () => this.message('drop', from, to, ordinal));
    }
    this.traffic.send(this.turn, from, to, flight, {
      sent: () => this.agenda.add(this.arrival(from, to, flight.lane), () => this.arrive(from, to, ordinal)),
      lost: () => this.agenda.add(this.turn.now, () => this.message('drop', from, to, ordinal)),
    });
    if (this.stormy && this.net.chance(faults.duplicate ?? 0)) {
      const early = this.turn.now + this.net.between(0, this.weather.network.max);
      this.agenda.add(early, () => this.duplicate(from, to, ordinal));
    }
  }

  /** The transport refuses what its lane has no room for. */
  private noticeFull(from: number, to: number, lane: Lane, isFull: boolean): void {
    const kind = isFull ? 'refuse' : 'accept';
    if (isFull) this.tally.full += 1;
    this.agenda.add(this.turn.now, () =>
      this.act({ kind, at: this.turn.now, from: this.id(from), to: this.id(to), lane }),
    );
  }

  /** Delivers a message that stays under way; does nothing if it is gone or its receiver is down. */
  private duplicate(from: number, to: number, ordinal: number): void {
    const { process, paused } = this.turn.slot(to);
    const waits = this.turn.link(from, to).flights.some((flight) => flight.ordinal === ordinal);
    if (waits && process !== null && !paused) this.fault('duplicate');
    this.message('duplicate', from, to, ordinal);
  }

  private arrival(from: number, to: number, lane: Lane): Milliseconds {
    const { network } = this.weather;
    const { faults } = this.plan;
    // The lanes of a paced run are connections of their own.
    const link = 2 * (from * this.size + to) + (this.plan.pace !== null && lane === 'bulk' ? 1 : 0);
    let delay = this.net.between(network.min, network.max);
    if (this.stormy && this.net.chance(faults.delay ?? 0)) {
      this.fault('delay');
      delay += this.net.between(10, 400);
    }
    if (this.stormy && this.net.chance(faults.capsule ?? 0)) {
      this.fault('capsule');
      return this.turn.now + this.net.between(500, 4000);
    }
    const at = this.turn.now + delay;
    if (!network.fifo) return at;
    return (this.lastArrival[link] = Math.max(at, this.lastArrival[link] as number));
  }

  private message(kind: 'deliver' | 'duplicate' | 'drop', from: number, to: number, ordinal: number): void {
    this.hash = Math.imul(this.hash ^ ordinal ^ (from << 8) ^ (to << 16), 0x01000193);
    this.act({ kind, at: this.turn.now, from: this.id(from), to: this.id(to), pick: ordinal });
  }

  private arrive(from: number, to: number, ordinal: number): void {
    this.traffic.enter(this.turn.now, to, () => this.receive(from, to, ordinal));
  }

  private receive(from: number, to: number, ordinal: number): void {
    const slot = this.turn.slot(to);
    if (slot.paused) {
      (this.backlog[to] as (() => void)[]).push(() => this.arrive(from, to, ordinal));
      return;
    }
    if (slot.process !== null) this.tally.delivered += 1;
    this.message('deliver', from, to, ordinal);
  }

  /** Delivers the messages that waited for a paused replica, in this order. */
  releaseBacklog(place: number, order: 'sent' | 'reversed' | 'shuffled', dice: Dice): void {
    const waiting = this.backlog[place] as (() => void)[];
    this.backlog[place] = [];
    if (order === 'reversed') waiting.reverse();
    for (const task of order === 'shuffled' ? dice.shuffle(waiting) : waiting) this.agenda.add(this.turn.now, task);
  }

  touched(place: number): void {
    this.work.touched(place);
  }

  /** Crashes a process and schedules its restart. */
  crash(place: number, keep: boolean): void {
    this.act({ kind: 'crash', at: this.turn.now, replica: this.id(place), keep });
    this.backlog[place] = [];
    if (this.stormy && this.size > 1 && this.dice.chance(this.plan.faults.deadPort ?? 0)) {
      this.fault('deadPort');
      closePort(this, place);
    }
    this.later(this.dice.wait(200), () => this.revive(place));
  }

  /** Whether a replica is about to close. */
  isLeaving(place: number): boolean {
    const { process } = this.turn.slot(place);
    return process !== null && this.turn.rules.program.isLeaving(process);
  }

  /** Starts a replica that is down, closed or halted. */
  revive(place: number): void {
    if (this.isUp(place)) return;
    this.act({ kind: 'restart', at: this.turn.now, replica: this.id(place) });
    if (this.plan.faults.deadPort !== undefined) openPort(this, place);
  }
}
