/**
 * A program that remembers its steps. A search meets the same replica in the same state in very many worlds, and its
 * step for a message is the same in all of them (law/pure), so it is computed once. Equal states and messages become
 * the same object, so that they can be compared by identity.
 */

import type { ReplicaId } from '../../core/members.js';
import type { CoreProcess } from '../world/core-process.js';
import { PartDigest, type Names, type Part } from './fingerprint.js';
import { digestPlain } from './fingerprint-parts.js';
import type { Payload, ProcessEffect, ProcessEvent, ProcessStep, Program, Start } from '../world/process.js';
import type { Watch } from '../world/observed.js';

type Facts = Watch['facts'];

/** The effect that sends a message. */
export type AnswerEffect = Extract<ProcessEffect, { readonly kind: 'send' }>;

type Arrival = Extract<ProcessEvent, { readonly kind: 'message' }>;

interface Remembered {
  readonly step: ProcessStep;
  readonly facts: Facts;
  /** The messages that it sends, if the step has no other effect and leaves the state as it is; `null` otherwise. */
  readonly answers: readonly AnswerEffect[] | null;
}

/** The remembered steps of one state, by event. */
interface Known {
  readonly now: number;
  /** By the number of the message and its sender. */
  readonly messages: Map<number, Remembered>;
  /** By the first half of the event's hash, with the second to compare. */
  readonly others: Map<number, readonly (Remembered & { readonly b: number })[]>;
  /** The remembered steps of the same state at another time. */
  next: Known | null;
}

/** Replaces equal values by the one that was met first. */
class Interner {
  private readonly digest: PartDigest;
  private readonly found = new Map<number, { readonly b: number; readonly value: object }[]>();

  constructor(digest: PartDigest) {
    this.digest = digest;
  }

  intern<T extends object>(value: T): T {
    digestPlain(value, this.digest);
    const { a, b } = this.digest.take();
    const there = this.found.get(a);
    if (there === undefined) {
      this.found.set(a, [{ b, value }]);
      return value;
    }
    const same = there.find((each) => each.b === b);
    if (same !== undefined) return same.value as T;
    there.push({ b, value });
    return value;
  }
}

export class RememberingProgram implements Program {
  readonly kind: Program['kind'];
  readonly deadline: Program['deadline'];
  readonly core: Program['core'];
  readonly health: Program['health'];
  readonly isLeaving: Program['isLeaving'];
  readonly fault: Program['fault'];
  readonly message: Program['message'];
  readonly describe: Program['describe'];
  readonly digest: Program['digest'];
  private readonly program: Program;
  private readonly asSet: boolean;
  private readonly watch: Watch;
  private readonly names: Names;
  private readonly exact: PartDigest;
  private readonly states: Interner;
  private readonly payloads: Interner;
  private readonly numbers = new Map<object, number>();
  private readonly known = new Map<unknown, Known>();
  private readonly noted: (facts: Facts) => void;

  /**
   * @param asSet whether messages are a set, in which no message is twice
   * @param noted called with the facts of every new step
   */
  constructor(program: Program, watch: Watch, names: Names, asSet: boolean, noted: (facts: Facts) => void) {
    this.program = program;
    this.asSet = asSet;
    this.watch = watch;
    this.names = names;
    this.noted = noted;
    this.exact = new PartDigest(names);
    this.states = new Interner(this.exact);
    this.payloads = new Interner(this.exact);
    this.kind = program.kind;
    this.deadline = (state) => program.deadline(state);
    this.core = (state) => program.core(state);
    this.health = (state) => program.health(state);
    this.isLeaving = (state) => program.isLeaving(state);
    this.fault = (state) => program.fault(state);
    this.message = (payload) => program.message(payload);
    this.describe = (payload) => program.describe(payload);
    this.digest = (state, now, digest, message) => program.digest(state, now, digest, message);
  }

  start(start: Start): ProcessStep {
    const [state, effects] = this.program.start(start);
    this.noted(this.watch.facts);
    return [this.states.intern(state as object), this.interned(effects)];
  }

