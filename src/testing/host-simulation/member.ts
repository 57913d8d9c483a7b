/**
 * One member of the simulated cluster: its disk, and the start of a replica that runs on it now, if any. It starts,
 * closes and crashes replicas as a supervisor would, and looks whether anything is left behind.
 */

import { ConsensusError } from '../../replica/errors.js';
import type { ReplicaEvent } from '../../replica/driver/state.js';
import type { Leadership } from '../../replica/leadership.js';
import type { ReplicaOptions } from '../../replica/options.js';
import { createReplica, type Replica } from '../../replica/replica.js';
import type { ProtocolChoice } from '../../core/tuning.js';
import type { CallBook } from './calls.js';
import { ChangesWatcher } from './changes.js';
import type { Dice } from '../random.js';
import { type Schedule, SimulatedProcess } from './clock.js';
import { LeadershipWatcher, type ClusterLeaderships } from './leadership.js';
import { StreamingHostMachine, ValueHostMachine, type CommandLedger, type HostMachine } from './machine.js';
import type { SimulatedNetwork } from './network.js';
import { SLICE, type HostPlan } from './plan.js';
import type { SimulatedDisk, SimulatedStorage } from './storage.js';
import type { Trace } from './trace.js';
import type { SimulatedTransport } from './transport.js';

/** What all members share. */
export interface Surroundings {
  readonly plan: HostPlan;
  readonly protocol: ProtocolChoice;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly network: SimulatedNetwork;
  readonly ledger: CommandLedger;
  readonly book: CallBook;
  readonly leaderships: ClusterLeaderships;
}

/** `lost`: it found out that its disk is not the one its peers know. */
export type MemberPhase = 'down' | 'opening' | 'up' | 'lost' | 'closing';

/** One start. */
interface MemberRun {
  readonly process: SimulatedProcess;
  readonly machine: HostMachine;
  readonly storage: SimulatedStorage;
  readonly transport: SimulatedTransport;
}

const OPEN_ERRORS = ['ERR_STORAGE_FAILED', 'ERR_STORAGE_LOCKED', 'ERR_TRANSPORT_FAILED'];
/** After this many milliseconds nothing of a closed replica may be left: deferred calls have had their turn. */
const QUIET = 1;

/** Nothing goes wrong but what the adversary does: failing disks, and disks that were wiped. */
function isExpected(event: ReplicaEvent): boolean {
  if (event.kind === 'fault') return event.code === 'ERR_STORAGE_FAILED' && event.reason.includes('simulated');
  if (event.kind === 'dropped') return event.reason.includes('incarnation');
  return !['configurationMismatch', 'optionIgnored', 'listenerFailed'].includes(event.kind);
}

const HOUR = 3_600_000;

/** How wall clocks go wrong, of half of the members: one is far ahead, one stands still, one steps to and fro. */
const WALL_CLOCKS: readonly ((time: number) => number)[] = [
  () => 0,
  () => 20,
  () => -20,
  () => 365 * 24 * HOUR,
  (time) => -time,
  (time) => (Math.floor(time / 700) % 2 === 0 ? HOUR : -HOUR),
];

export class SimulatedMember {
  readonly id: string;
  readonly disk: SimulatedDisk;
  phase: MemberPhase = 'down';
  replica: Replica<HostMachine> | null = null;
  run: MemberRun | null = null;
  /** Its disk was once wiped, so it never takes part again. */
  wiped = false;
  established = false;
  /** As its events say: a halted replica is closed by the supervisor. */
  halted = false;
  leads = false;
  private readonly world: Surroundings;
  private readonly dice: Dice;
  private readonly streams: Dice;
  private rate = 1;
  private follower: LeadershipWatcher | null = null;
  private mirror: ChangesWatcher | null = null;
  private readonly wrongClock: (time: number) => number;

  constructor(id: string, disk: SimulatedDisk, world: Surroundings, dice: Dice) {
    this.id = id;
    this.disk = disk;
    this.world = world;
    this.dice = dice;
    this.streams = dice.fork('streams');
    this.wrongClock = dice.fork('wall').pick(WALL_CLOCKS);
  }

  get process(): SimulatedProcess | null {
    return this.run?.process ?? null;
  }

  /** The replica, when callers can reach it now: they run in its process. */
  get reachable(): Replica<HostMachine> | null {
    const isUp = this.phase === 'up' || this.phase === 'lost';
    return isUp && this.isAwake ? this.replica : null;
  }

