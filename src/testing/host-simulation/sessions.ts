/**
 * A client with a session that outlives processes: it asks any member, one command after the other, and tries each one
 * again, on another member, after a new attach, or once more after its answer, until it knows the result. It keeps on
 * its own disk what a client has to keep: name, id, the sequence and its command.
 *
 * Checked here: each sequence is answered by one result, whoever answers, and no session goes while its client gives
 * signs. That a command takes effect once the ledger checks.
 */

import { ConsensusError } from '../../replica/errors.js';
import type { Replica } from '../../replica/replica.js';
import type { ClientSession } from '../../replica/session.js';
import type { Dice } from '../random.js';
import type { SimulatedProcess } from './clock.js';
import type { HostCommand, HostMachine, HostResult } from './machine.js';
import type { SimulatedMember, Surroundings } from './member.js';

/** What a client has to try again for, with the same handle or with another one. */
const PASSES = [
  ...['ERR_BUSY', 'ERR_CLOSED', 'ERR_LOST_IDENTITY', 'ERR_NO_LEADER', 'ERR_OUTCOME_UNKNOWN', 'ERR_TIMEOUT'],
  ...['ERR_SESSION_FENCED', 'ERR_STORAGE_FAILED', 'ERR_STORAGE_FULL'],
];

/** A session as attached at one start of a member. */
interface Attached {
  readonly process: SimulatedProcess;
  readonly handle: ClientSession<HostMachine>;
}

export class SimulatedSessionClient {
  private readonly name: string;
  private readonly members: readonly SimulatedMember[];
  private readonly world: Surroundings;
  private readonly dice: Dice;
  /** Notes: the session, as soon as it is known, and the command that is not done with. */
  private id: number | null = null;
  private sequence = 1;
  /** The place of its effect, once it is known. */
  private place: number | null = null;
  private attached: Attached | null = null;
  /** The one before it, which the newest has fenced. */
  private before: Attached | null = null;
  private process: SimulatedProcess | null = null;
  private stopped = false;

  constructor(name: string, members: readonly SimulatedMember[], world: Surroundings, dice: Dice) {
    this.name = name;
    this.members = members;
    this.world = world;
    this.dice = dice;
  }

  /** Asks until it is stopped. */
  start(): this {
    const { schedule, plan } = this.world;
    schedule.after(this.dice.within(1, plan.think), () => {
      if (this.process?.alive === false) this.process = null; // nobody answers any more
      if (this.process === null) this.act();
      if (!this.hasEnded) this.start();
    });
    return this;
  }

  /** Begins nothing new. */
  stop(): void {
    this.stopped = true;
  }

  /** Whether it knows what became of its last command. */
  get hasEnded(): boolean {
    return this.stopped && (this.id === null || this.place !== null) && this.process === null;
  }

  private get command(): HostCommand {
    const id = `${this.name}.${this.sequence}`;
    return { op: 'set', id, key: this.name, value: id };
  }

  private act(): void {
    if (this.hasEnded) return;
    const { attached, dice } = this;
    const isHere = attached?.process.alive === true && dice.chance(0.8);
    if (!isHere) return this.attach();
    if (this.place !== null && dice.chance(0.7)) {
      attached.handle.completed(this.sequence);
      this.sequence += 1;
      this.place = null;
    }
    const { before } = this;
    if (before?.process.alive === true && dice.chance(0.2)) this.propose(before, () => this.notFenced());
    else this.propose(attached, ({ position }) => this.answered(position));
  }

  private propose({ process, handle }: Attached, then: (result: HostResult) => void): void {
    this.follow(process, () => handle.propose(this.command, { sequence: this.sequence }), then);
  }

  /** A handle from before the newest attach is of no use. */
  private notFenced(): void {
    this.world.trace.violate('sessions/epoch-fences', `${this.command.id} was taken from an earlier attach`);
  }

  private attach(): void {
    const reachable = this.members.filter((member) => member.reachable !== null && member.run !== null);
    if (reachable.length === 0) return;
    const member = this.dice.pick(reachable);
    const [replica, process] = [member.reachable as Replica<HostMachine>, member.process as SimulatedProcess];
    const options = this.id === null ? {} : { id: this.id };
    const attached = (handle: ClientSession<HostMachine>): void => {
      this.world.trace.cover('session attached');
      if (this.sequence > 1) handle.completed(this.sequence - 1);
      this.id = handle.id;
      this.before = this.attached;
      this.attached = { process, handle };
    };
    this.follow(process, () => replica.session(this.name, options), attached);
  }

  private answered(position: number): void {
    const { trace, ledger } = this.world;
    const { id } = this.command;
    if (this.place !== null) trace.cover('session answers a retry');
    if (position !== (this.place ?? position) || ledger.positions.get(id) !== position) {
      const what = `${id} was answered by ${position}, and took effect at ${String(ledger.positions.get(id))}`;
      trace.violate('sessions/retry-gets-the-first-result', what);
    }
    this.place = position;
  }

  /** Follows a promise of a replica in this process. */
  private follow<T>(process: SimulatedProcess, ask: () => Promise<T>, then: (value: T) => void): void {
    this.process = process;
    const ended = (now: () => void): void => {
      if (this.process !== process || !process.alive) return;
      this.process = null;
      now();
    };
    let asked: Promise<T>;
    try {
      asked = ask();
    } catch (error) {
      return ended(() => this.failed(error));
    }
    asked.then(
      (value) => ended(() => then(value)),
      (error: unknown) => ended(() => this.failed(error)),
    );
  }

  private failed(error: unknown): void {
    const { trace } = this.world;
    const code = error instanceof ConsensusError ? error.code : '';
    trace.tell(`${this.name} ${this.sequence} failed: ${String(error)}`);
    this.attached = null;
    this.before = null;
    if (code === 'ERR_SESSION_FENCED') trace.cover('session fenced');
    if (code === 'ERR_SESSION_EXPIRED') {
      trace.violate('sessions/expires-by-log-time', `${this.name} gives signs, and its session is gone`);
    }
    if (!PASSES.includes(code)) trace.violate('host/typed-errors', `${this.name} failed with ${String(error)}`);
  }
}
