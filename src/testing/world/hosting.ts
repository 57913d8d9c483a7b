/**
 * What a simulated machine room does for its processes: runs them, carries out what they want done, and checks it on
 * the way. Nothing here waits: writes, loads and applying stand in the slot until an action finishes them, unless the
 * rules say that they are eager.
 */

import { InvariantViolation, unreachable } from '../../core/assert.js';
import { type StepFact } from '../../core/model.js';
import { sameValue } from '../../core/entries.js';
import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { ReplicaEvent } from '../../replica/driver/state.js';
import { read, written } from './disk.js';
import type { ProcessEffect, ProcessEvent, ProcessStep } from './process.js';
import { WorldDraft } from './draft.js';
import type { Flight, Slot } from './state.js';

/** What a storage that fails says. */
const EIO = 'EIO';

/** Told about what came under way, so that a scheduler need not search for it. */
export interface Watcher {
  sent(from: number, to: number, flight: Flight): void;
  /** A replica took part in something: its deadline, write, loads and machine may want attention. */
  touched(place: number): void;
}

export class Hosting extends WorldDraft {
  watcher: Watcher | null = null;
  /** Told about every step of a core. */
  onStep: ((fact: StepFact<unknown, unknown>) => void) | null = null;
  /** What happens to replicas before the action under way is over, in order. */
  protected readonly pending: { readonly place: number; readonly event: ProcessEvent }[] = [];

  /** Something happens to a process, at its own time. */
  protected event(place: number, event: ProcessEvent): void {
    const { process } = this.slots[place] as Slot;
    if (process === null) return;
    const { watch, ids, program } = this.rules;
    watch.begin(ids[place] as ReplicaId);
    this.take(place, program.step(process, event));
  }

  protected take(place: number, [process, effects]: ProcessStep): void {
    const { watch, program } = this.rules;
    const healthy = (this.slots[place] as Slot).process;
    const before = healthy === null ? 'running' : program.health(healthy);
    this.ownSlot(place).process = process;
    const { facts, error } = watch;
    if (error !== null) throw error;
    for (let i = 0; i < facts.length; i++) this.observe(place, facts[i] as StepFact<unknown, unknown>);
    facts.length = 0;
    for (let i = 0; i < effects.length; i++) this.perform(place, effects[i] as ProcessEffect);
    if (before === 'running') this.explainEnd(place);
    this.watcher?.touched(place);
  }

  /** A replica halts when its storage failed, and gives up when its disk is lost. All else is a bug of somebody. */
  private explainEnd(place: number): void {
    const { id, failing, process, wiped } = this.slots[place] as Slot;
    const { program } = this.rules;
    const health = program.health(process);
    const fault = program.fault(process) ?? '';
    if (health === 'halted' && !(failing !== null && fault.includes(EIO))) {
      throw new InvariantViolation(`host/halts-for-a-cause: ${id} halted: ${fault}`);
    }
    if (health !== 'lostIdentity' || wiped !== null) return;
    throw new InvariantViolation(
      `identity/kept-with-its-disk: a replica that has its disk keeps its identity: ${id} gave it up`,
    );
  }

  private observe(place: number, fact: StepFact<unknown, unknown>): void {
    if (this.observer !== undefined) this.tell({ kind: 'step', fact });
    this.onStep?.(fact);
    for (let i = 0; i < fact.outbound.length; i++) {
      const outbound = fact.outbound[i];
      if (outbound?.kind === 'commit') for (const entry of outbound.entries) this.deliver(place, entry);
    }
    this.ghost = this.rules.model.safety.step(this.ghost, fact, this.view);
  }

  private deliver(place: number, entry: Entry): void {
    const slot = this.ownSlot(place);
    const first = this.record.deliver(slot.id, slot.delivered, entry);
    slot.delivered = entry.index;
    if (first) this.demandDurable(entry);
  }

  /** What is handed over anywhere is on the disks of a majority by then. */
  private demandDurable(entry: Entry): void {
    let disks = 0;
    for (const { disk } of this.view.replicas) {
      const stored = disk.entry(entry.index);
      if (stored !== undefined && sameValue(stored, entry)) disks += 1;
    }
    if (disks * 2 > this.size) return;
    const rule = 'log/committed-on-majority: what is committed is durable on a majority';
    throw new InvariantViolation(`${rule}: index ${entry.index} is on ${disks} of ${this.size}`, { entry });
  }

