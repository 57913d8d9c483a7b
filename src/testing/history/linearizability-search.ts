/**
 * The search for an order of one part's operations: Wing and Gong's algorithm with Lowe's memory ("Testing for
 * linearizability", 2017). Calls and returns stand in a linked list by time. An operation whose call comes before
 * the first return may be next: it is lifted out of the list, and put back when nothing can follow.
 */

import { invalidArgument } from '../../replica/errors.js';
import type { CompletedOperation, Operation, UnknownOperation } from './history.js';
import { ConfigurationSet, DoneSet, StateTable } from './linearizability-memo.js';
import { describeOperation, encodeState, refused, unknown, type SequentialModel } from './models.js';
import { canonicalText } from '../plain-data.js';

/** What ended, or may have taken effect without an end. */
export type Effective = CompletedOperation | UnknownOperation;

/** What is left to spend, over all parts of a history. */
export interface Budget {
  readonly deadline: number;
  readonly now: () => number;
  readonly steps: number;
  readonly bytes: number;
  /** Applications of the model so far. */
  spent: number;
}

export type Limit = 'time' | 'steps' | 'memory';

export type SearchResult<State> =
  | { readonly kind: 'order'; readonly order: readonly Effective[] }
  | { readonly kind: 'none'; readonly blocked: Blocked<State> }
  | { readonly kind: 'limit'; readonly limit: Limit };

/** Where the search got furthest in time: no order gets the return of `operation` past it. */
export interface Blocked<State> {
  readonly operation: CompletedOperation;
  /** An order of what comes before, and the state it leads to. */
  readonly order: readonly Effective[];
  readonly state: State;
  /** What may come next there, `operation` among it; none of it leads on. */
  readonly next: readonly Effective[];
}

/** How many applications of the model go by between two looks at the clock. */
const STEPS_PER_LOOK = 64;
const NOT_BLOCKED = -1;

/** An operation chosen: where its call stands in the list, and the state before. */
interface Choice {
  readonly call: number;
  readonly state: number;
  /** Whatever came of another choice would come of this one too: there is no use in trying one. */
  readonly final: boolean;
  /** The one before. */
  readonly under: Choice | null;
}

export class LinearizabilitySearch<State> {
  private readonly model: SequentialModel<State>;
  private readonly budget: Budget;
  private readonly operations: readonly Effective[];
  /** Of each entry of the list, by time: its operation. Entry `head` is before the first and after the last. */
  private readonly operationOf: Int32Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly head: number;
  /** Of each operation: its entries (no return if the outcome is unknown), its bit, and the older twin. */
  private readonly callOf: Int32Array;
  private readonly returnOf: Int32Array;
  private readonly bitOf: Int32Array;
  private readonly twinOf: Int32Array;
  private readonly isRead: Uint8Array;

  private readonly done: DoneSet;
  private readonly seen = new ConfigurationSet();
  private readonly states: StateTable<State>;
  /** The newest choice. A stack of values, so that keeping one that got far costs nothing. */
  private top: Choice | null = null;
  private state: number;
  private open: number;
  /** The furthest return that stood in the way, and what had been chosen then. */
  private furthest = NOT_BLOCKED;
  private blocked: Omit<Blocked<State>, 'order'> | null = null;
  private blockedAfter: Choice | null = null;

  constructor(model: SequentialModel<State>, part: readonly Effective[], budget: Budget) {
    this.model = model;
    this.budget = budget;
    this.operations = part.slice().sort((a, b) => a.call - b.call);
    const completed = part.filter(({ outcome }) => outcome === 'ok').length;
    this.open = completed;
    this.head = part.length + completed;
    this.operationOf = new Int32Array(this.head + 1);
    this.next = new Int32Array(this.head + 1);
    this.previous = new Int32Array(this.head + 1);
    this.callOf = new Int32Array(part.length);
    this.returnOf = new Int32Array(part.length).fill(this.head);
    this.bitOf = new Int32Array(part.length);
    this.twinOf = new Int32Array(part.length).fill(-1);
    this.done = new DoneSet(part.length - completed, completed);
    this.isRead = Uint8Array.from(this.operations, (operation) => Number(isReadOf(model, operation)));
    this.link();
    this.giveBits();
    this.states = new StateTable((state) => encodeState(model, state));
    this.state = this.states.numberOf(model.initial);
  }

  run(): SearchResult<State> {
    let at = this.next[this.head] as number;
    while (this.open > 0) {
      const operation = this.operationOf[at] as number;
      if (at === this.returnOf[operation]) {
        this.notice(at);
        const back = this.undo();
        if (back === null) return { kind: 'none', blocked: this.whatBlocked() };
        at = this.next[back] as number;
        continue;
      }
      const limit = this.limitReached();
      if (limit !== null) return { kind: 'limit', limit };
      at = (this.choose(operation) ? this.next[this.head] : this.next[at]) as number;
    }
    return { kind: 'order', order: this.orderUpTo(this.top) };
  }

  /** Lines up calls and returns by time; at equal times calls come first, for what touches is concurrent. */
  private link(): void {
    const entries: { time: number; operation: number; returns: boolean }[] = [];
    this.operations.forEach(({ call, outcome, return: end }, operation) => {
      entries.push({ time: call, operation, returns: false });
      if (outcome === 'ok') entries.push({ time: end, operation, returns: true });
    });
    entries.sort((a, b) => a.time - b.time || Number(a.returns) - Number(b.returns));
    entries.forEach(({ operation, returns }, at) => {
      this.operationOf[at] = operation;
      (returns ? this.returnOf : this.callOf)[operation] = at;
    });
    for (let at = 0; at <= this.head; at++) {
      this.next[at] = at === this.head ? 0 : at + 1;
      this.previous[at] = at === 0 ? this.head : at - 1;
    }
  }