  /** Its event loop is neither stalled nor at work. */
  get isAwake(): boolean {
    return this.process?.stalled === false && this.process.lag === 0;
  }

  /** Whether it takes part, as far as it knows. */
  get serves(): boolean {
    return this.phase === 'up' && !this.halted && this.established;
  }

  /** As its application last heard. */
  get leadership(): Leadership | null {
    return this.follower?.last ?? null;
  }

  /** Its machine has applied so many commands, and who follows its changes has got them. */
  hasApplied(commands: number): boolean {
    return this.run?.machine.applied === commands && this.mirror?.hasGot(commands) === true;
  }

  setRate(rate: number): void {
    this.rate = rate;
    this.process?.setRate(rate);
  }

  private newRun(): MemberRun {
    const { schedule, network } = this.world;
    const process = new SimulatedProcess(schedule, this.id, this.dice.within(0, 1e6), this.rate);
    process.wrong = this.wrongClock;
    return {
      process,
      machine: this.newMachine(process),
      storage: this.disk.storage(process),
      transport: network.transport(process),
    };
  }

  private newMachine(process: SimulatedProcess): HostMachine {
    const { plan, ledger, trace } = this.world;
    const work = (): void => this.work(process);
    if (!plan.streams) return new ValueHostMachine(this.id, ledger, work);
    const pause = (milliseconds: number): Promise<void> => process.pause(milliseconds);
    return new StreamingHostMachine(this.id, ledger, work, { dice: this.streams, trace, pause });
  }

  /** Its machine applies a command. */
  private work(process: SimulatedProcess): void {
    const { plan, trace } = this.world;
    process.work(plan.cost);
    const cost = plan.cost * process.rate;
    if (process.longest < SLICE - cost) return;
    trace.cover('slice of applying');
    if (process.longest > SLICE + cost) {
      trace.violate('law/time-is-data', `${this.id} let no input in for ${process.longest.toFixed(1)} ms`);
    }
  }

  private optionsOf(run: MemberRun): ReplicaOptions<HostMachine> {
    const { plan, protocol } = this.world;
    const members = Object.fromEntries(plan.members.map((id) => [id, `at-${id}`]));
    return {
      id: this.id,
      members,
      protocol,
      transport: run.transport,
      storage: run.storage,
      machine: run.machine,
      bootstrap: plan.members.length === 1,
      requestTimeout: plan.requestTimeout,
      maxWaiting: plan.maxWaiting,
      changesBytes: plan.changesBytes,
      snapshots: plan.snapshotEntries === 0 ? false : { entries: plan.snapshotEntries },
      constants: plan.constants,
      clock: run.process.clock,
      random: () => this.dice.between(0, 2 ** 32 - 1),
      onEvent: (event) => this.told(run, event),
    };
  }

  start(): void {
    const run = this.newRun();
    this.run = run;
    this.phase = 'opening';
    this.world.trace.tell(`${this.id} starts`);
    createReplica(this.optionsOf(run)).then(
      (replica) => this.opened(run, replica),
      (error: unknown) => this.notOpened(run, error),
    );
  }

  private opened(run: MemberRun, replica: Replica<HostMachine>): void {
    if (!run.process.alive) return;
    this.replica = replica;
    if (this.phase === 'opening') this.phase = 'up';
    // The flag may have become durable just before a crash, and then no event says so.
    if (replica.status().phase === 'running') this.established = true;
    const { trace, ledger, leaderships } = this.world;
    this.follower = new LeadershipWatcher(this.id, replica, trace, leaderships);
    this.mirror = new ChangesWatcher(this.id, replica, ledger, trace);
  }

  private notOpened(run: MemberRun, error: unknown): void {
    if (!run.process.alive) return;
    this.checkOpenError(error);
    this.world.trace.tell(`${this.id} could not start: ${(error as Error).message}`);
    this.ended(run);
  }

  private checkOpenError(error: unknown): void {
    const known = error instanceof ConsensusError && OPEN_ERRORS.includes(error.code);
    if (!known) this.world.trace.violate('host/typed-errors', `${this.id} could not start: ${String(error)}`);
  }