  private perform(place: number, effect: ProcessEffect): void {
    switch (effect.kind) {
      case 'send':
        return this.send(place, effect);
      case 'write':
        return this.write(place, effect.ops);
      case 'load':
        return this.load(place, effect);
      case 'apply':
        this.ownSlot(place).applying = effect.entries;
        return this.rules.eager.applied ? this.applyNow(place) : undefined;
      case 'answer': {
        const { call, index, result } = effect;
        const replica = this.end(place, call);
        this.record.acknowledge(replica, call, index, result, this.now);
        return this.tell({ kind: 'answered', replica, call, index, result });
      }
      case 'serve':
        for (const call of effect.calls) this.serve(place, call, effect.index);
        return;
      case 'fail':
        for (const call of effect.calls) {
          const { failure } = effect;
          const replica = this.end(place, call);
          this.record.fail(replica, call, failure, this.now);
          this.tell({ kind: 'failed', replica, call, failure });
        }
        return;
      case 'event':
        return this.say(this.rules.ids[place] as ReplicaId, effect.event, this.positionOf(place));
      case 'peers':
        return;
      default:
        unreachable(effect);
    }
  }

  private say(replica: ReplicaId, event: ReplicaEvent, position: Index): void {
    this.record.say(replica, event, position);
    this.tell({ kind: 'event', replica, event });
  }

  // Storage.

  private write(place: number, ops: Slot['writing']): void {
    const slot = this.ownSlot(place);
    if (slot.writing !== null)
      throw new InvariantViolation(`durability/one-write-at-a-time: ${slot.id} has two writes under way`);
    slot.writing = ops;
    slot.durable = false;
    if (slot.failing !== null) return this.failStorage(place, slot.failing.keep);
    if (this.rules.eager.written) this.reportWritten(place);
  }

  protected sync(place: number): void {
    const { writing, durable } = this.slots[place] as Slot;
    if (writing === null || durable) return;
    const slot = this.ownSlot(place);
    slot.disk = written(slot.disk, writing);
    slot.durable = true;
    this.ghost = this.rules.model.safety.durable(this.ghost, slot.id, this.view);
    this.tell({ kind: 'durable', replica: slot.id });
    this.watcher?.touched(place);
  }

  protected reportWritten(place: number): void {
    if ((this.slots[place] as Slot).writing === null) return;
    this.sync(place);
    this.ownSlot(place).writing = null;
    this.pending.push({ place, event: { kind: 'written', now: this.local(place) } });
  }

  protected failStorage(place: number, keep: boolean): void {
    const slot = this.ownSlot(place);
    if (slot.process === null) return;
    slot.failing = { keep };
    if (slot.writing === null) return;
    if (keep) this.sync(place);
    slot.writing = null;
    this.pending.push({ place, event: { kind: 'storageFailed', now: this.local(place), reason: EIO } });
  }

  private load(place: number, { id, from, to, maxBytes }: Extract<ProcessEffect, { kind: 'load' }>): void {
    const slot = this.ownSlot(place);
    slot.loads = [...slot.loads, { id, from, to, maxBytes }];
    if (this.rules.eager.loaded) this.answerLoad(place);
  }

  protected answerLoad(place: number): void {
    const [load, ...rest] = (this.slots[place] as Slot).loads;
    if (load === undefined) return;
    const slot = this.ownSlot(place);
    slot.loads = rest;
    const entries = read(slot.disk, load.from, load.to, load.maxBytes);
    this.pending.push({ place, event: { kind: 'loaded', now: this.local(place), id: load.id, entries } });
  }

  // The state machine.

  protected applyNow(place: number): void {
    const slot = this.ownSlot(place);
    const { applying } = slot;
    if (applying === null) return;
    slot.applying = null;
    const { machines } = this.rules;
    if (slot.machine?.at !== slot.effects) {
      slot.machine = machines.at(slot.machine, slot.effects, this.record.commands());
    }
    const results = this.guardMachine(slot, applying, () => machines.apply(slot.machine as never, applying));
    for (let i = 0; i < applying.length; i++) {
      const entry = applying[i] as Entry;
      const result = results[i] as (typeof results)[number];
      this.record.takeEffect(slot.id, slot.effects, entry, result);
      slot.effects += 1;
      slot.position = entry.index;
      if (this.observer === undefined) continue;
      const command = machines.decode(entry.data);
      this.tell({ kind: 'applied', replica: slot.id, index: entry.index, command, result });
    }
    this.pending.push({ place, event: { kind: 'applied', now: this.local(place), results } });
  }

