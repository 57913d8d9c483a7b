/**
 * Checks the changes that an application follows: beside the ledger each command is there once, in the order of the
 * log, with its result or its reason, and a consumer misses some only where it is told so.
 */

import type { AppliedChange, Change, RejectedChange } from '../../replica/changes.js';
import { ChangesTrimmed, ConsensusError } from '../../replica/errors.js';
import type { Replica } from '../../replica/replica.js';
import type { CommandLedger, HostMachine, HostResult } from './machine.js';
import type { Trace } from './trace.js';

const RULE = 'host/changes-are-what-was-applied';
/** The codes of what ends a replica, and with it its changes. */
const ENDS: readonly string[] = ['ERR_STORAGE_FAILED', 'ERR_LOST_IDENTITY'];

/** The place of a command among those that were applied, as its result or its reason says. */
function positionOf(change: Change<HostMachine>): number {
  if (change.kind === 'applied') return (change as AppliedChange<HostMachine>).result.position;
  const { reason } = change as RejectedChange<HostMachine>;
  return typeof reason === 'string' ? Number(/^boom at (\d+)$/.exec(reason)?.[1]) : (reason as HostResult).position;
}

/** Follows the changes of one start from its first on, until the replica ends or its process is killed. */
export class ChangesWatcher {
  /** It has got all that there is to get. */
  private ended = false;
  /** The place of the last change among the commands, and its index. */
  private position = 0;
  private index = 0;
  private isTrimmed = false;
  private readonly name: string;
  private readonly replica: Replica<HostMachine>;
  private readonly ledger: CommandLedger;
  private readonly trace: Trace;

  constructor(name: string, replica: Replica<HostMachine>, ledger: CommandLedger, trace: Trace) {
    this.name = name;
    this.replica = replica;
    this.ledger = ledger;
    this.trace = trace;
    this.follow(1).catch((error: unknown) => trace.violate(RULE, `${name}: ${String(error)}`));
  }

  private async follow(from: number): Promise<void> {
    try {
      for await (const change of this.replica.changes({ from })) this.see(change);
    } catch (error) {
      if (error instanceof ChangesTrimmed) return this.skip(from, error.firstIndex);
      if (!(error instanceof ConsensusError) || !ENDS.includes(error.code)) throw error;
    }
    this.ended = true;
  }

  /** Some are no longer kept: it goes on where they begin, unless the replica is closed by now. */
  private async skip(from: number, firstIndex: number): Promise<void> {
    const { name, trace } = this;
    trace.cover('changes trimmed');
    trace.tell(`${name} misses changes up to ${firstIndex}`);
    if (firstIndex <= Math.max(from, this.index)) trace.violate(RULE, `${name} was told to begin at ${firstIndex}`);
    this.isTrimmed = true;
    try {
      await this.follow(firstIndex);
    } catch (error) {
      if (!(error instanceof ConsensusError) || error.code !== 'ERR_CLOSED') throw error;
      this.ended = true;
    }
  }

  private see(change: Change<HostMachine>): void {
    const { name, trace, ledger } = this;
    const { index, command } = change;
    const position = positionOf(change);
    const follows = this.isTrimmed ? position > this.position : position === this.position + 1;
    const what = `${command.id}, ${change.kind} at ${index}, in place ${position}`;
    if (!follows || index <= this.index) {
      trace.violate(RULE, `${name} got ${what} after ${this.index}, in place ${this.position}`);
    }
    const kind = command.op === 'refuse' || command.op === 'boom' ? 'rejected' : 'applied';
    if (ledger.commands[position - 1]?.id !== command.id || change.kind !== kind) {
      trace.violate(RULE, `${name} got ${what}, and the ledger has ${ledger.commands[position - 1]?.id ?? 'none'}`);
    }
    this.position = position;
    this.index = index;
    this.isTrimmed = false;
  }

  /** Whether it has got all changes up to the last of so many, or those that it misses are no longer kept. */
  hasGot(applied: number): boolean {
    return this.isTrimmed || this.position === applied;
  }

  /** The replica is closed: it must have got everything that the machine applied and that is kept. */
  finish(applied: number): void {
    const { name, trace, position } = this;
    if (!this.ended) trace.violate(RULE, `${name} closed, and its changes go on`);
    else if (!this.hasGot(applied)) {
      trace.violate(RULE, `${name} applied ${applied} commands, and its changes end in place ${position}`);
    }
    trace.cover('changes to the end');
  }
}
