/**
 * Clients of the simulated cluster: each asks one member through the promises of its replica, one request after the
 * other or a burst at once, and the book is told how each ended.
 */

import { ConsensusError } from '../../replica/errors.js';
import type { Replica, RequestOptions, WithIndex } from '../../replica/replica.js';
import type { SeenValue, SimulatedCall } from './calls.js';
import type { Dice } from '../random.js';
import type { SimulatedProcess } from './clock.js';
import type { HostCommand, HostMachine, HostResult } from './machine.js';
import type { SimulatedMember, Surroundings } from './member.js';
import { SimulatedSignal } from './signal.js';

/** Milliseconds after which a client looks again whether its member can be reached. */
const LOOK_AGAIN = 10;
/** Milliseconds that it waits after an error. */
const PAUSE = 50;

/** Bytes of padding in one run, about; and of a command that is larger than a frame of the transport's. */
const MOST_PADDED = 4 * 1024 * 1024;
const LARGE = 64 * 1024;

/** What the caller's own reader throws. */
const MISREAD = new Error('the reader has failed');
const NOTHING_KNOWN = { index: 0, position: 0 };

/** Whom a client asks: one start of its member. */
interface ClientTarget {
  readonly replica: Replica<HostMachine>;
  readonly process: SimulatedProcess;
  readonly machine: HostMachine;
}

export class SimulatedClient {
  readonly name: string;
  private readonly member: SimulatedMember;
  private readonly world: Surroundings;
  private readonly dice: Dice;
  private requests = 0;
  private reads = 0;
  private waiting = 0;
  private stopped = true;
  /** The last write of ours of which the index is known: what a stale read can ask for. */
  private known: { readonly index: number; readonly position: number } = { index: 0, position: 0 };

  constructor(name: string, member: SimulatedMember, world: Surroundings, dice: Dice) {
    this.name = name;
    this.member = member;
    this.world = world;
    this.dice = dice;
  }

  /** Asks until it is stopped. */
  start(): this {
    this.stopped = false;
    this.next();
    return this;
  }

  /** One plain write and one plain read. */
  prove(): void {
    const target = this.target();
    if (target === null) return;
    this.write(target, { op: 'set', id: `${this.name}.${++this.requests}`, key: 'k0', value: this.name });
    this.read(target, 'linearizable');
  }

  /** Asks nothing new. */
  stop(): void {
    this.stopped = true;
  }

  private next(): void {
    const { schedule, plan } = this.world;
    if (!this.stopped) schedule.after(this.dice.within(0, plan.think), () => this.act());
  }

  private act(): void {
    if (this.stopped) return;
    const target = this.target();
    if (target === null) return this.world.schedule.after(LOOK_AGAIN, () => this.act());
    this.ask(target);
    if (this.waiting === 0) this.next();
  }

  private target(): ClientTarget | null {
    const { reachable, run } = this.member;
    if (reachable === null || run === null) return null;
    return { replica: reachable, process: run.process, machine: run.machine };
  }

  private ask(target: ClientTarget): void {
    const { faults, burst } = this.world.plan;
    const { dice } = this;
    if (faults.has('burst') && dice.chance(0.1)) {
      for (let left = 2 + dice.between(0, burst - 1); left > 0; left--) this.write(target);
    } else if (dice.chance(0.5)) this.write(target);
    else if (dice.chance(0.7)) this.read(target, this.nextConsistency());
    else if (dice.chance(0.8)) this.read(target, 'stale');
    else if (!faults.has('odd commands') || dice.chance(0.3)) this.ready(target);
    else if (dice.chance(0.5)) this.misread(target);
    else this.tooLarge(target);
  }

  private key(): string {
    return `k${this.dice.between(0, this.world.plan.keys - 1)}`;
  }

  private command(id: string, { machine }: ClientTarget): HostCommand {
    const { dice } = this;
    const key = this.key();
    const odd = this.world.plan.faults.has('odd commands') && dice.chance(0.2);
    if (odd) return { op: dice.pick(['refuse', 'boom'] as const), id, key };
    if (dice.chance(0.2)) return { op: 'swap', id, key, from: machine.get(key), value: id };
    return { op: 'set', id, key, value: id, padding: 'x'.repeat(this.padding()) };
  }

  /** Most a little; with weight some much more, as long as there is some left for the run. */
  private padding(): number {
    const { dice, world } = this;
    const few = dice.pick([0, 0, 50, 150]);
    const most = world.plan.padding;
    if (most === 0 || world.book.padded > MOST_PADDED) return few;
    const bytes = Math.floor(most ** (dice.unit() ** 2));
    world.book.padded += bytes;
    if (bytes > LARGE) world.trace.cover('large command');
    return bytes;
  }

  /** Sometimes a signal, which aborts later, never, or has aborted already. */
  private signal(process: SimulatedProcess): SimulatedSignal | null {
    const { dice, world } = this;
    if (!world.plan.faults.has('abort') || !dice.chance(0.4)) return null;
    const signal = new SimulatedSignal(process);
    const roll = dice.unit();
    if (roll < 0.05) signal.abort();
    else if (roll < 0.9) {
      const delay = dice.within(0, dice.pick([5, 100, world.plan.requestTimeout]));
      world.schedule.after(delay, () => process.input(() => signal.abort()));
    }
    return signal;
  }

