/**
 * A world in the hands of whoever runs it: one action after the other, each with everything that follows from it at
 * once. All checks that do not depend on who runs it happen on the way.
 */

import { InvariantViolation } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Action, MessagePick } from './actions.js';
import { booted, newDisk } from './disk.js';
import { Hosting } from './hosting.js';
import { FIRST_INCARNATION, type Flight, type Slot } from './state.js';

export type { Watcher } from './hosting.js';

/** What concerns one replica. */
type ReplicaAction = Extract<Action, { readonly replica: ReplicaId }>;

/** Takes one out; without the array that `splice` makes for it. */
function remove(flights: Flight[], at: number): void {
  for (let i = at + 1; i < flights.length; i++) flights[i - 1] = flights[i] as Flight;
  flights.pop();
}

export class Turn extends Hosting {
  /**
   * Makes an action happen, and everything that follows from it at once.
   * @throws InvariantViolation when something happened that must not; the turn is of no use then
   */
  run(action: Action): void {
    if (action.at > this.now) this.now = action.at;
    if (this.observer !== undefined) this.tell({ kind: 'action', action });
    this.begin(action);
    if (this.pending.length === 0) return;
    for (let next = this.pending.shift(); next !== undefined; next = this.pending.shift()) {
      this.event(next.place, next.event);
    }
  }

  private begin(action: Action): void {
    switch (action.kind) {
      case 'deliver':
      case 'duplicate':
      case 'drop':
        return this.message(action.kind, this.placeOf(action.from), this.placeOf(action.to), action.pick);
      case 'cut':
      case 'heal':
        this.ownLink(this.placeOf(action.from), this.placeOf(action.to)).cut = action.kind === 'cut';
        return;
      case 'cancel':
        return this.cancel(action.calls);
      case 'wait':
        return;
      default:
        return this.beginAt(this.placeOf(action.replica), action);
    }
  }

  private beginAt(place: number, action: ReplicaAction): void {
    const slot = this.slots[place] as Slot;
    switch (action.kind) {
      case 'sync':
        return this.sync(place);
      case 'crash':
        return this.crash(place, action.keep);
      case 'restart':
        return this.restart(place, false);
      case 'wipe':
        return this.restart(place, true);
      case 'failStorage':
        return this.failStorage(place, action.keep);
      case 'pause':
      case 'resume':
        this.ownSlot(place).paused = action.kind === 'pause' && slot.process !== null;
        return this.watcher?.touched(place);
      case 'leap':
        return this.setClock(place, this.local(place) + action.by, slot.clock.rate);
      case 'rate':
        return this.setClock(place, this.local(place), action.rate);
      default:
        if (slot.process !== null && !slot.paused) this.happen(place, action);
    }
  }

  /** What needs a process that runs. */
  private happen(place: number, action: ReplicaAction): void {
    const slot = this.slots[place] as Slot;
    const { kind } = action;
    switch (kind) {
      case 'timeout':
        this.timeout(place);
        return this.tick(place);
      case 'tick':
        return this.tick(place);
      case 'campaign':
        return this.event(place, { kind, now: this.local(place) });
      case 'written':
        return this.reportWritten(place);
      case 'applied':
        return this.applyNow(place);
      case 'loaded':
        return this.answerLoad(place);
      case 'propose':
        return this.propose(place, action.command, action.timeout);
      case 'read':
        return this.ask(place, action.minIndex, action.timeout);
      case 'unreachable':
        return this.event(place, { kind: 'unreachable', now: this.local(place), peer: action.peer });
      case 'stop':
        this.event(place, { kind: 'stop', now: this.local(place) });
        this.demandAnswered(place);
        this.tell({ kind: 'ended', replica: slot.id, why: 'stop' });
        return;
    }
  }

  /** Who slept for longer than any election takes leads no more by its own word: others may have elected someone. */
  private tick(place: number): void {
    const { id, process } = this.slots[place] as Slot;
    const { program, timing } = this.rules;
    const leadership = this.record.leadershipOf(id);
    const now = this.local(place);
    const late = leadership !== undefined && now > program.deadline(process) + timing.electionMax;
    this.event(place, { kind: 'tick', now });
    if (!late || this.record.leadershipOf(id) !== leadership) return;
    const rule = 'leadership/ended-by-a-pause: a long pause ends leadership';
    throw new InvariantViolation(`${rule}: ${id} woke up and leads on`, { claim: leadership });
  }

  private setClock(place: number, base: Milliseconds, rate: number): void {
    this.ownSlot(place).clock = { base, since: this.now, rate };
    this.watcher?.touched(place);
  }

  private timeout(place: number): void {
    const { process, clock } = this.slots[place] as Slot;
    const due = this.rules.program.deadline(process);
    if (due < Infinity && due > this.local(place)) this.setClock(place, due, clock.rate);
  }

