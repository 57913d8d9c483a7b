/**
 * The parts of a world's fingerprint: everything that decides what can happen from here on, or that a check reads. A
 * successor shares most of its parts with the world before it, and shared parts are not digested again.
 *
 * Left out: true time and mere counters (ordinals of messages, starts of disks), since only fresh numbers are made of
 * them; the times of calls; the machine, which follows from the commands that took effect.
 */

import { digestEntry, type AnyModel, type DiskView } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';
import { LiveDiskView, written, type WorldDisk } from '../world/disk.js';
import { PartDigest, type Names, type Part } from './fingerprint.js';
import { decodeSnapshots, SNAPSHOTS_KEY } from '../../replica/driver/snapshot-list.js';
import type { WorldRecord } from '../world/record.js';
import { localTime, type Flight, type Link, type Rules, type Slot, type World } from '../world/state.js';

/** The parts of one replica. */
export interface SlotParts {
  readonly process: Part;
  readonly disk: Part;
  /** The work under way between process and disk. */
  readonly pending: Part;
}

/** The parts of a world. */
export interface WorldParts {
  /** In the order of the replicas. */
  readonly slots: readonly SlotParts[];
  /** In the order of `World.links`, one part for each message. */
  readonly links: readonly (readonly Part[])[];
  readonly ghost: Part;
  readonly record: Part;
}

const NO_FLIGHTS: readonly Part[] = [];

/** Digests plain data and bytes, without a canonical form. */
export function digestPlain(value: unknown, digest: PartDigest): void {
  switch (typeof value) {
    case 'number':
    case 'boolean':
      return digest.value(value);
    case 'string':
      return digest.text(value);
    case 'object':
      break;
    default:
      return digest.text(typeof value);
  }
  if (value === null) return digest.text('null');
  if (value instanceof Uint8Array) return digest.bytes(value);
  const keys = Array.isArray(value) ? null : Object.keys(value);
  digest.value(keys === null ? (value as unknown[]).length : -keys.length);
  if (keys === null) for (const item of value as unknown[]) digestPlain(item, digest);
  else {
    for (const key of keys) {
      digest.text(key);
      digestPlain((value as { readonly [key: string]: unknown })[key], digest);
    }
  }
}

/** Digests worlds, each with the help of the parts of the world before. */
export class PartTaker {
  private readonly rules: Rules;
  private readonly model: AnyModel;
  private readonly digest: PartDigest;
  private readonly canonical: boolean;
  /** The parts digested before, by identity: of processes, and of messages by their link. */
  private readonly processes = new Map<unknown, { readonly now: number; readonly part: Part }>();
  private readonly messages: Map<unknown, Part>[] = [];
  private readonly down: Part;

  /** @param canonical whether to use the protocol's canonical digests, or plain data */
  constructor(rules: Rules, names: Names, canonical: boolean) {
    this.rules = rules;
    this.model = rules.model;
    this.digest = new PartDigest(names);
    this.canonical = canonical;
    this.digest.text('down');
    this.down = this.digest.take();
  }

  /** All parts of a world; unchanged ones are taken from `known`, the parts of `before`. */
  take(world: World, before: World | null, known: WorldParts | null): WorldParts {
    const slots = world.slots.map((slot, place) => {
      const old = before?.slots[place];
      return old === slot ? known!.slots[place]! : this.slot(slot, old ?? null, known?.slots[place] ?? null);
    });
    const links = world.links.map((link, at) => this.link(link, at, before, known));
    const ghost = before?.ghost === world.ghost ? known!.ghost : this.ghost(world.ghost);
    const record = before !== null && sameRecord(world.record, before.record) ? known!.record : this.record(world);
    return { slots, links, ghost, record };
  }

  private slot(slot: Slot, before: Slot | null, known: SlotParts | null): SlotParts {
    const sameProcess = before !== null && slot.process === before.process && slot.clock === before.clock;
    const sameDisk = before !== null && slot.disk === before.disk;
    return {
      process: sameProcess ? known!.process : this.process(slot),
      disk: sameDisk ? known!.disk : this.disk(slot.disk),
      pending: this.pending(slot),
    };
  }

  private process({ process, clock }: Slot): Part {
    if (process === null) return this.down;
    const now = localTime(clock, 0); // no true time passes in a search
    const known = this.processes.get(process);
    if (known?.now === now) return known.part;
    const part = this.takeProcess(process, now);
    this.processes.set(process, { now, part });
    return part;
  }

  private takeProcess(process: unknown, now: number): Part {
    const { digest, rules, model } = this;
    const { program } = rules;
    if (!this.canonical) digestPlain(process, digest);
    else {
      const core = program.core(process);
      const place = (message: unknown, to: ReplicaId): void => model.digestMessage(message, idOf(process), to, digest);
      model.digestState(core, now, digest);
      program.digest(process, now, digest, (message, to) => {
        digest.id(to);
        place(message, to);
      });
    }
    return digest.take();
  }

  private disk(disk: WorldDisk): Part {
    this.takeDisk(disk);
    return this.digest.take();
  }

