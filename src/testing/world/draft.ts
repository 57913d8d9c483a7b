/**
 * The draft of a world: it copies each part that it changes once, for any number of actions, and gives a world back at
 * the end. The network (`network.ts`), the disks, the applications, the callers and the processes (`hosting.ts`) change
 * it by the verbs below.
 */

import type { Mutable } from '../../core/draft.js';
import type { ReplicaId } from '../../core/members.js';
import type { ClusterView, DiskView, ReplicaView, SendFact, StepFact } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { StateMachine } from '../../replica/state-machine.js';
import { LiveDiskView, type WorldDisk } from './disk.js';
import type { Fact, Observer } from './facts.js';
import type { ProcessEvent } from './process.js';
import { RecordDraft } from './record.js';
import { FIRST_INCARNATION, localTime, type Flight, type Link, type Rules, type Slot, type World } from './state.js';

type UntimedFact = Fact extends infer F ? (F extends unknown ? Omit<F, 'at'> : never) : never;

/** Callbacks for new work under way, so that a scheduler need not search for it. */
export interface Watcher {
  sent(from: number, to: number, flight: Flight): void;
  /** A replica took part in something: its deadline, write, loads or machine may have changed. */
  touched(place: number): void;
  /** A core took a step, or started. */
  stepped(fact: StepFact<unknown, unknown>): void;
}

/** An event for a replica that follows from the current action. */
export interface Consequence {
  readonly place: number;
  readonly event: ProcessEvent;
}

export class WorldDraft {
  readonly rules: Rules;
  now: Milliseconds;
  readonly record: RecordDraft;
  readonly size: number;
  watcher: Watcher | null = null;
  /** The consequences of the current action that have not happened yet, in order. */
  readonly pending: Consequence[] = [];
  /** Whether there is an observer; without one, no fact need be built. */
  readonly observed: boolean;
  /** The view of the world for the model's safety checks. */
  readonly view: ClusterView<unknown>;
  private readonly observer: Observer | undefined;
  private readonly slots: Mutable<Slot>[];
  private readonly ownedSlots: boolean[];
  private readonly links: Mutable<Link>[];
  private readonly ownedLinks: boolean[];
  private ghost: unknown;
  private incarnations: number;

  constructor(world: World, observer?: Observer) {
    this.rules = world.rules;
    this.now = world.now;
    this.observer = observer;
    this.observed = observer !== undefined;
    this.slots = world.slots.slice() as Mutable<Slot>[];
    this.size = this.slots.length;
    this.ownedSlots = this.slots.map(() => false);
    this.links = world.links.slice() as Mutable<Link>[];
    this.ownedLinks = this.links.map(() => false);
    this.record = new RecordDraft(world.record, world.rules.program.kind === 'driver');
    this.ghost = world.ghost;
    this.incarnations = world.incarnations;
    this.view = { replicas: this.slots.map((_, place) => this.viewOf(place)), committed: this.record.view };
  }

  /** Starts over with another world of the same rules, which is much cheaper than a new draft. */
  rewind({ now, slots, links, record, ghost, incarnations }: World): void {
    this.now = now;
    this.pending.length = 0;
    for (let place = 0; place < slots.length; place++) this.slots[place] = slots[place] as Slot;
    for (let at = 0; at < links.length; at++) this.links[at] = links[at] as Link;
    this.ownedSlots.fill(false);
    this.ownedLinks.fill(false);
    this.record.rewind(record);
    this.ghost = ghost;
    this.incarnations = incarnations;
  }

  /** The world as it is now. The draft may go on. */
  finish(): World {
    this.ownedSlots.fill(false);
    this.ownedLinks.fill(false);
    const { rules, now, ghost, incarnations } = this;
    const [slots, links] = [this.slots.slice(), this.links.slice()];
    return { rules, now, slots, links, record: this.record.finish(), ghost, incarnations };
  }

  // Reading.

  slot(place: number): Slot {
    return this.slots[place] as Slot;
  }

  link(from: number, to: number): Link {
    return this.links[from * this.size + to] as Link;
  }

  placeOf(replica: ReplicaId): number {
    const place = this.rules.places.get(replica);
    if (place === undefined) throw new RangeError(`no replica is called ${replica}`);
    return place;
  }

  /** The replica's own time. */
  local(place: number): Milliseconds {
    return localTime(this.slot(place).clock, this.now);
  }

  /** The data that a loss of power would leave. */
  diskView(place: number): DiskView {
    return (this.view.replicas[place] as ReplicaView<unknown>).disk;
  }

  /** The state machine of a replica, as far as it has come. */
  machine(place: number): StateMachine {
    const slot = this.slot(place);
    return this.rules.machines.at(slot.machine, slot, this.record.history()).machine;
  }

  private viewOf(place: number): ReplicaView<unknown> {
    const slots = this.slots;
    const { program, model } = this.rules;
    const seen = (): WorldDisk => {
      const { disk, wiped, process } = slots[place] as Slot;
      // Safety counts the lost disk: its promises stay valid, and its replica takes no part any more.
      return wiped !== null && (process === null || program.core(process) === null) ? wiped : disk;
    };
    const disk = new LiveDiskView(seen, model.protocol.durable, (index) => this.view.committed.entry(index));
    return {
      id: this.rules.ids[place] as ReplicaId,
      disk,
      get state() {
        const { process } = slots[place] as Slot;
        return process !== null && program.health(process) === 'running' ? program.core(process) : null;
      },
    };
  }

  // Changing.

  /** A replica's slot, to be changed. */
  ownSlot(place: number): Mutable<Slot> {
    if (!this.ownedSlots[place]) {
      this.slots[place] = { ...(this.slots[place] as Slot) };
      this.ownedSlots[place] = true;
    }
    return this.slots[place] as Mutable<Slot>;
  }

  /** A link, to be changed; its list of flights too. */
  ownLink(from: number, to: number): Mutable<Link> {
    const at = from * this.size + to;
    if (!this.ownedLinks[at]) {
      const link = this.links[at] as Link;
      this.links[at] = { ...link, flights: link.flights.slice() };
      this.ownedLinks[at] = true;
    }
    return this.links[at] as Mutable<Link>;
  }

  setClock(place: number, base: Milliseconds, rate: number): void {
    this.ownSlot(place).clock = { base, since: this.now, rate };
    this.watcher?.touched(place);
  }

  /** A name for the data of a new disk. */
  takeIncarnation(): number {
    return FIRST_INCARNATION + this.incarnations++;
  }

  // Reporting to the model's safety checks, which throw when a rule is broken.

  stepped(fact: StepFact<unknown, unknown>): void {
    this.ghost = this.rules.model.safety.step(this.ghost, fact, this.view);
  }

  sending(fact: SendFact<unknown>): void {
    this.ghost = this.rules.model.safety.send(this.ghost, fact, this.view);
  }

  durable(replica: ReplicaId): void {
    this.ghost = this.rules.model.safety.durable(this.ghost, replica, this.view);
  }

  tell(fact: UntimedFact): void {
    this.observer?.({ ...fact, at: this.now } as Fact);
  }
}
