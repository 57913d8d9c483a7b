/**
 * The processes of a world: this file starts them, passes them events, checks every step of their cores, and passes
 * their effects on to the network, the disks, the applications and the callers.
 */

import { InvariantViolation, unreachable } from '../../core/assert.js';
import type { ReplicaId } from '../../core/members.js';
import type { StepFact } from '../../core/model.js';
import type { Applications } from './applications.js';
import type { Callers } from './callers.js';
import { booted, newDisk } from './disk.js';
import { isStorageFault, type Disks } from './disks.js';
import type { WorldDraft } from './draft.js';
import type { Network } from './network.js';
import type { ProcessEffect, ProcessEvent, ProcessStep } from './process.js';
import type { Snapshots } from './snapshots.js';
import { NO_PROCESS, type Slot } from './state.js';

/** The parts of a turn that carry out the effects of processes. */
export interface HostingParts {
  readonly network: Network;
  readonly disks: Disks;
  readonly applications: Applications;
  readonly snapshots: Snapshots;
  readonly callers: Callers;
}

export class Hosting {
  private readonly draft: WorldDraft;
  private readonly around: HostingParts;

  constructor(draft: WorldDraft, around: HostingParts) {
    this.draft = draft;
    this.around = around;
  }

  /** Passes an event to a process, at its own time; does nothing if it is down. */
  step(place: number, event: ProcessEvent): void {
    const { id, process } = this.draft.slot(place);
    if (process === null) return;
    const { watch, program } = this.draft.rules;
    this.tellClock(place);
    watch.begin(id);
    this.take(place, program.step(this.draft.slot(place).process, event));
  }

  /** Like a host, at each turn: tells the wall clock if there is news of it. */
  private tellClock(place: number): void {
    const { draft } = this;
    const { id, process, ahead, toldAhead } = draft.slot(place);
    if (ahead === null || ahead === toldAhead) return;
    const { watch, program } = draft.rules;
    draft.ownSlot(place).toldAhead = ahead;
    watch.begin(id);
    this.take(place, program.step(process, { kind: 'wallClock', now: draft.local(place), ahead }));
  }

  /**
   * A tick. After a pause longer than any election a leader may claim to lead only once a quorum has confirmed it;
   * alone in its cluster it is never succeeded.
   */
  tick(place: number): void {
    const { draft } = this;
    const { id, process } = draft.slot(place);
    const { program, timing } = draft.rules;
    const leadership = draft.record.leadershipOf(id);
    const now = draft.local(place);
    const mayBeSucceeded = leadership !== undefined && draft.size > 1;
    const late = mayBeSucceeded && now > program.deadline(process) + timing.electionMax;
    this.step(place, { kind: 'tick', now });
    if (!late || draft.record.leadershipOf(id) !== leadership) return;
    const rule = 'leadership/ended-by-a-pause: a long pause ends leadership';
    throw new InvariantViolation(`${rule}: ${id} woke up and leads on`, { leadership });
  }

  /** The clock of a process leaps to its deadline, if that is ahead. */
  leapToDeadline(place: number): void {
    const { draft } = this;
    const { process, clock } = draft.slot(place);
    const due = draft.rules.program.deadline(process);
    if (due < Infinity && due > draft.local(place)) draft.setClock(place, due, clock.rate);
  }

  /** Ends a process in order: it answers every caller first. */
  stop(place: number): void {
    const { draft } = this;
    this.step(place, { kind: 'stop', now: draft.local(place) });
    this.around.callers.demandAnswered(place);
    draft.tell({ kind: 'ended', replica: draft.slot(place).id, why: 'stop' });
  }

  /** Ends a process at once. @param keep whether the write under way is on the disk */
  crash(place: number, keep: boolean): void {
    const { draft } = this;
    if (draft.slot(place).process === null) return;
    if (keep) this.around.disks.sync(place);
    const slot = draft.ownSlot(place);
    draft.record.lose(slot.id, slot.waiting, draft.now);
    draft.tell({ kind: 'ended', replica: slot.id, why: 'crash' });
    Object.assign(slot, NO_PROCESS);
    draft.watcher?.touched(place);
  }

