/**
 * Traces: the facts of a run as lines of text. `n1 → n2 RequestVote t1 last=0`: the message arrives. `n1 ⇢ n2 …`: it is
 * sent and still under way at the end of the section. `n1 ✗ n2 …`: it never arrives. `n1 ⊘ n2 …`: it never leaves.
 * `n2 follower t1 voted n1 …` is a replica's new state, in the model's words. `[150]` before a line is the true time in
 * milliseconds, given when it differs from that of the line before.
 *
 * Facts without a visible change have no line: reports of writes and applying, and repeated messages of a protocol.
 */

import type { AnyModel, Model, StepFact } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { ReplicaEvent } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import type { Action } from './actions.js';
import type { Fact, Observer } from './facts.js';

interface TraceLine {
  readonly at: Milliseconds;
  readonly text: string;
}

type MessageFact = Extract<Fact, { kind: 'send' | 'deliver' | 'drop' }>;

/** A message that was sent; `at`: the position of its line. */
interface HeldLine {
  readonly at: number;
  readonly link: string;
  readonly text: string;
}

const TEXT_LIMIT = 80;

function shortened(text: string): string {
  return text.length <= TEXT_LIMIT ? text : `${text.slice(0, TEXT_LIMIT)}…`;
}

/** A command in a line. */
export function describeCommand(command: unknown): string {
  return shortened(JSON.stringify(command) ?? String(command));
}

/** A result in a line. */
export function describeResult({ value, rejected }: StoredResult): string {
  const plain = value instanceof Uint8Array ? String.fromCharCode(...value.subarray(0, 200)) : String(value);
  return shortened(rejected ? `rejected ${plain}` : plain);
}

function describeEvent(event: ReplicaEvent): string | null {
  switch (event.kind) {
    case 'role':
      return null; // the line of the replica's state shows it
    case 'leadership':
      return event.leading ? `leads fence=${event.fence}` : 'no longer leads';
    case 'established':
      return 'is established';
    case 'lostIdentity':
      return `has lost its identity: ${event.peer} knows it by other data`;
    case 'configurationMismatch':
      return `was given another configuration than ${event.peer}`;
    case 'dropped':
      return `drops what ${event.peer} sent: ${event.reason}`;
    case 'fault':
      return `halts: ${event.code}`;
    case 'timing': {
      const { holds, part, measured, total, bound } = event;
      const times = `${Math.round(total)} of ${bound} ms, ${part} ${Math.round(measured)}`;
      return `${holds ? 'keeps' : 'breaks'} the timing assumption: ${times}`;
    }
    case 'clock':
      return event.isOff ? `has a clock that is ${event.ahead} ms ahead of log time` : 'has a clock near log time';
    case 'stalled':
      return `gives way: its disk has stalled for ${Math.round(event.waited)} ms`;
    case 'peer':
      return `takes ${event.peer} for ${event.health}`;
    case 'listenerFailed':
      return `has a listener of ${event.of} that failed: ${event.reason}`;
    case 'optionIgnored':
      return `ignores its option ${event.option}`;
    case 'snapshot':
      return `snapshot at ${event.index} ${event.event}`;
    case 'storage':
      return `storage ${event.event}: ${event.reason}`;
    case 'transport':
      return `transport ${event.event}: ${event.reason}`;
  }
}

const ASKED = { read: 'read', staleRead: 'read', transfer: 'transfer' } as const;

/** The actions whose effect on a disk has a line; writes that are eager have none. */
const DISK_ACTIONS: readonly Action['kind'][] = ['sync', 'written', 'crash', 'failStorage'];

/** Turns facts into lines as they come. */
export class TraceWriter {
  /** While true, a message that changed nothing has no line, nor has one that is sent. */
  quiet = false;
  /** Give this to a world. */
  readonly observe: Observer;
  private readonly model: AnyModel;
  private readonly states = new Map<ReplicaId, string>();
  private lines: (TraceLine | null)[] = [];
  private held: HeldLine[] = [];
  private arrived: string | null = null;
  private acting: Action['kind'] = 'wait';
  private vain = false;
  private shownAt: Milliseconds = 0;
  private now: Milliseconds = 0;

  constructor(model: Model<any, any, any>) {
    this.model = model as AnyModel;
    this.observe = (fact) => this.note(fact);
  }

  /** Returns the lines since the last call, oldest first, as one section. */
  take(): string[] {
    this.close();
    const lines: string[] = [];
    for (const line of this.lines) {
      if (line === null) continue;
      lines.push(line.at === this.shownAt ? line.text : `[${line.at}] ${line.text}`);
      this.shownAt = line.at;
    }
    this.lines = [];
    this.held = [];
    return lines;
  }

