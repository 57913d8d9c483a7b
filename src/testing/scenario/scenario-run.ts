/** Runs the commands of a scenario on a world, one after the other. */

import { unreachable } from '../../core/assert.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Action, Happening } from '../world/actions.js';
import type { ScenarioCommand } from './scenario-commands.js';
import { ScenarioPace, type ScenarioTimes, type WorkKind } from './scenario-pace.js';
import { isLeading, unmet, type Expectation } from './scenario-expect.js';
import type { TraceWriter } from '../world/trace.js';
import type { Turn } from '../world/turn.js';
import { dueAt } from '../world/world.js';
import { isWritable, type Flight, type Slot } from '../world/state.js';

/** An expectation of a scenario does not hold. */
export class Unmet extends Error {}

/** The most rounds of `quiesce`, far more than any scenario needs. */
const ROUNDS = 1000;
const WORK: readonly WorkKind[] = ['written', 'loaded', 'restored', 'snapshotted', 'applied'];
const TIMEOUTS = 10;

/** The end of some work. */
function ended(kind: WorkKind, replica: ReplicaId): Happening {
  return kind === 'snapshotted' ? { kind, replica, fails: false } : { kind, replica };
}

interface Sighting {
  readonly from: number;
  readonly to: number;
  readonly flight: Flight;
}

/** Runs commands; their facts go to the trace writer. */
export class ScenarioRunner {
  private readonly turn: Turn;
  private readonly writer: TraceWriter;
  private readonly pace: ScenarioPace;

  constructor(turn: Turn, writer: TraceWriter, times: ScenarioTimes) {
    this.turn = turn;
    this.writer = writer;
    this.pace = new ScenarioPace(turn, times);
  }

  /** @throws Unmet when an expectation does not hold; InvariantViolation when a rule is broken */
  run(at: Milliseconds | null, command: ScenarioCommand): void {
    const { turn } = this;
    switch (command.kind) {
      case 'act':
        for (const happening of command.happenings) this.act(happening, at ?? turn.now);
        return this.follow();
      default:
        if (at !== null) this.act({ kind: 'wait' }, at);
        return this.macro(command);
    }
  }

  private macro(command: Exclude<ScenarioCommand, { kind: 'act' }>): void {
    switch (command.kind) {
      case 'messages':
        return this.messages(command);
      case 'quiesce':
        return this.runToQuiescence(this.placesOf(command.among));
      case 'elect':
        return this.elect(command.replica, this.placesOf(command.among));
      case 'run':
        return this.pass(command.time, command.until);
      case 'expect': {
        const reason = unmet(this.turn, command.expectation);
        if (reason !== null) throw new Unmet(reason);
        return;
      }
      default:
        unreachable(command);
    }
  }

  private act(happening: Happening, at: Milliseconds = this.turn.now): void {
    this.pace.advance(Math.max(at, this.turn.now));
    this.pace.acted(happening);
    this.turn.run({ ...happening, at });
  }

  /** Lanes that are full, or have room again, have their effect. */
  private follow(): void {
    for (const happening of this.pace.consequences.splice(0)) this.act(happening);
  }

  private placesOf(ids: readonly ReplicaId[]): readonly number[] {
    return ids.map((id) => this.turn.rules.places.get(id) as number).sort((a, b) => a - b);
  }

  private id(place: number): ReplicaId {
    return this.turn.rules.ids[place] as ReplicaId;
  }

  private slot(place: number): Slot {
    return this.turn.slot(place);
  }

  /** The messages under way, oldest first; those of equal age in the order of links. */
  private sightings(from: readonly number[], to: readonly number[]): Sighting[] {
    const found: Sighting[] = [];
    for (const a of from) {
      for (const b of to) for (const flight of this.turn.link(a, b).flights) found.push({ from: a, to: b, flight });
    }
    return found.sort((a, b) => a.flight.sentAt - b.flight.sentAt);
  }

  private move(what: 'deliver' | 'duplicate' | 'drop', { from, to, flight }: Sighting): void {
    this.act({ kind: what, from: this.id(from), to: this.id(to), pick: flight.ordinal });
  }

  private messages({ what, from, to, prefix }: Extract<ScenarioCommand, { kind: 'messages' }>): void {
    for (const sighting of this.sightings(this.placesOf(from), this.placesOf(to))) {
      if (this.turn.network.describe(sighting.flight).startsWith(prefix)) this.move(what, sighting);
    }
  }