  /** Starts what does not run. @param wipe its disk is lost first; then it need not be down */
  restart(place: number, wipe: boolean): void {
    const { draft } = this;
    const { process } = draft.slot(place);
    const { program, watch, seed } = draft.rules;
    if (process !== null) {
      if (program.health(process) === 'running' && !wipe) return;
      this.crash(place, false);
    }
    const slot = draft.ownSlot(place);
    if (wipe) {
      slot.wiped ??= slot.disk;
      slot.disk = newDisk(draft.takeIncarnation());
      slot.room = null;
    }
    slot.disk = booted(slot.disk);
    this.around.snapshots.begin(place);
    watch.begin(slot.id);
    const own = Math.imul(seed + slot.disk.boot * 0x9e3779b1, 0x85ebca6b) ^ Math.imul(place + 1, 0xc2b2ae35);
    slot.toldAhead = slot.ahead;
    const { id, disk, ahead } = slot;
    this.take(place, program.start({ id, disk, seed: own, now: draft.local(place), ahead }));
    if (slot.room !== null) this.around.disks.tellSpace(place);
  }

  private take(place: number, [process, effects]: ProcessStep): void {
    const { draft } = this;
    const { watch, program } = draft.rules;
    const { process: last } = draft.slot(place);
    const before = last === null ? 'running' : program.health(last);
    draft.ownSlot(place).process = process;
    const { facts, error } = watch;
    if (error !== null) throw error;
    for (let i = 0; i < facts.length; i++) this.observe(place, facts[i] as StepFact<unknown, unknown>);
    facts.length = 0;
    for (let i = 0; i < effects.length; i++) this.perform(place, effects[i] as ProcessEffect);
    if (before === 'running') this.explainEnd(draft.slot(place));
    draft.watcher?.touched(place);
  }

  /** A replica may halt only if its storage failed, and lose its identity only if its disk was lost. */
  private explainEnd(slot: Slot): void {
    const { id, process, wiped } = slot;
    const { program } = this.draft.rules;
    const health = program.health(process);
    const fault = program.fault(process) ?? '';
    if (health === 'halted' && !isStorageFault(slot, fault))
      throw new InvariantViolation(`host/halts-for-a-cause: ${id} halted: ${fault}`);
    if (health !== 'lostIdentity' || wiped !== null) return;
    throw new InvariantViolation(
      `identity/kept-with-its-disk: a replica that has its disk keeps its identity: ${id} gave it up`,
    );
  }

  private observe(place: number, fact: StepFact<unknown, unknown>): void {
    const { draft } = this;
    if (draft.observed) draft.tell({ kind: 'step', fact });
    draft.watcher?.stepped(fact);
    for (let i = 0; i < fact.outbound.length; i++) {
      const outbound = fact.outbound[i];
      if (outbound?.kind === 'restore') this.around.applications.goOnBehind(place, outbound.snapshot.index);
      if (outbound?.kind !== 'commit') continue;
      for (const entry of outbound.entries) this.around.applications.deliver(place, entry);
    }
    draft.stepped(fact);
  }

  private perform(place: number, effect: ProcessEffect): void {
    const { network, disks, applications, snapshots, callers } = this.around;
    switch (effect.kind) {
      case 'send':
        return network.send(place, effect);
      case 'write':
        return disks.write(place, effect.ops);
      case 'makeRoom':
        return disks.makeRoom(place, effect.ops);
      case 'load':
        return disks.load(place, effect);
      case 'apply':
        snapshots.demandRestored(place);
        return applications.begin(place, effect.entries, effect.wakeAt);
      case 'wake':
        return applications.wake(place, effect);
      case 'restore':
        return snapshots.restore(place, effect.snapshot.file);
      case 'takeSnapshot':
        snapshots.demandRestored(place);
        return snapshots.take(place, effect);
      case 'endTaking':
        return; // it ends when what is written of it has
      case 'removeSnapshot':
        return snapshots.remove(place, effect.file);
      case 'readChunk':
      case 'pullSnapshot':
      case 'storeChunk':
      case 'completeSnapshot':
      case 'abandonSnapshot':
      case 'removePartial':
        return snapshots.pull(place, effect);
      case 'answer':
        return callers.answer(place, effect);
      case 'serve':
        snapshots.demandRestored(place);
        return callers.serve(place, effect, applications.position(place));
      case 'transferred':
        return callers.transferred(place, effect);
      case 'fail':
        return callers.fail(place, effect);
      case 'event':
        return this.say(place, effect);
      case 'peers':
      case 'left':
      case 'compacted':
        return;
      default:
        unreachable(effect);
    }
  }

  private say(place: number, { event }: Extract<ProcessEffect, { kind: 'event' }>): void {
    const { record, rules } = this.draft;
    const replica = rules.ids[place] as ReplicaId;
    record.say(replica, event, this.around.applications.position(place));
    this.draft.tell({ kind: 'event', replica, event });
  }
}