  step(state: unknown, event: ProcessEvent): ProcessStep {
    const known = this.knownAt(state, event.now);
    const { facts } = this.watch;
    const found = event.kind === 'message' ? this.onMessage(known, state, event) : this.onOther(known, state, event);
    for (let i = 0; i < found.facts.length; i++) facts.push(found.facts[i]!);
    return found.step;
  }

  /** Whether it is known that this message has no effect on a process in this state. */
  isIdle(state: unknown, now: number, from: ReplicaId, payload: Payload): boolean {
    const found = this.knownAt(state, now).messages.get(this.keyOf(from, payload));
    return found !== undefined && found.step[0] === state && found.step[1].length === 0;
  }

  /**
   * The messages that a process sends for this message, if the step has no other effect; `null` otherwise.
   * @throws the error of a check or of the code under test
   */
  answersTo(state: unknown, event: Arrival, to: ReplicaId): readonly AnswerEffect[] | null {
    this.watch.replica = to;
    return this.onMessage(this.knownAt(state, event.now), state, event).answers;
  }

  private knownAt(state: unknown, now: number): Known {
    let at = this.known.get(state) ?? null;
    const first = at;
    while (at !== null && at.now !== now) at = at.next;
    if (at !== null) return at;
    const fresh: Known = { now, messages: new Map(), others: new Map(), next: first };
    this.known.set(state, fresh);
    return fresh;
  }

  private keyOf(from: ReplicaId, payload: Payload): number {
    let number = this.numbers.get(payload);
    if (number === undefined) this.numbers.set(payload, (number = this.numbers.size));
    return number * this.names.size + this.names.place(from);
  }

  private onMessage(known: Known, state: unknown, event: Arrival): Remembered {
    const key = this.keyOf(event.from, event.bytes);
    let found = known.messages.get(key);
    if (found === undefined) known.messages.set(key, (found = this.work(state, event)));
    return found;
  }

  private onOther(known: Known, state: unknown, event: ProcessEvent): Remembered {
    digestPlain(event, this.exact);
    const { a, b }: Part = this.exact.take();
    const there = known.others.get(a) ?? [];
    const found = there.find((each) => each.b === b);
    if (found !== undefined) return found;
    const fresh = { ...this.work(state, event), b };
    known.others.set(a, [...there, fresh]);
    return fresh;
  }

  private work(state: unknown, event: ProcessEvent): Remembered {
    const { facts } = this.watch;
    const before = facts.length;
    const [after, effects] = this.program.step(state, event);
    const seen = facts.splice(before);
    this.noted(seen);
    const reduced = this.asSet ? this.withoutRepeats(after as CoreProcess) : (after as object);
    const step: ProcessStep = [this.states.intern(reduced), this.interned(effects)];
    const answers = step[0] === state && step[1].every(isAnswer) ? (step[1] as readonly AnswerEffect[]) : null;
    return { step, facts: seen, answers };
  }

  /**
   * Drops a held message that is equal to another one held for the same write: in a set it is not new. Otherwise a
   * message that arrives again and again before the write ends would add held answers without end.
   */
  private withoutRepeats(process: CoreProcess): CoreProcess {
    const held: CoreProcess['held'][number][] = [];
    for (const send of process.held) {
      const message = this.payloads.intern(send.message as object);
      const known = held.some(({ to, message: other, after }) => {
        return to === send.to && other === message && after <= send.after;
      });
      if (!known) held.push({ ...send, message });
    }
    return held.length === process.held.length ? process : { ...process, held };
  }

  private interned(effects: readonly ProcessEffect[]): readonly ProcessEffect[] {
    return effects.map((effect) =>
      effect.kind === 'send' ? { ...effect, bytes: this.payloads.intern(effect.bytes) } : effect,
    );
  }
}

function isAnswer(effect: ProcessEffect): effect is AnswerEffect {
  return effect.kind === 'send';
}