  private takeDisk(disk: WorldDisk): void {
    const { digest } = this;
    const view: DiskView = new LiveDiskView(
      () => disk,
      this.model.protocol.durable,
      () => undefined,
    );
    const { hard, last } = view;
    digest.value(hard?.term ?? -1);
    digest.id(hard?.vote ?? null);
    digest.value(hard?.commit ?? -1);
    digest.value(last);
    this.takeSnapshots(disk);
    for (let index = 1; index <= last; index++) {
      const entry = view.entry(index);
      if (entry === undefined) digest.value(-1);
      else digestEntry(entry, digest);
    }
  }

  /** Of snapshots counts what the list names: files that it does not name are never used. */
  private takeSnapshots(disk: WorldDisk): void {
    const { digest } = this;
    const bytes = disk.values.get(SNAPSHOTS_KEY);
    digest.value(bytes === undefined ? 0 : 1);
    if (bytes === undefined) return;
    const { named, base } = decodeSnapshots(bytes);
    digestPlain([base, named.map(({ index, term, time }) => [index, term, time])], digest);
  }

  private pending(slot: Slot): Part {
    const { digest } = this;
    digest.value(slot.paused);
    digest.value(slot.wiped !== null);
    digest.value(slot.durable);
    digest.value(slot.failing === null ? 0 : slot.failing.keep ? 1 : 2);
    digest.value(slot.room ?? -1);
    digest.value(slot.writing === null);
    // A write is digested as the disk that it will leave.
    if (slot.writing !== null) this.takeDisk(written(slot.disk, slot.writing));
    digest.value(slot.loads.length);
    for (const { id, from, to, maxBytes } of slot.loads) {
      digest.reference('load', slot.id, id);
      digestPlain([from, to, maxBytes], digest);
    }
    digest.value(slot.applying?.length ?? -1);
    for (const entry of slot.applying ?? []) digestEntry(entry, digest);
    digest.value(slot.taking?.index ?? 0);
    digest.value(slot.restoring?.index ?? 0);
    digest.value(slot.delivered);
    digest.value(slot.effects);
    digest.value(slot.position);
    digestPlain(slot.waiting, digest);
    return digest.take();
  }

  private link(link: Link, at: number, before: World | null, known: WorldParts | null): readonly Part[] {
    const old = before?.links[at];
    if (old?.flights === link.flights) return known!.links[at]!;
    if (link.flights.length === 0) return NO_FLIGHTS;
    let next = 0;
    return link.flights.map((flight) => {
      // Both stand in the order of sending.
      while (old !== undefined && (old.flights[next]?.ordinal ?? Infinity) < flight.ordinal) next++;
      return old?.flights[next] === flight ? known!.links[at]![next]! : this.message(flight, at);
    });
  }

  private message(flight: Flight, at: number): Part {
    if (this.canonical) return this.canonicalMessage(flight, at);
    digestPlain(flight.payload, this.digest);
    return this.digest.take();
  }

  /** The part of a message on a link, by the protocol's canonical digest. */
  canonicalMessage({ payload }: Flight, at: number): Part {
    const known = (this.messages[at] ??= new Map<unknown, Part>());
    let part = known.get(payload);
    if (part === undefined) known.set(payload, (part = this.takeMessage(payload, at)));
    return part;
  }

  private takeMessage(payload: Flight['payload'], at: number): Part {
    const { rules, model, digest } = this;
    const from = rules.ids[Math.floor(at / rules.ids.length)] as ReplicaId;
    const to = rules.ids[at % rules.ids.length] as ReplicaId;
    model.digestMessage(rules.program.message(payload), from, to, digest);
    return digest.take();
  }

  private ghost(ghost: unknown): Part {
    this.model.safety.digest(ghost, this.digest);
    return this.digest.take();
  }

  private record({ record }: World): Part {
    const { digest } = this;
    const { committed, effects, calls, seen } = record;
    digest.value(committed.length);
    for (let i = 0; i < committed.length; i++) digestEntry(committed.items[i]!, digest);
    digest.value(effects.length);
    for (let i = 0; i < effects.length; i++) digest.value(effects.items[i]!.entry.index);
    digest.value(seen);
    digest.value(calls.length);
    for (const { call, replica, kind, after, effect, end } of calls) {
      if (end === null) {
        digest.text(kind);
        digest.id(replica);
        digest.value(call);
        // Other parts may name only the request or only the call; this ties the one's rank to the other's number.
        digest.reference('request', replica, call);
        digest.value(after);
        digest.value(effect);
      } else if (kind !== 'write' || effect !== 0) digest.value(-1);
      else digest.value(end.kind === 'failed' && end.failure.outcome === 'none' ? -2 : -3);
    }
    return digest.take();
  }
}

function idOf(process: unknown): ReplicaId {
  return (process as { readonly id: ReplicaId }).id;
}

function sameRecord(a: WorldRecord, b: WorldRecord): boolean {
  return (
    a.calls === b.calls &&
    a.seen === b.seen &&
    a.committed.items === b.committed.items &&
    a.committed.length === b.committed.length &&
    a.effects.items === b.effects.items &&
    a.effects.length === b.effects.length
  );
}
