/**
 * The host simulation: a cluster of replicas made by `createReplica` in one process, over a virtual clock, network and
 * disks, with clients and faults, all from one seed. It finds faults that the simulation of the driver cannot: promises
 * that never end, timers left behind, errors without a type, order lost between callbacks.
 *
 * A run has four parts: faults and clients together; all is healed, and every call must end and every member work;
 * power is lost everywhere, and everything acknowledged must be there; all are closed, and nothing may be left open.
 */

import { shown } from '../../core/shown.js';
import type { ProtocolChoice, Tuning } from '../../core/tuning.js';
import { Adversary } from './adversary.js';
import { CallBook } from './calls.js';
import { SimulatedCompactor } from './compactions.js';
import { Dice } from '../random.js';
import { SimulatedClient } from './clients.js';
import { SimulatedSessionClient } from './sessions.js';
import { Schedule } from './clock.js';
import { ClusterLeaderships } from './leadership.js';
import { CommandLedger } from './machine.js';
import { SimulatedMember, type Surroundings } from './member.js';
import { SimulatedNetwork } from './network.js';
import { drawPlan, SLICE, type HostFault, type HostPlan } from './plan.js';
import { SimulatedDisk } from './storage.js';
import { Trace } from './trace.js';
import { judgeCalls } from './verdict.js';

export interface HostSimulationOptions {
  /** A whole number from -2^52 to 2^52: everything follows from it. */
  readonly seed: number;
  /** `raft` or `multipaxos`. */
  readonly protocol: (tuning: Tuning) => ProtocolChoice;
  /** Members, 1 to 7; drawn from 1 to 5 by default. */
  readonly size?: number;
  /** How often something goes wrong; 20 by default. */
  readonly steps?: number;
  /** Only these classes of faults; by default each is there in half of the seeds. */
  readonly faults?: readonly HostFault[];
  /**
   * Time and weight: messages, links, disks and machines take as long as the timing assumption allows, drawn from the
   * seed, also when all is healed; commands take up to 1 MiB and come in bursts; timing and limits are as shipped.
   */
  readonly pace?: boolean;
  /** Disks say "durable" before it is true: the run must fail. For tests of the simulation itself. */
  readonly lyingDisks?: boolean;
}

/** What a run was. A run that broke a rule has none: it rejects. */
export interface HostSimulationReport {
  readonly seed: number;
  /** Equal for equal runs, and almost surely for no others. */
  readonly digest: string;
  /** Events that happened: timers, messages, disk accesses. */
  readonly events: number;
  /** Virtual milliseconds. */
  readonly milliseconds: number;
  readonly members: number;
  readonly faults: readonly HostFault[];
  /** Requests of clients, and commands that took effect. */
  readonly requests: number;
  readonly commands: number;
  /** How often each thing that a search should meet was met. */
  readonly coverage: ReadonlyMap<string, number>;
}

/** How many times the longest election timeout the cluster has to get well: several elections may be split. */
const PATIENCE = 100;
/** A tick that is due lets queued input in, twice: slices of applying may come before it, and between. */
const TICK_SLICES = 4;

class Simulation {
  readonly trace: Trace;
  readonly plan: HostPlan;
  private readonly dice: Dice;
  private readonly world: Surroundings;
  private readonly members: readonly SimulatedMember[];
  private readonly adversary: Adversary;
  private readonly sessions: readonly SimulatedSessionClient[];
  private readonly compactors: readonly SimulatedCompactor[];
  private readonly steps: number;