  /** A line of the caller's own. */
  add(line: string): void {
    if (this.arrived !== null) {
      const arrived = this.arrived;
      this.arrived = null;
      this.add(arrived);
    }
    this.lines.push({ at: this.now, text: line });
  }

  private begin(kind: Action['kind']): void {
    this.arrived = null;
    this.acting = kind;
    this.vain = kind === 'deliver' || kind === 'duplicate' || kind === 'drop';
  }

  /** Ends an action. If it was about a message that is not under way, a line says so. */
  private close(): void {
    if (this.vain) this.add('no such message');
    this.vain = false;
  }

  private note(fact: Fact): void {
    if (fact.kind === 'action') this.close();
    else this.vain = false;
    this.now = fact.at;
    switch (fact.kind) {
      case 'action':
        return this.begin(fact.action.kind);
      case 'step':
        return this.step(fact.fact);
      case 'send':
        return this.quiet ? undefined : this.sent(fact);
      case 'deliver':
        return this.deliver(fact);
      case 'drop':
        return this.drop(fact);
      case 'durable':
        return !this.quiet && DISK_ACTIONS.includes(this.acting) ? this.add(`${fact.replica} durable`) : undefined;
      default:
        return this.tell(fact);
    }
  }

  private tell(fact: Exclude<Fact, { kind: 'action' | 'step' | 'send' | 'deliver' | 'drop' | 'durable' }>): void {
    switch (fact.kind) {
      case 'asked': {
        const what = fact.asks === 'write' ? `propose ${describeCommand(fact.command)}` : ASKED[fact.asks];
        return this.add(`call ${fact.call} at ${fact.replica}: ${what}`);
      }
      case 'applied': {
        const result = describeResult(fact.result);
        return this.add(`${fact.replica} applies ${fact.index}: ${describeCommand(fact.command)} = ${result}`);
      }
      case 'answered':
        return this.add(`call ${fact.call} acknowledged index=${fact.index} result=${describeResult(fact.result)}`);
      case 'served':
        return this.add(`call ${fact.call} served index=${fact.index}`);
      case 'transferred':
        return this.add(`call ${fact.call} transferred leader=${fact.leader}`);
      case 'failed':
        return this.add(`call ${fact.call} failed ${fact.failure.outcome} ${fact.failure.code}`);
      case 'event': {
        const text = describeEvent(fact.event);
        return text === null ? undefined : this.add(`${fact.replica} ${text}`);
      }
      case 'ended':
        return this.add(`${fact.replica} ${fact.why === 'crash' ? 'crashes' : 'stops'}`);
    }
  }

  private describe({ message, own }: MessageFact): string {
    return message === null ? own : this.model.describeMessage(message);
  }

  private step({ replica, before, after }: StepFact<unknown, unknown>): void {
    if (before === after) return;
    const text = this.model.describeState(after);
    if (before !== null && this.states.get(replica) === text) return;
    this.states.set(replica, text);
    this.add(before === null ? `${replica} starts: ${text}` : `${replica} ${text}`);
  }

  private sent(fact: MessageFact): void {
    const { from, to, lost, refused } = fact;
    const text = this.describe(fact);
    this.add(`${from} ${refused ? '⊘' : lost ? '✗' : '⇢'} ${to} ${text}`);
    if (!lost) this.held.push({ at: this.lines.length - 1, link: `${from} ${to}`, text });
  }

  private deliver(fact: MessageFact): void {
    const { from, to } = fact;
    const text = this.describe(fact);
    this.withdraw(`${from} ${to}`, text);
    const line = `${from} → ${to} ${text}`;
    if (this.quiet) this.arrived = line;
    else this.add(line);
  }

  private drop(fact: MessageFact): void {
    if (this.quiet) return;
    const { from, to } = fact;
    const text = this.describe(fact);
    this.withdraw(`${from} ${to}`, text);
    this.add(`${from} ✗ ${to} ${text}`);
  }

  /** Removes the line of the sending of a message that arrives in the same section. */
  private withdraw(link: string, text: string): void {
    const at = this.held.findIndex((each) => each.link === link && each.text === text);
    const [held] = at < 0 ? [] : this.held.splice(at, 1);
    if (held !== undefined) this.lines[held.at] = null;
  }
}

/** The trace of these facts as one section. @param model that of the facts' world */
export function traceOf(model: Model<any, any, any>, facts: Iterable<Fact>): readonly string[] {
  const writer = new TraceWriter(model);
  for (const fact of facts) writer.observe(fact);
  return writer.take();
}