  /**
   * Two operations of unknown outcome that ask the same are twins: only their calls tell them apart. The older one
   * may take effect whenever the younger may, so the younger one waits for it.
   */
  private giveBits(): void {
    const latest = new Map<string, number>();
    let unknowns = 0;
    let others = 0;
    this.operations.forEach(({ outcome, input }, operation) => {
      this.bitOf[operation] = outcome === 'unknown' ? unknowns++ : this.done.placeOfOther(others++);
      if (outcome !== 'unknown') return;
      const text = textOf(input);
      if (text === null) return;
      this.twinOf[operation] = latest.get(text) ?? -1;
      latest.set(text, operation);
    });
  }

  /** Lets an operation come next, if it can and leads to something new. */
  private choose(operation: number): boolean {
    const { outcome } = this.operations[operation] as Effective;
    const twin = this.twinOf[operation] as number;
    if (twin >= 0 && !this.done.has(this.bitOf[twin] as number)) return false;
    const after = this.apply(operation);
    if (after === null) return false;
    const idle = after === this.state;
    if (!idle && this.isRead[operation] === 1) throw this.noRead(operation);
    // What may have happened and would change nothing need not have happened.
    if (idle && outcome === 'unknown') return false;
    this.done.add(this.bitOf[operation] as number);
    if (!this.seen.add(this.done, after)) {
      this.done.remove(this.bitOf[operation] as number);
      return false;
    }
    // A read may as well come now: any order that has it later stays one if it is moved here.
    const call = this.callOf[operation] as number;
    this.top = { call, state: this.state, final: this.isRead[operation] === 1, under: this.top };
    this.state = after;
    this.lift(operation);
    return true;
  }

  private noRead(operation: number): Error {
    const { input, ...end } = this.operations[operation] as Effective;
    const output = end.outcome === 'ok' ? end.output : unknown;
    const words = describeOperation(this.model, input, output);
    return invalidArgument(`the ${this.model.name} model calls ${words} a read, and it changes the state`);
  }

  /** Takes choices back up to one that has an alternative. @returns where its call stands, `null` if there is none */
  private undo(): number | null {
    for (;;) {
      const choice = this.top;
      if (choice === null) return null;
      this.top = choice.under;
      const operation = this.operationOf[choice.call] as number;
      this.unlift(operation);
      this.done.remove(this.bitOf[operation] as number);
      this.state = choice.state;
      if (!choice.final) return choice.call;
    }
  }

  private lift(operation: number): void {
    this.takeOut(this.callOf[operation] as number);
    if (this.returnOf[operation] === this.head) return;
    this.takeOut(this.returnOf[operation] as number);
    this.open--;
  }

  /** In the reverse order of `lift`, so that each entry finds its neighbours as it left them (dancing links). */
  private unlift(operation: number): void {
    if (this.returnOf[operation] !== this.head) {
      this.putBack(this.returnOf[operation] as number);
      this.open++;
    }
    this.putBack(this.callOf[operation] as number);
  }

  private takeOut(at: number): void {
    this.next[this.previous[at] as number] = this.next[at] as number;
    this.previous[this.next[at] as number] = this.previous[at] as number;
  }

  private putBack(at: number): void {
    this.next[this.previous[at] as number] = at;
    this.previous[this.next[at] as number] = at;
  }

  /** @returns the number of the state after, `null` if the operation cannot have ended so */
  private apply(operation: number): number | null {
    this.budget.spent++;
    const done = this.operations[operation] as Effective;
    const before = this.states.states[this.state] as State;
    const after = this.model.step(before, done.input, done.outcome === 'ok' ? done.output : unknown);
    if (after === refused) return null;
    return Object.is(after, before) ? this.state : this.states.numberOf(after);
  }

  private limitReached(): Limit | null {
    const { budget } = this;
    if (budget.spent >= budget.steps) return 'steps';
    if (this.seen.bytes + this.states.bytes > budget.bytes) return 'memory';
    return budget.spent % STEPS_PER_LOOK === 0 && budget.now() > budget.deadline ? 'time' : null;
  }

  /** A return stands in the way: of all these the furthest is what cannot be explained. */
  private notice(at: number): void {
    if (at <= this.furthest) return;
    this.furthest = at;
    const next: Effective[] = [];
    for (let call = this.next[this.head] as number; call !== at; call = this.next[call] as number) {
      next.push(this.operations[this.operationOf[call] as number] as Effective);
    }
    const operation = this.operations[this.operationOf[at] as number] as CompletedOperation;
    this.blocked = { operation, state: this.states.states[this.state] as State, next };
    this.blockedAfter = this.top;
  }

  private whatBlocked(): Blocked<State> {
    return { ...(this.blocked as Omit<Blocked<State>, 'order'>), order: this.orderUpTo(this.blockedAfter) };
  }

  private orderUpTo(top: Choice | null): Effective[] {
    const order: Effective[] = [];
    for (let choice = top; choice !== null; choice = choice.under) {
      order.push(this.operations[this.operationOf[choice.call] as number] as Effective);
    }
    return order.reverse();
  }
}

function isReadOf(model: SequentialModel<any>, operation: Effective): boolean {
  return operation.outcome === 'ok' && model.isRead?.(operation.input, operation.output) === true;
}

/** By which twins are known; `null` for an input that is no plain data and so has none. */
function textOf(input: Operation['input']): string | null {
  try {
    return canonicalText(input);
  } catch {
    return null;
  }
}