  // Messages.

  private find(flights: readonly Flight[], pick: MessagePick): number {
    if (typeof pick === 'number') {
      let at = flights.length - 1;
      while (at >= 0 && (flights[at] as Flight).ordinal !== pick) at--;
      return at;
    }
    const [, text = pick, nth = '1'] = /^(.*) #(\d+)$/s.exec(pick) ?? [];
    const described = flights.map((flight) => this.describe(flight));
    const fits = described.includes(text)
      ? (each: string): boolean => each === text
      : (each: string): boolean => each.startsWith(text);
    let left = Number(nth);
    return described.findIndex((each) => fits(each) && --left === 0);
  }

  /** A message in words. */
  describe({ payload }: Flight): string {
    const { program, model } = this.rules;
    const message = program.message(payload);
    return message === null ? program.describe(payload) : model.describeMessage(message);
  }

  /**
   * An action as it can happen here: a message that is not under way is replaced by the oldest of its kind (the first
   * word of the description) on that link. `null` when there is none.
   */
  fitting(action: Action): Action | null {
    if (action.kind !== 'deliver' && action.kind !== 'duplicate' && action.kind !== 'drop') return action;
    const [from, to] = [this.placeOf(action.from), this.placeOf(action.to)];
    const { flights } = this.link(from, to);
    if (this.find(flights, action.pick) >= 0) return action;
    const [kind = ''] = String(action.pick).split(' ', 1);
    const other = flights[this.find(flights, kind)];
    return other === undefined ? null : { ...action, pick: this.pickOf(from, to, other.ordinal) };
  }

  /** The words by which `MessagePick` means this very message of those under way. */
  pickOf(from: number, to: number, ordinal: number): MessagePick {
    const { flights } = this.link(from, to);
    const at = flights.findIndex((flight) => flight.ordinal === ordinal);
    if (at < 0) return ordinal;
    const described = flights.slice(0, at + 1).map((flight) => this.describe(flight));
    const text = described[at] as string;
    const nth = described.filter((each) => each === text).length;
    return nth === 1 && !/ #\d+$/.test(text) ? text : `${text} #${nth}`;
  }

  private message(kind: 'deliver' | 'duplicate' | 'drop', from: number, to: number, pick: MessagePick): void {
    const at = this.find(this.link(from, to).flights, pick);
    const slot = this.slots[to] as Slot;
    if (at < 0 || (kind !== 'drop' && slot.paused)) return;
    const flights = this.ownLink(from, to).flights as Flight[];
    const flight = flights[at] as Flight;
    if (kind !== 'duplicate') remove(flights, at);
    const lost = kind === 'drop' || slot.process === null;
    const { ids, program } = this.rules;
    const sender = ids[from] as ReplicaId;
    if (this.observer !== undefined) {
      const message = program.message(flight.payload);
      const own = message === null ? program.describe(flight.payload) : '';
      this.tell({ kind: lost ? 'drop' : 'deliver', from: sender, to: slot.id, message, own, lost });
    }
    if (!lost) this.event(to, { kind: 'message', now: this.local(to), from: sender, bytes: flight.payload });
  }

  // Starts and ends of a process.

  private crash(place: number, keep: boolean): void {
    if ((this.slots[place] as Slot).process === null) return;
    if (keep) this.sync(place);
    const slot = this.ownSlot(place);
    this.record.lose(slot.id, slot.waiting, this.now);
    this.tell({ kind: 'ended', replica: slot.id, why: 'crash' });
    this.clear(slot);
    this.watcher?.touched(place);
  }

  private clear(slot: Mutable<Slot>): void {
    slot.process = null;
    slot.writing = null;
    slot.durable = false;
    slot.failing = null;
    slot.loads = [];
    slot.applying = null;
    slot.machine = null;
    slot.delivered = 0;
    slot.effects = 0;
    slot.position = 0;
    slot.waiting = [];
    slot.paused = false;
  }

  private restart(place: number, wipe: boolean): void {
    const { process } = this.slots[place] as Slot;
    const { program, watch } = this.rules;
    if (process !== null) {
      if (program.health(process) === 'running' && !wipe) return;
      this.crash(place, false);
    }
    const slot = this.ownSlot(place);
    if (wipe) {
      slot.wiped ??= slot.disk;
      slot.disk = newDisk(FIRST_INCARNATION + this.incarnations++);
    }
    slot.disk = booted(slot.disk);
    watch.begin(slot.id);
    const seed = Math.imul(this.rules.seed + slot.disk.boot * 0x9e3779b1, 0x85ebca6b);
    const own = seed ^ Math.imul(place + 1, 0xc2b2ae35);
    const start = { id: slot.id, disk: slot.disk, seed: own, now: this.local(place) };
    this.take(place, program.start(start));
  }
}
