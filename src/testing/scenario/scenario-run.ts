/** Runs the commands of a scenario on a world, one after the other. */

import { unreachable } from '../../core/assert.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Action, Happening } from '../world/actions.js';
import type { ScenarioCommand } from './scenario-commands.js';
import { isLeading, unmet, type Expectation } from './scenario-expect.js';
import type { TraceWriter } from '../world/trace.js';
import type { Turn } from '../world/turn.js';
import { dueAt } from '../world/world.js';
import type { Flight, Slot } from '../world/state.js';

/** An expectation of a scenario does not hold. */
export class Unmet extends Error {}

/** The most rounds of `quiesce`, far more than any scenario needs. */
const ROUNDS = 1000;
const TIMEOUTS = 10;

interface Sighting {
  readonly from: number;
  readonly to: number;
  readonly flight: Flight;
}

/** Runs commands; their facts go to the trace writer. */
export class ScenarioRunner {
  private readonly turn: Turn;
  private readonly writer: TraceWriter;
  private readonly latency: Milliseconds;

  constructor(turn: Turn, writer: TraceWriter, latency: Milliseconds) {
    this.turn = turn;
    this.writer = writer;
    this.latency = latency;
  }

  /** @throws Unmet when an expectation does not hold; InvariantViolation when a rule is broken */
  run(at: Milliseconds | null, command: ScenarioCommand): void {
    const { turn } = this;
    switch (command.kind) {
      case 'act':
        for (const happening of command.happenings) turn.run({ ...happening, at: at ?? turn.now });
        return;
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
    this.turn.run({ ...happening, at });
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

  /** Finishes all work of these disks and machines; returns whether there was any. */
  private work(places: readonly number[]): boolean {
    let busy = false;
    for (const place of places) {
      for (let next = this.nextWork(place); next !== null; next = this.nextWork(place)) {
        this.act(next);
        busy = true;
      }
    }
    return busy;
  }

  private nextWork(place: number): Happening | null {
    const slot = this.slot(place);
    if (slot.process === null || slot.paused) return null;
    const replica = slot.id;
    if (slot.writing !== null) return { kind: 'written', replica };
    if (slot.loads.length > 0) return { kind: 'loaded', replica };
    return slot.applying === null ? null : { kind: 'applied', replica };
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

  /** Lets time pass: messages take their latency, disks and machines no time, and ticks come when they are due. */
  private pass(time: Milliseconds, until: Expectation | null): void {
    const { turn, writer } = this;
    const end = turn.now + time;
    const everybody = turn.rules.ids.map((_, place) => place);
    writer.quiet = true;
    try {
      for (;;) {
        this.work(everybody);
        if (until !== null && unmet(turn, until) === null) return;
        const next = this.nextEvent(everybody);
        if (next.at > end) break;
        turn.run(next);
      }
      this.act({ kind: 'wait' }, end);
    } finally {
      writer.quiet = false;
    }
    const reason = until === null ? null : unmet(turn, until);
    if (reason !== null) throw new Unmet(`${reason} (after ${time} ms)`);
  }

  /** The next delivery or tick. */
  private nextEvent(everybody: readonly number[]): Action {
    const { turn } = this;
    let next: Action = { kind: 'wait', at: Infinity };
    const [first] = this.sightings(everybody, everybody).filter(({ to }) => !this.slot(to).paused);
    if (first !== undefined) {
      const { from, to, flight } = first;
      const at = Math.max(turn.now, flight.sentAt + this.latency);
      next = { kind: 'deliver', at, from: this.id(from), to: this.id(to), pick: flight.ordinal };
    }
    for (const place of everybody) {
      const slot = this.slot(place);
      const at = dueAt(turn.rules, slot, turn.now);
      if (at < next.at) next = { kind: 'tick', at, replica: slot.id };
    }
    return next;
  }
}