  /** Another replica on the data of one that is open: refused, and the first does not notice. */
  startTwice(): void {
    const run = this.newRun();
    const first = this.run;
    const { trace, schedule } = this.world;
    trace.cover('second open');
    createReplica(this.optionsOf(run)).then(
      (replica) => {
        const isOpen = first?.process.alive === true && this.run === first && this.phase === 'up';
        if (isOpen) trace.violate('storage/one-writer', `${this.id} was opened twice`);
        return replica.close(); // the first ended just in time
      },
      (error: unknown) => {
        this.checkOpenError(error);
        schedule.after(QUIET, () => this.checkNothingLeft(run));
      },
    );
  }

  private told(run: MemberRun, event: ReplicaEvent): void {
    const { trace } = this.world;
    trace.tell(`${this.id} ${JSON.stringify(event)}`);
    if (run === this.run) this.note(event);
    if (event.kind === 'lostIdentity') {
      trace.cover('lost identity');
      if (!this.wiped)
        trace.violate('identity/kept-with-its-disk', `${this.id} lost its identity, and its disk was never wiped`);
    }
    if (!isExpected(event)) trace.violate('host/expected-events', `${this.id}: ${JSON.stringify(event)}`);
  }

  private note(event: ReplicaEvent): void {
    if (event.kind === 'established') this.established = true;
    if (event.kind === 'lostIdentity') this.phase = 'lost';
    if (event.kind === 'fault') this.halted = true;
    if (event.kind === 'leadership') this.leads = event.leading;
  }

  /** Ends its process as a loss of power would; `keep` says what becomes of a write that is under way. */
  crash(keep: boolean): void {
    const { trace, network, book } = this.world;
    const run = this.run;
    if (run === null) return;
    trace.tell(`${this.id} crashes`);
    run.process.kill();
    if (book.pending(run.process) > 0) trace.cover('crash with requests waiting');
    book.killed(run.process);
    this.disk.crash(keep);
    network.leave(run.transport, this.id);
    this.gone();
  }

  private gone(): void {
    this.phase = 'down';
    this.halted = false;
    this.leads = false;
    this.replica = null;
    this.run = null;
    this.follower = null;
    this.mirror = null;
  }

  /** Closes its replica; everything that waits there must end. */
  close(): void {
    const { replica, run, follower, mirror } = this;
    if (replica === null || run === null || this.phase === 'closing') return;
    const { trace, book } = this.world;
    trace.tell(`${this.id} closes`);
    if (book.pending(run.process) > 0) trace.cover('close with requests waiting');
    this.phase = 'closing';
    const closed = replica.close();
    this.checkClosed(replica);
    closed.then(
      () => {
        if (!run.process.alive) return;
        if (book.pending(run.process) > 0)
          trace.violate('liveness/close-ends', `${this.id}: ${book.waiting()} never ended`);
        if (follower?.ended === false)
          trace.violate('leadership/told-truly', `${this.id} closed, and its leadership goes on`);
        this.world.schedule.after(QUIET, () => mirror?.finish(run.machine.applied));
        this.ended(run);
      },
      (error: unknown) => trace.violate('host/close-is-final', `${this.id}: ${String(error)}`),
    );
  }

  /** A closed replica refuses at once, and can be closed again. */
  private checkClosed(replica: Replica<HostMachine>): void {
    const { trace } = this.world;
    if (replica.close() !== replica.close())
      trace.violate('host/close-is-final', `${this.id} closed twice in two ways`);
    try {
      void replica.propose({ op: 'refuse', id: 'never', key: '' });
      trace.violate('host/close-is-final', `${this.id} took a command after close`);
    } catch (error) {
      const fits = error instanceof ConsensusError && error.code === 'ERR_CLOSED' && error.outcome === 'none';
      if (!fits) trace.violate('host/close-is-final', `${this.id} refused a command after close with ${String(error)}`);
    }
  }

  /** The start is over, whichever way: nothing of it may be left. */
  private ended(run: MemberRun): void {
    this.gone();
    this.world.trace.tell(`${this.id} is down`);
    this.world.schedule.after(QUIET, () => this.checkNothingLeft(run));
  }

  private checkNothingLeft({ process, storage, transport }: MemberRun): void {
    if (!process.alive) return;
    const left = [
      process.pending > 0 ? `${process.pending} timers` : '',
      storage.isReleased ? '' : 'its storage',
      transport.isReleased ? '' : 'its transport',
    ].filter((what) => what !== '');
    if (left.length > 0 && !process.stalled) {
      this.world.trace.violate('limits/nothing-leaks', `${this.id} has ended and left ${left.join(', ')}`);
    }
  }
}