  /** What a user's machine or check throws is a finding, with the commands that showed it. */
  private guardMachine<T>(slot: Slot, entries: readonly Entry[], work: () => T): Exclude<T, { code: unknown }> {
    const commands = (): unknown => entries.map(({ index, data }) => [index, this.rules.machines.decode(data)]);
    let results: T;
    try {
      results = work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const rule = `machine/own-check: the state machine's own check failed at ${slot.id}` as const;
      throw new InvariantViolation(`${rule}: ${reason}`, commands());
    }
    const failed = results as { readonly code?: unknown; readonly reason?: unknown };
    if (failed.code !== undefined) {
      const rule = `machine/never-fails: the state machine failed at ${slot.id}` as const;
      throw new InvariantViolation(`${rule}: ${String(failed.reason)}`, commands());
    }
    return results as Exclude<T, { code: unknown }>;
  }

  // Callers.

  private begun(place: number, kind: 'write' | 'read' | 'staleRead', command: unknown, minIndex: Index | null): number {
    const slot = this.ownSlot(place);
    const call = this.record.invoke(slot.id, kind, command, this.now, minIndex);
    slot.waiting = [...slot.waiting, call];
    this.tell({ kind: 'asked', replica: slot.id, call, command });
    return call;
  }

  protected propose(place: number, command: unknown, timeout: Milliseconds): void {
    const data = this.rules.machines.encode(this.record.callCount + 1, command);
    const call = this.begun(place, 'write', command, null);
    const now = this.local(place);
    this.event(place, { kind: 'propose', now, commands: [{ call, deadline: now + timeout, data }] });
  }

  protected ask(place: number, minIndex: Index | null, timeout: Milliseconds): void {
    const call = this.begun(place, minIndex === null ? 'read' : 'staleRead', undefined, minIndex);
    const now = this.local(place);
    this.event(place, { kind: 'read', now, calls: [{ call, deadline: now + timeout }], minIndex });
  }

  protected cancel(calls: readonly number[]): void {
    this.slots.forEach((slot, place) => {
      const here = calls.filter((call) => slot.waiting.includes(call));
      if (here.length === 0 || slot.process === null || slot.paused) return;
      this.event(place, { kind: 'cancel', now: this.local(place), calls: here });
    });
  }

  private end(place: number, call: number): ReplicaId {
    const slot = this.ownSlot(place);
    slot.waiting = slot.waiting.filter((each) => each !== call);
    return slot.id;
  }

  private serve(place: number, call: number, index: Index): void {
    const replica = this.end(place, call);
    this.record.serve(replica, call, index, this.positionOf(place), this.now);
    this.tell({ kind: 'served', replica, call, index });
  }

  /** Up to where the machine has seen everything: entries that are no commands count once those before are in. */
  private positionOf(place: number): Index {
    const { effects, delivered, applying } = this.slots[place] as Slot;
    const next = applying?.[0]?.index ?? this.record.effectIndex(effects);
    return next === 0 ? delivered : Math.min(delivered, next - 1);
  }

  protected demandAnswered(place: number): void {
    const { id, waiting } = this.slots[place] as Slot;
    if (waiting.length > 0)
      throw new InvariantViolation(`law/one-end-per-request: a stop ends every call: ${id} left ${waiting.join(' ')}`);
  }

  // Messages.

  private send(from: number, effect: Extract<ProcessEffect, { kind: 'send' }>): void {
    const { ids, program, model } = this.rules;
    const message = program.message(effect.bytes);
    const sender = ids[from] as ReplicaId;
    if (message !== null) {
      const fact = { from: sender, to: effect.to, message };
      this.ghost = model.safety.send(this.ghost, fact, this.view);
    }
    const to = this.placeOf(effect.to);
    const link = this.ownLink(from, to);
    link.sent += 1;
    if (this.observer !== undefined) {
      const own = message === null ? program.describe(effect.bytes) : '';
      this.tell({ kind: 'send', from: sender, to: effect.to, message, own, lost: link.cut });
    }
    if (link.cut) return;
    const flight = { ordinal: link.sent, sentAt: this.now, payload: effect.bytes };
    (link.flights as Flight[]).push(flight);
    this.watcher?.sent(from, to, flight);
  }
}
