/**
 * The network of the host simulation: it loses, repeats, delays and reorders messages, cuts links one way or both,
 * holds messages back for later terms, and bounds its queues; links carry no more than their bandwidth. Connections are
 * lost with what is under way on them.
 */

import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import type { Dice } from '../random.js';
import type { Schedule, SimulatedProcess } from './clock.js';
import { SimulatedConnections } from './connections.js';
import type { NetworkHabits } from './plan.js';
import type { Trace } from './trace.js';
import { SimulatedTransport } from './transport.js';

/** The way from one member to another. */
interface SimulatedLink {
  readonly from: string;
  readonly to: string;
  cut: boolean;
  /** Messages under way. */
  waiting: number;
  /** How often the connection of each lane was lost: what was under way on it then does not arrive. */
  readonly losses: Record<TransportLane, number>;
  readonly connections: SimulatedConnections;
}

const LANES: readonly TransportLane[] = ['control', 'bulk'];

/** Whose message it is. */
type Sender = Pick<TransportIdentity, 'cluster' | 'incarnation'>;

export class SimulatedNetwork {
  readonly maxMessageBytes: number;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly dice: Dice;
  /** The next start of a transport fails. */
  nextStart = false;
  /** Everything is well from now on. */
  healed = false;
  private readonly habits: NetworkHabits;
  private readonly links = new Map<string, SimulatedLink>();
  private readonly transports = new Map<string, SimulatedTransport>();

  constructor(schedule: Schedule, trace: Trace, dice: Dice, habits: NetworkHabits) {
    this.schedule = schedule;
    this.trace = trace;
    this.dice = dice;
    this.habits = habits;
    this.maxMessageBytes = habits.maxMessageBytes;
  }

  transport(process: SimulatedProcess): SimulatedTransport {
    return new SimulatedTransport(this, process);
  }

  link(from: string, to: string): SimulatedLink {
    const name = `${from}>${to}`;
    const known = this.links.get(name);
    if (known !== undefined) return known;
    const link: SimulatedLink = {
      from,
      to,
      cut: false,
      waiting: 0,
      losses: { control: 0, bulk: 0 },
      connections: new SimulatedConnections(this.schedule, this.habits.bandwidth),
    };
    this.links.set(name, link);
    return link;
  }

  /** Nothing gets from one to the other any more, this way. Sometimes the sender is told. */
  cut(from: string, to: string): void {
    const link = this.link(from, to);
    if (link.cut) return;
    link.cut = true;
    this.trace.tell(`cut ${from} → ${to}`);
    if (this.habits.reports) this.report(from, to);
  }

  /** How often a small message went before a large one that was waiting. */
  get passed(): number {
    return [...this.links.values()].reduce((sum, { connections }) => sum + connections.passed, 0);
  }

  heal(): void {
    for (const link of this.links.values()) link.cut = false;
    this.trace.tell('links healed');
  }

  /**
   * `from` loses its connections to `to`, with what is under way on them, and hears it; of the control connection it
   * hears a little later if it could not connect again.
   */
  report(from: string, to: string, lanes: readonly TransportLane[] = LANES): void {
    const link = this.link(from, to);
    for (const lane of lanes) {
      link.losses[lane] += 1;
      link.connections.lose(lane);
    }
    this.transports.get(from)?.lost(to, lanes);
  }

  /** Whether a dial would succeed now. */
  reaches(from: string, to: string): boolean {
    const isCut = this.link(from, to).cut || this.link(to, from).cut;
    return !isCut && this.transports.get(to)?.isUp === true;
  }

  /** What the shortest way there and back takes. */
  get roundTrip(): number {
    return 2 * this.habits.min;
  }

  /** Whether it can neither hear nor be heard. */
  isIsolated(id: string, others: readonly string[]): boolean {
    return others.every((other) => other === id || (this.link(id, other).cut && this.link(other, id).cut));
  }

  join(transport: SimulatedTransport, id: string): void {
    const other = this.transports.get(id);
    if (other !== undefined && other.isUp) this.trace.violate('transport/calls-in-order', `${id} joined twice`);
    this.transports.set(id, transport);
  }

  leave(transport: SimulatedTransport, id: string): void {
    if (this.transports.get(id) === transport) this.transports.delete(id);
    for (const link of this.links.values()) if (link.from === id) link.connections.end();
    if (!this.habits.reports) return;
    for (const other of this.transports.keys()) this.report(other, id);
  }

  /** @param lag milliseconds until the sender comes to it */
  send(
    { id: from, cluster, incarnation }: TransportIdentity,
    to: string,
    bytes: Uint8Array,
    lane: TransportLane,
    lag: number,
  ): boolean {
    const { habits, dice, trace } = this;
    if (bytes.length > this.maxMessageBytes) {
      trace.violate(
        'transport/message-size',
        `${from} sends ${bytes.length} bytes to ${to}, of at most ${this.maxMessageBytes}`,
      );
    }
    const link = this.link(from, to);
    if (link.cut && habits.reports && dice.chance(0.5)) return false;
    if (link.waiting >= (this.healed ? Infinity : habits.queue)) {
      trace.cover('backpressure');
      return false;
    }
    const lost = !this.healed && dice.chance(habits.loss);
    const copies = lost ? 0 : !this.healed && dice.chance(habits.duplication) ? 2 : 1;
    if (lost) trace.cover('message lost');
    const sender = { cluster, incarnation };
    for (let copy = 0; copy < copies; copy++) {
      if (this.carry(link, bytes.slice(), sender, lane, lag) || copy > 0) continue;
      trace.cover('no room in a lane');
      return false;
    }
    if (habits.scribbles) bytes.fill(0xa5); // they are the transport's from now on
    return true;
  }

  private delay(): number {
    const { habits, dice } = this;
    if (this.healed) return dice.within(habits.healed.min, habits.healed.max);
    if (!dice.chance(habits.holds)) return dice.within(habits.min, habits.max);
    this.trace.cover('message held back');
    return dice.within(habits.max, habits.held);
  }

  /** Returns false if there is no room for it. */
  private carry(link: SimulatedLink, bytes: Uint8Array, sender: Sender, lane: TransportLane, lag: number): boolean {
    const { trace } = this;
    const losses = link.losses[lane];
    const arrive = (): void => {
      link.waiting -= 1;
      if (link.losses[lane] !== losses) return trace.cover('message lost with its connection');
      if (link.cut) return;
      const { cluster, incarnation } = sender;
      const isTaken = this.transports.get(link.to)?.arrive(link.from, bytes, cluster, incarnation) ?? true;
      if (!isTaken) this.transports.get(link.from)?.refused(link.to, incarnation);
    };
    const done = (isSent: boolean): void => {
      if (isSent) return this.schedule.after(lag + this.delay(), arrive);
      link.waiting -= 1;
      trace.cover('message lost with its connection');
    };
    const { isBusy } = link.connections;
    link.waiting += 1;
    if (!link.connections.put(lane, bytes.length, done)) {
      link.waiting -= 1;
      return false;
    }
    if (isBusy) trace.cover('message waits for the link');
    return true;
  }
}
