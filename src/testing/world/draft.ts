/**
 * The draft of a world: copies what it changes once, however many actions it goes through, and gives a world back at
 * the end. Who changes what stands in `hosting.ts` (processes) and `turn.ts` (actions).
 */

import type { Mutable } from '../../core/draft.js';
import type { ClusterView, DiskView, ReplicaView } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { StateMachine } from '../../replica/state-machine.js';
import { LiveDiskView, type WorldDisk } from './disk.js';
import type { Fact, Observer } from './facts.js';
import { RecordDraft } from './record.js';
import { localTime, type Link, type Rules, type Slot, type World } from './state.js';
type UntimedFact = Fact extends infer F ? (F extends unknown ? Omit<F, 'at'> : never) : never;

export class WorldDraft {
  readonly rules: Rules;
  now: Milliseconds;
  readonly record: RecordDraft;
  protected readonly observer: Observer | undefined;
  protected readonly slots: Mutable<Slot>[];
  protected readonly size: number;
  protected readonly view: ClusterView<unknown>;
  protected ghost: unknown;
  protected incarnations: number;
  private readonly ownedSlots: boolean[];
  private readonly links: Mutable<Link>[];
  private readonly ownedLinks: boolean[];

  constructor(world: World, observer?: Observer) {
    this.rules = world.rules;
    this.now = world.now;
    this.observer = observer;
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

  /** Takes up another world of the same rules, as if made for it: much cheaper than another draft. */
  rewind({ now, slots, links, record, ghost, incarnations }: World): void {
    this.now = now;
    for (let place = 0; place < slots.length; place++) this.slots[place] = slots[place] as Slot;
    for (let at = 0; at < links.length; at++) this.links[at] = links[at] as Link;
    this.ownedSlots.fill(false);
    this.ownedLinks.fill(false);
    this.record.rewind(record);
    this.ghost = ghost;
    this.incarnations = incarnations;
  }

  /** The world as it is now. The turn may go on. */
  finish(): World {
    this.ownedSlots.fill(false);
    this.ownedLinks.fill(false);
    const { rules, now, ghost, incarnations } = this;
    const [slots, links] = [this.slots.slice(), this.links.slice()];
    return { rules, now, slots, links, record: this.record.finish(), ghost, incarnations };
  }

  slot(place: number): Slot {
    return this.slots[place] as Slot;
  }

  /** What a loss of power would leave. */
  diskView(place: number): DiskView {
    return (this.view.replicas[place] as ReplicaView<unknown>).disk;
  }

  /** The state machine of a replica, as far as it has come. */
  machine(place: number): StateMachine {
    const { machine, effects } = this.slots[place] as Slot;
    return this.rules.machines.at(machine, effects, this.record.commands()).machine;
  }

  link(from: number, to: number): Link {
    return this.links[from * this.size + to] as Link;
  }

  private viewOf(place: number): ReplicaView<unknown> {
    const slots = this.slots;
    const { program, model } = this.rules;
    const seen = (): WorldDisk => {
      const { disk, wiped, process } = slots[place] as Slot;
      // What a lost disk held was promised all the same: its replica is out for good, and the others count on that.
      return wiped !== null && (process === null || program.core(process) === null) ? wiped : disk;
    };
    const disk = new LiveDiskView(seen, model.protocol.durable);
    return {
      id: this.rules.ids[place] as ReplicaId,
      disk,
      get state() {
        const { process } = slots[place] as Slot;
        return process !== null && program.health(process) === 'running' ? program.core(process) : null;
      },
    };
  }

  protected ownSlot(place: number): Mutable<Slot> {
    if (!this.ownedSlots[place]) {
      this.slots[place] = { ...(this.slots[place] as Slot) };
      this.ownedSlots[place] = true;
    }
    return this.slots[place] as Mutable<Slot>;
  }

  protected ownLink(from: number, to: number): Mutable<Link> {
    const at = from * this.size + to;
    if (!this.ownedLinks[at]) {
      const link = this.links[at] as Link;
      this.links[at] = { ...link, flights: link.flights.slice() };
      this.ownedLinks[at] = true;
    }
    return this.links[at] as Mutable<Link>;
  }

  protected tell(fact: UntimedFact): void {
    this.observer?.({ ...fact, at: this.now } as Fact);
  }

  protected placeOf(replica: ReplicaId): number {
    const place = this.rules.places.get(replica);
    if (place === undefined) throw new RangeError(`no replica is called ${replica}`);
    return place;
  }

  /** The replica's own time. */
  local(place: number): Milliseconds {
    return localTime((this.slots[place] as Slot).clock, this.now);
  }
}