  /** Finishes all work of these disks and machines, or what takes no time; returns whether there was any. */
  private work(places: readonly number[], which: (kind: WorkKind) => boolean = () => true): boolean {
    let busy = false;
    for (const place of places) {
      for (let next = this.nextWork(place, which); next !== null; next = this.nextWork(place, which)) {
        this.act(next);
        busy = true;
      }
    }
    return busy;
  }

  private nextWork(place: number, which: (kind: WorkKind) => boolean): Happening | null {
    const slot = this.slot(place);
    if (slot.process === null || slot.paused) return null;
    const replica = slot.id;
    if (isWritable(slot) && which('written')) return { kind: 'written', replica };
    if (slot.loads.length > 0 && which('loaded')) return { kind: 'loaded', replica };
    if (slot.restoring !== null && which('restored')) return { kind: 'restored', replica };
    if (slot.taking !== null && which('snapshotted')) return ended('snapshotted', replica);
    return slot.applying === null || !which('applied') ? null : { kind: 'applied', replica };
  }

  private runToQuiescence(places: readonly number[]): void {
    for (let round = 0; round < ROUNDS; round++) {
      const busy = this.work(places);
      const there = this.sightings(places, places).filter(({ to }) => !this.slot(to).paused);
      for (const sighting of there) this.move('deliver', sighting);
      if (!busy && there.length === 0) return;
    }
    throw new Unmet(`expected that it comes to rest; it has not after ${ROUNDS} rounds`);
  }

  private elect(replica: ReplicaId, places: readonly number[]): void {
    const place = this.turn.rules.places.get(replica) as number;
    for (let timeout = 0; timeout < TIMEOUTS; timeout++) {
      this.act({ kind: 'timeout', replica });
      this.runToQuiescence(places);
      if (isLeading(this.turn, this.slot(place))) return;
    }
    throw new Unmet(`expected ${replica} to lead; it does not after ${TIMEOUTS} timeouts`);
  }

  /** Lets time pass: messages, disks and machines take what the header says, and ticks come when they are due. */
  private pass(time: Milliseconds, until: Expectation | null): void {
    const { turn, writer } = this;
    const end = turn.now + time;
    const everybody = turn.rules.ids.map((_, place) => place);
    writer.quiet = true;
    try {
      for (;;) {
        this.work(everybody, (kind) => this.pace.isInstant(kind));
        this.follow();
        if (until !== null && unmet(turn, until) === null) return;
        const next = this.nextEvent(everybody);
        const { nextFrame } = this.pace;
        if (Math.min(next.at, nextFrame) > end) break;
        if (nextFrame <= next.at) this.pace.advance(nextFrame);
        else turn.run(next);
      }
      this.act({ kind: 'wait' }, end);
    } finally {
      writer.quiet = false;
    }
    const reason = until === null ? null : unmet(turn, until);
    if (reason !== null) throw new Unmet(`${reason} (after ${time} ms)`);
  }

  /** The next delivery, tick or end of some work; at the same time they come in this order. */
  private nextEvent(everybody: readonly number[]): Action {
    const { turn, pace } = this;
    let next: Action = { kind: 'wait', at: Infinity };
    const offer = (due: Milliseconds, happening: Happening): void => {
      const at = Math.max(turn.now, due);
      if (at < next.at) next = { ...happening, at };
    };
    for (const { from, to, flight } of this.sightings(everybody, everybody)) {
      if (this.slot(to).paused) continue;
      const ends = { from: this.id(from), to: this.id(to) };
      offer(pace.handledAt(from, to, flight), { kind: 'deliver', ...ends, pick: flight.ordinal });
    }
    const awake = everybody
      .map((place) => this.slot(place))
      .filter(({ process, paused }) => process !== null && !paused);
    for (const slot of awake) {
      const place = turn.rules.places.get(slot.id) as number;
      offer(pace.tickedAt(place, dueAt(turn.rules, slot, turn.now)), { kind: 'tick', replica: slot.id });
    }
    for (const { id: replica } of awake) {
      const place = turn.rules.places.get(replica) as number;
      for (const kind of WORK) offer(pace.doneAt(place, kind), ended(kind, replica));
    }
    return next;
  }
}