  /** Books a request at `process`. */
  private book(
    target: ClientTarget,
    kind: SimulatedCall['kind'],
    key: string,
    command: HostCommand | null,
  ): SimulatedCall {
    const { process } = target;
    const drawn = this.stopped ? null : this.signal(process);
    const signal = kind === 'ready' ? (drawn ?? new SimulatedSignal(process)) : drawn;
    const call = this.world.book.call({ client: this.name, kind, process, key, command, signal });
    call.abandoned = () => this.ended();
    this.waiting += 1;
    return call;
  }

  private ended(): void {
    this.waiting -= 1;
    if (this.waiting === 0) this.next();
  }

  /** Follows a promise of a replica. */
  private follow<T>(call: SimulatedCall, ask: (options: RequestOptions) => Promise<T>, then: (value: T) => void): void {
    const fail = (error: unknown): void => {
      this.world.book.failed(call, error);
      this.world.schedule.after(PAUSE, () => this.ended());
    };
    let asked: Promise<T>;
    try {
      asked = ask(call.signal === null ? {} : { signal: call.signal.given });
    } catch (error) {
      return fail(error);
    }
    asked.then((value) => {
      then(value);
      this.ended();
    }, fail);
  }

  private write(target: ClientTarget, given?: HostCommand): void {
    const command = given ?? this.command(`${this.name}.${++this.requests}`, target);
    const { book, trace } = this.world;
    const call = this.book(target, 'write', command.key, command);
    trace.cover('write');
    if (this.dice.chance(0.5)) {
      const ask = (options: RequestOptions): Promise<HostResult> => target.replica.propose(command, { ...options });
      return this.follow(call, ask, (result) => book.wrote(call, result.position, null, result));
    }
    const ask = (options: RequestOptions): Promise<WithIndex<HostResult>> =>
      target.replica.propose(command, { ...options, meta: true });
    this.follow(call, ask, ({ result, index }) => {
      this.known = { index, position: result.position };
      book.wrote(call, result.position, index, result);
    });
  }

  /** Every other read is a lease read, where there are any; in Multi-Paxos every third one is a quorum read. */
  private nextConsistency(): 'linearizable' | 'lease' | 'quorum' {
    this.reads += 1;
    if (this.reads % 3 === 0 && this.world.protocol.protocol.name === 'multipaxos') return 'quorum';
    return this.world.plan.constants.leaseReads > 0 && this.reads % 2 === 0 ? 'lease' : 'linearizable';
  }

  private read(target: ClientTarget, consistency: 'linearizable' | 'lease' | 'quorum' | 'stale'): void {
    const { book, trace } = this.world;
    const key = this.key();
    const isStale = consistency === 'stale';
    const call = this.book(target, isStale ? 'local' : 'read', key, null);
    const { index, position } = isStale && this.dice.chance(0.7) ? this.known : NOTHING_KNOWN;
    let readings = 0;
    const reader = (machine: HostMachine): SeenValue => {
      readings += 1;
      if (readings > 1 || call.outcome !== 'pending')
        trace.violate('law/one-end-per-request', `${call.name} was served twice or late`);
      return { position: machine.applied, value: machine.get(key) };
    };
    const ask = (options: RequestOptions): Promise<SeenValue> =>
      target.replica.read(reader, isStale ? { ...options, consistency, minIndex: index } : { ...options, consistency });
    this.follow(call, ask, (seen) => book.saw(call, seen, position));
    trace.cover(`${consistency} read`);
    if (index > 0) trace.cover('stale read with an index');
  }

  /** A reader that throws: its error is the caller's, as it is. */
  private misread(target: ClientTarget): void {
    const call = this.book(target, 'local', this.key(), null);
    const reader = (): never => {
      throw MISREAD;
    };
    const ask = (options: RequestOptions): Promise<void> =>
      target.replica.read(reader, { ...options, consistency: 'stale' }).catch((error: unknown) => {
        if (error !== MISREAD) throw error;
      });
    this.follow(call, ask, () => this.world.book.ready(call));
  }

  /** What can never work is refused at once, whatever the cluster does. */
  private tooLarge(target: ClientTarget): void {
    const { constants } = this.world.plan;
    const id = `${this.name}.${++this.requests}`;
    const command: HostCommand = { op: 'set', id, key: 'k0', value: 'x'.repeat(constants.maxEntryBytes) };
    const { trace } = this.world;
    trace.cover('too large');
    try {
      void target.replica.propose(command);
      trace.violate('host/typed-errors', `${id} was taken, and is too large`);
    } catch (error) {
      const fits = error instanceof ConsensusError && error.code === 'ERR_TOO_LARGE';
      if (!fits) trace.violate('host/typed-errors', `${id} is too large, and failed with ${String(error)}`);
    }
  }

  private ready(target: ClientTarget): void {
    const call = this.book(target, 'ready', '', null);
    const ask = (options: RequestOptions): Promise<void> => target.replica.ready(options);
    this.follow(call, ask, () => this.world.book.ready(call));
  }
}