  constructor(options: HostSimulationOptions) {
    const { seed, protocol, size, faults, steps = 20 } = options;
    this.steps = steps;
    this.trace = new Trace(seed);
    this.dice = new Dice(seed);
    this.plan = drawPlan(this.dice.fork('plan'), {
      size,
      faults,
      lies: options.lyingDisks ?? false,
      pace: options.pace ?? false,
    });
    const { timing, limits } = this.plan;
    const schedule = new Schedule(this.trace);
    const ledger = new CommandLedger(this.trace);
    this.world = {
      plan: this.plan,
      protocol: protocol({ timing, limits }),
      schedule,
      trace: this.trace,
      network: new SimulatedNetwork(schedule, this.trace, this.dice.fork('network'), this.plan.network),
      ledger,
      book: new CallBook(this.trace, ledger, this.plan.requestTimeout, TICK_SLICES * this.slice),
      leaderships: new ClusterLeaderships(this.trace),
    };
    this.members = this.plan.members.map((id) => this.newMember(id));
    this.compactors = this.members.map(
      (member) => new SimulatedCompactor(member, this.world, this.dice.fork(`compactor ${member.id}`)),
    );
    this.adversary = new Adversary(this.world, this.members, this.dice.fork('adversary'));
    const dice = this.dice.fork('sessions');
    const newSession = (at: number) =>
      new SimulatedSessionClient(`s${at}`, this.members, this.world, dice.fork(`${at}`));
    this.sessions = Array.from({ length: dice.pick([0, 0, 1, 2]) }, (_, at) => newSession(at));
  }

  private newMember(id: string): SimulatedMember {
    const { schedule, trace, plan } = this.world;
    const disk = new SimulatedDisk(id, schedule, trace, this.dice.fork(`disk ${id}`), plan.disk);
    return new SimulatedMember(id, disk, this.world, this.dice.fork(`member ${id}`));
  }

  /** For how long a machine may hold up its process, in milliseconds. */
  private get slice(): number {
    return this.plan.cost === 0 ? 0 : SLICE + this.plan.cost;
  }

  private get patience(): number {
    return PATIENCE * this.plan.timing.electionMax;
  }

  private async expect(rule: string, what: string, done: () => boolean, limit = this.patience): Promise<void> {
    if (await this.world.schedule.run(done, limit)) return;
    const members = this.members.map(({ id, phase, replica }) => `${id} ${phase} ${JSON.stringify(replica?.status())}`);
    this.trace.violate(rule, `${what} within ${limit} ms; ${members.join('; ')}`);
    this.trace.check();
  }

  /** Those that can take part in the end. */
  private get healthy(): readonly SimulatedMember[] {
    return this.members.filter((member) => !member.wiped);
  }

  async run(): Promise<void> {
    const clients = await this.disturb();
    for (const client of [...clients, ...this.sessions]) client.stop();
    await this.recover();
    await this.losePower();
    await this.end();
    this.world.book.finish();
    if (this.world.network.passed > 0) this.trace.cover('control before bulk');
    judgeCalls(this.world.book.calls, this.world.ledger, this.trace, this.plan.burst);
    this.trace.check();
  }

  /** Faults and clients together. */
  private async disturb(): Promise<readonly SimulatedClient[]> {
    const { schedule, plan } = this.world;
    for (const member of this.members) schedule.after(this.dice.within(0, 100), () => member.start());
    const clients = this.members.flatMap((member) =>
      Array.from({ length: plan.clients }, (_, at) => {
        const name = `${member.id}${at}`;
        return new SimulatedClient(name, member, this.world, this.dice.fork(`client ${name}`)).start();
      }),
    );
    for (const session of this.sessions) session.start();
    await schedule.run(() => this.members.every((member) => member.established), 2000);
    this.adversary.supervise();
    for (const compactor of this.compactors) compactor.start();
    for (let step = 0; step < this.steps; step++) {
      await schedule.pass(this.dice.within(0, plan.timing.electionMax));
      this.adversary.act();
    }
    return clients;
  }

  /** All is healed: every caller ends, and every member serves. */
  private async recover(): Promise<void> {
    const { book, trace } = this.world;
    trace.tell('healed');
    this.adversary.heal();
    const others = [...this.sessions, ...this.compactors];
    const ended = (): boolean => book.pending() === 0 && others.every(({ hasEnded }) => hasEnded);
    await this.expect('liveness/every-call-ends', 'every request must have ended', ended);
    await this.serveAll('after healing');
  }

