/**
 * The network of the host simulation: it loses, repeats, delays and reorders messages, cuts links one way or both,
 * holds messages back for later terms, and bounds its queues. It fulfils the duties of a `Transport`, and checks those
 * of the host.
 */

import { ConsensusError } from '../../replica/errors.js';
import type {
  Transport,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
} from '../../replica/transport.js';
import type { Dice } from '../random.js';
import type { Schedule, SimulatedProcess } from './clock.js';
import type { NetworkHabits } from './plan.js';
import type { Trace } from './trace.js';

/** The way from one member to another. */
interface SimulatedLink {
  readonly from: string;
  readonly to: string;
  cut: boolean;
  /** Messages under way. */
  waiting: number;
  /** Messages that have not left yet, by lane, each first in, first out. */
  readonly lanes: Record<TransportLane, LeavingMessage[]>;
  isSending: boolean;
}

interface LeavingMessage {
  readonly bytes: number;
  readonly leave: () => void;
}

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
      lanes: { control: [], bulk: [] },
      isSending: false,
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

  heal(): void {
    for (const link of this.links.values()) link.cut = false;
    this.trace.tell('links healed');
  }

  /** `from` hears that it has lost its connections to `to`, and a little later whether it could connect again. */
  report(from: string, to: string): void {
    this.transports.get(from)?.lost(to);
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
    if (!this.habits.reports) return;
    for (const other of this.transports.keys()) this.report(other, id);
  }

  send(
    { id: from, cluster, incarnation }: TransportIdentity,
    to: string,
    bytes: Uint8Array,
    lane: TransportLane,
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
    for (let copy = 0; copy < copies; copy++) this.carry(link, bytes.slice(), sender, lane);
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

  private carry(link: SimulatedLink, bytes: Uint8Array, sender: Sender, lane: TransportLane): void {
    link.waiting += 1;
    const leave = (): void =>
      this.schedule.after(this.delay(), () => {
        link.waiting -= 1;
        if (link.cut) return;
        const { cluster, incarnation } = sender;
        const isTaken = this.transports.get(link.to)?.arrive(link.from, bytes, cluster, incarnation) ?? true;
        if (!isTaken) this.transports.get(link.from)?.refused(link.to, incarnation);
      });
    if (this.habits.bandwidth === Infinity) return leave();
    if (link.isSending) this.trace.cover('message waits for the link');
    link.lanes[lane].push({ bytes: bytes.length, leave });
    if (!link.isSending) this.sendNext(link);
  }

  /** One message after the other leaves, `control` before `bulk`. */
  private sendNext(link: SimulatedLink): void {
    const { control, bulk } = link.lanes;
    const next = control.shift() ?? bulk.shift();
    link.isSending = next !== undefined;
    if (next === undefined) return;
    this.schedule.after(next.bytes / this.habits.bandwidth, () => {
      next.leave();
      this.sendNext(link);
    });
  }
}

/** One start's way into the network. */
export class SimulatedTransport implements Transport {
  readonly maxMessageBytes: number;
  private readonly network: SimulatedNetwork;
  private readonly process: SimulatedProcess;
  private identity: TransportIdentity | null = null;
  private handler: TransportHandler | null = null;
  private peers: ReadonlyMap<string, number | null> = new Map();
  private phase: 'new' | 'starting' | 'bound' | 'up' | 'stopped' = 'new';

  constructor(network: SimulatedNetwork, process: SimulatedProcess) {
    this.network = network;
    this.process = process;
    this.maxMessageBytes = network.maxMessageBytes;
  }

  get isUp(): boolean {
    return this.phase === 'up' && this.process.alive;
  }

  checkAddress(): void {}

  start(
    identity: TransportIdentity,
    _self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
  ): Promise<void> {
    const { network, process } = this;
    if (this.phase !== 'new') network.trace.violate('transport/calls-in-order', `${identity.id}: started twice`);
    this.phase = 'starting';
    return new Promise((resolve, reject) => {
      const fails = network.nextStart;
      network.nextStart = false;
      network.schedule.after(network.dice.within(0, 5), () => {
        process.input(() => {
          if (fails) {
            network.trace.cover('transport cannot start');
            this.phase = 'stopped';
            return reject(new ConsensusError('simulated: the port is taken', { code: 'ERR_TRANSPORT_FAILED' }));
          }
          this.phase = 'bound';
          this.identity = identity;
          this.handler = handler;
          this.setPeers(peers);
          resolve();
        });
      });
    });
  }

  answer(): void {
    const { network, identity } = this;
    if (this.phase !== 'bound' || identity === null) {
      return network.trace.violate('transport/calls-in-order', `answer while the transport is ${this.phase}`);
    }
    this.phase = 'up';
    network.join(this, identity.id);
  }

  connected(): readonly string[] {
    return this.phase === 'up' ? [...this.peers.keys()] : [];
  }

  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean {
    if (!this.process.alive || this.identity === null) return false;
    const { id } = this.identity;
    if (this.phase !== 'up') {
      this.network.trace.violate('transport/calls-in-order', `${id}: send while the transport is ${this.phase}`);
    }
    return this.peers.has(to) && this.network.send(this.identity, to, bytes, lane);
  }

  setPeers(peers: readonly TransportPeer[]): void {
    this.peers = new Map(peers.map(({ id, incarnation }) => [id, incarnation ?? null]));
  }

  stop(): Promise<void> {
    const was = this.phase;
    this.phase = 'stopped';
    if (this.identity !== null && was === 'up') this.network.leave(this, this.identity.id);
    return new Promise((resolve) => {
      this.network.schedule.after(this.network.dice.within(0, 5), () => this.process.input(resolve));
    });
  }

  /** Whether it holds nothing: stopped, or never started. */
  get isReleased(): boolean {
    return this.phase === 'stopped' || this.phase === 'new';
  }

  /** Returns false if it refuses the sender for its incarnation. */
  arrive(from: string, bytes: Uint8Array, cluster: string, incarnation: number): boolean {
    if (!this.isUp || cluster !== this.identity?.cluster || !this.peers.has(from)) return true;
    const expected = this.peers.get(from) ?? null;
    if (expected !== null && expected !== incarnation) return false;
    this.process.input(() => {
      if (this.phase === 'up') this.handler?.onMessage(from, bytes);
    });
    return true;
  }

  /** A peer refused what this incarnation sent. */
  refused(peer: string, incarnation: number): void {
    this.process.input(() => {
      if (this.phase !== 'up' || this.identity?.incarnation !== incarnation) return;
      this.network.trace.cover('incarnation refused');
      this.handler?.onRefused(peer, 'incarnation', 'simulated: it expects another incarnation');
    });
  }

  lost(peer: string): void {
    this.process.input(() => {
      if (this.phase !== 'up' || !this.peers.has(peer)) return;
      this.network.trace.cover('disconnected');
      this.handler?.onEvent({ kind: 'disconnected', peer, reason: 'simulated' });
      for (const lane of ['control', 'bulk'] as const) this.handler?.onDisconnected(peer, lane);
      this.network.schedule.after(this.network.roundTrip, () => this.redialled(peer));
    });
  }

  private redialled(peer: string): void {
    const id = this.identity?.id;
    if (id === undefined || this.network.reaches(id, peer)) return;
    this.process.input(() => {
      if (this.phase !== 'up' || !this.peers.has(peer)) return;
      this.network.trace.cover('unreachable');
      this.handler?.onUnreachable(peer);
    });
  }
}