  /** Each member takes a write and a read, one leads, and all are equal. */
  private async serveAll(when: string): Promise<void> {
    const up = (): boolean => this.healthy.every((member) => member.serves);
    await this.expect('liveness/all-come-up', `${when}, every member must be up`, up);
    for (const member of this.healthy) await this.serve(member, when);
    const leaders = (): number => this.members.filter((member) => member.leads).length;
    await this.expect('liveness/leader-found', `${when}, one member must lead`, () => leaders() === 1);
    const { commands } = this.world.ledger;
    const equal = (): boolean => this.healthy.every((member) => member.hasApplied(commands.length));
    await this.expect(
      'liveness/all-become-equal',
      `${when}, all must have applied all ${commands.length} commands and told them`,
      equal,
    );
  }

  /** Its patience may be shorter than an election, so it asks until it is served. */
  private async serve(member: SimulatedMember, when: string): Promise<void> {
    const { book, schedule } = this.world;
    const name = `${when} ${member.id}`;
    const client = new SimulatedClient(name, member, this.world, this.dice.fork(name));
    const end = schedule.now + this.patience;
    for (let served = false; !served; ) {
      const known = book.calls.length;
      client.prove();
      await this.expect('liveness/new-command-commits', `${when}, ${member.id} must serve`, () => book.pending() === 0);
      served = book.calls.length > known && book.calls.slice(known).every((call) => call.outcome === 'ok');
      if (schedule.now > end)
        this.trace.violate('liveness/new-command-commits', `${when}, ${member.id} does not serve`);
      if (!served) await schedule.pass(this.plan.timing.heartbeat);
    }
  }

  /** Every process is killed at once: what was acknowledged is on the disks. */
  private async losePower(): Promise<void> {
    this.trace.tell('power lost everywhere');
    for (const member of this.members) member.crash(this.dice.chance(0.5));
    await this.serveAll('after the loss of power');
  }

  /** All are closed, while requests are waiting. */
  private async end(): Promise<void> {
    const { schedule, book, trace } = this.world;
    this.adversary.rest();
    for (const compactor of this.compactors) compactor.stop();
    for (const member of this.members) {
      new SimulatedClient(`last ${member.id}`, member, this.world, this.dice.fork(`last ${member.id}`)).prove();
    }
    if (this.dice.chance(0.5)) await schedule.pass(this.dice.pick([0, 1, 10])); // or they are closed in the same turn
    for (const member of this.members) member.close();
    const down = (): boolean => this.members.every((member) => member.phase === 'down');
    await this.expect('liveness/close-ends', 'every member must have closed', down);
    await schedule.pass(10);
    if (book.pending() > 0) trace.violate('liveness/every-call-ends', `${book.waiting()} never ended`);
  }

  report(seed: number): HostSimulationReport {
    const { trace, plan, world } = this;
    return {
      seed,
      digest: trace.hash(),
      events: trace.step,
      milliseconds: world.schedule.now,
      members: plan.members.length,
      faults: [...plan.faults],
      requests: world.book.calls.length,
      commands: world.ledger.commands.length,
      coverage: trace.coverage,
    };
  }
}

/**
 * Runs one seed.
 * @throws RangeError for an option outside its range
 * @returns rejects with HostSimulationFailure when a rule is broken: it names the rule, the seed and the step, and
 * shows the last lines of the trace
 */
export async function simulateHost(options: HostSimulationOptions): Promise<HostSimulationReport> {
  const { seed, steps, protocol, pace } = options;
  if (!Number.isSafeInteger(seed) || Math.abs(seed) > 2 ** 52) {
    throw new RangeError(`seed: expected a whole number from ${-(2 ** 52)} to ${2 ** 52}, got ${shown(seed)}`);
  }
  if (typeof protocol !== 'function') {
    throw new RangeError(`protocol: expected raft or multipaxos of quorate, got ${shown(protocol)}`);
  }
  if (steps !== undefined && (!Number.isSafeInteger(steps) || steps < 0 || steps > 100_000)) {
    throw new RangeError(`steps: expected a whole number from 0 to 100000, got ${shown(steps)}`);
  }
  if (pace !== undefined && typeof pace !== 'boolean') {
    throw new RangeError(`pace: expected true or false, got ${shown(pace)}`);
  }
  const simulation = new Simulation(options);
  await simulation.run();
  return simulation.report(seed);
}
