/**
 * The snapshots of a world: a replica's machine gives one at once, an action makes it complete on the disk, and another
 * one lets the machine be restored from it. As a host does, the world encodes what the machine gives, so that nothing
 * is shared with the machine.
 *
 * Checks: what a list names is on the disk; what the driver adds is the same on every replica at the same index; and a
 * machine that was restored is equal to one that applied every command.
 */

import { InvariantViolation } from '../../core/assert.js';
import { Reader, Writer, joined, sameBytes } from '../../core/bytes.js';
import { crc32c } from '../../core/crc32c.js';
import { decodeDriverPart } from '../../replica/driver/driver-part.js';
import { SNAPSHOTS_KEY, decodeSnapshots } from '../../replica/driver/snapshot-list.js';
import type { DriverEffect } from '../../replica/driver/state.js';
import type { WorldDisk, WorldSnapshot } from './disk.js';
import type { WorldDraft } from './draft.js';
import type { PullEffect } from '../../replica/driver/snapshot-events.js';
import { sameDeep } from './laws.js';
import type { Slot } from './state.js';

/** The names of the files that the disk's durable list names, newest first. */
export function namedOn(disk: WorldDisk): readonly string[] {
  const bytes = disk.values.get(SNAPSHOTS_KEY);
  return bytes === undefined ? [] : decodeSnapshots(bytes).named.map(({ file }) => file);
}

/** The snapshot that a start from this disk restores. */
export function newestOn(disk: WorldDisk): WorldSnapshot | null {
  const [file] = namedOn(disk);
  if (file === undefined) return null;
  const snapshot = disk.snapshots.get(file);
  if (snapshot !== undefined) return snapshot;
  throw new InvariantViolation(`snapshots/named-in-the-lane: a list names ${file}, which is not on the disk`);
}

/** What is trimmed from the log is in every snapshot that the disk's list names. */
export function demandTrimmedBelow({ id, disk }: Slot): void {
  if (disk.trimmed === 0) return;
  const named = namedOn(disk).map((file) => disk.snapshots.get(file));
  if (named.length > 0 && named.every((each) => each !== undefined && each.index >= disk.trimmed)) return;
  const rule = 'snapshots/trim-below-snapshot: what the log does not hold is in a snapshot';
  throw new InvariantViolation(`${rule}: ${id} has trimmed up to ${disk.trimmed}`, { named });
}

/** A file that is pulled. */
export interface PulledFile {
  readonly file: string;
  readonly chunks: readonly Uint8Array[];
}

/** The bytes of a file. */
function encoded({ index, term, time, part, place, state }: Omit<WorldSnapshot, 'file' | 'checksum'>): Uint8Array {
  const writer = new Writer(64 + part.length + state.length);
  const { effects, position, wakeAt } = place;
  const wake = wakeAt === null ? 0 : wakeAt === Infinity ? 1 : wakeAt + 2;
  for (const field of [index, term, time, effects, position, wake]) writer.varint(field);
  writer.bytes(part);
  writer.bytes(state);
  return writer.finish();
}

/** @throws Malformed */
function decoded(file: string, bytes: Uint8Array): WorldSnapshot {
  const reader = new Reader(bytes);
  const [index, term, time] = [reader.varint(), reader.varint(), reader.varint()];
  const [effects, position, wake] = [reader.varint(), reader.varint(), reader.varint()];
  const wakeAt = wake === 0 ? null : wake === 1 ? Infinity : wake - 2;
  const [part, state] = [reader.bytes().slice(), reader.bytes().slice()];
  reader.end();
  const checksum = crc32c(bytes);
  return { file, index, term, time, checksum, part, place: { effects, position, wakeAt }, state };
}

export class Snapshots {
  private readonly draft: WorldDraft;

  constructor(draft: WorldDraft) {
    this.draft = draft;
  }

  /** A process starts from its disk: it delivers what follows its snapshot. */
  begin(place: number): void {
    const slot = this.draft.ownSlot(place);
    const snapshot = newestOn(slot.disk);
    if (snapshot === null) return;
    slot.delivered = snapshot.index;
    slot.effects = snapshot.place.effects;
    slot.position = snapshot.place.position;
    slot.wakeAt = snapshot.place.wakeAt;
  }

  /** The machine is to be restored. */
  restore(place: number, file: string): void {
    const slot = this.draft.ownSlot(place);
    const snapshot = slot.disk.snapshots.get(file);
    if (snapshot === undefined) {
      throw new InvariantViolation(
        `snapshots/named-in-the-lane: ${slot.id} restores ${file}, which is not on its disk`,
      );
    }
    slot.effects = snapshot.place.effects;
    slot.position = snapshot.place.position;
    slot.wakeAt = snapshot.place.wakeAt;
    slot.restoring = snapshot;
    if (slot.taking !== null) {
      throw new InvariantViolation(
        `snapshots/alone-while-restoring: the machine of ${slot.id} is restored while a snapshot is taken of it`,
      );
    }
    if (this.draft.rules.eager.applied) this.restored(place);
  }

  /** A part of a pull: what is read, and what is stored. */
  pull(place: number, effect: PullEffect): void {
    const { draft } = this;
    const now = draft.local(place);
    const slot = draft.ownSlot(place);
    switch (effect.kind) {
      case 'readChunk': {
        const { to, number, snapshot, offset, length } = effect;
        const source = slot.disk.snapshots.get(effect.file);
        const data = source === undefined ? null : encoded(source).slice(offset, offset + length);
        draft.pending.push({ place, event: { kind: 'chunkRead', now, to, number, snapshot, offset, data } });
        return;
      }
      case 'pullSnapshot':
        slot.pulling = { file: effect.file, chunks: [] };
        return;
      case 'storeChunk': {
        const { file, data } = effect;
        if (slot.pulling?.file !== file) return;
        const chunks = [...slot.pulling.chunks, data];
        slot.pulling = { file, chunks };
        const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        draft.pending.push({ place, event: { kind: 'chunkStored', now, file, bytes } });
        return;
      }
      case 'completeSnapshot':
        return this.pulled(place, effect.file);
      case 'removePartial':
        return; // a start finds none
      case 'abandonSnapshot':
        if (slot.pulling?.file === effect.file) slot.pulling = null;
        return;
    }
  }

  /** All of a peer's newest snapshot comes at once. */
  bring(place: number, peer: number): void {
    const source = newestOn(this.draft.slot(peer).disk);
    if (source === null) return;
    const { file } = source;
    this.draft.ownSlot(place).pulling = { file, chunks: [encoded(source)] };
    this.pulled(place, file);
  }

  /** A pulled file is complete, durable and verified. */
  private pulled(place: number, file: string): void {
    const { draft } = this;
    const slot = draft.ownSlot(place);
    if (slot.pulling?.file !== file) return;
    const snapshot = decoded(file, joined(slot.pulling.chunks));
    slot.pulling = null;
    this.demandSamePart(place, snapshot.index, snapshot.part);
    slot.disk = { ...slot.disk, snapshots: new Map(slot.disk.snapshots).set(file, snapshot) };
    const { index, term, checksum, part } = snapshot;
    const event = { kind: 'snapshotPulled', now: draft.local(place), file, index, term, checksum, part } as const;
    draft.pending.push({ place, event });
  }

  take(place: number, effect: Extract<DriverEffect, { readonly kind: 'takeSnapshot' }>): void {
    const { draft } = this;
    const { file, index, term, part } = effect;
    this.demandSamePart(place, index, part);
    const { machines } = draft.rules;
    const slot = draft.ownSlot(place);
    slot.machine = machines.at(slot.machine, slot, draft.record.history());
    const { machine, runner } = slot.machine;
    const state = machines.snapshotOf(machine, slot.id);
    const { effects, position } = slot;
    const reached = { effects, position, wakeAt: runner.wakeAt };
    const { time } = decodeDriverPart(part);
    const content = { index, term, time, part, place: reached, state };
    slot.taking = { file, ...content, checksum: crc32c(encoded(content)) };
    if (draft.rules.eager.written) this.complete(place);
  }

  /** The driver's part follows from the log alone. */
  private demandSamePart(place: number, index: number, part: Uint8Array): void {
    const { draft } = this;
    for (let other = 0; other < draft.size; other++) {
      const { disk, taking } = draft.slot(other);
      for (const each of [...disk.snapshots.values(), ...(taking === null ? [] : [taking])]) {
        if (each.index !== index || sameBytes(each.part, part)) continue;
        const [a, b] = [draft.slot(place).id, draft.slot(other).id];
        throw new InvariantViolation(`requests/table-is-computed: ${a} and ${b} differ at ${index}`);
      }
    }
  }

  /** The snapshot that is taken is complete and durable. */
  complete(place: number): void {
    const { draft } = this;
    const { taking, disk } = draft.slot(place);
    if (taking === null) return;
    const slot = draft.ownSlot(place);
    slot.taking = null;
    slot.disk = { ...disk, snapshots: new Map(disk.snapshots).set(taking.file, taking) };
    const { file, checksum } = taking;
    const now = draft.local(place);
    const bytes = encoded(taking).length;
    draft.pending.push({ place, event: { kind: 'snapshotTaken', now, file, checksum, bytes } });
  }

  /** The snapshot that is taken fails, and nothing of it is left. */
  fail(place: number): void {
    const { draft } = this;
    const { taking } = draft.slot(place);
    if (taking === null) return;
    draft.ownSlot(place).taking = null;
    const event = { kind: 'snapshotFailed', now: draft.local(place), file: taking.file, reason: 'ENOSPC' } as const;
    draft.pending.push({ place, event });
  }

  remove(place: number, file: string): void {
    const slot = this.draft.ownSlot(place);
    if (namedOn(slot.disk).includes(file)) {
      throw new InvariantViolation(`snapshots/named-in-the-lane: ${slot.id} removes ${file}, which its list names`);
    }
    const snapshots = new Map(slot.disk.snapshots);
    snapshots.delete(file);
    slot.disk = { ...slot.disk, snapshots };
  }

  /** The machine is restored. */
  restored(place: number): void {
    const { draft } = this;
    const { restoring, id } = draft.slot(place);
    if (restoring === null) return;
    const { machines } = draft.rules;
    const slot = draft.ownSlot(place);
    slot.restoring = null;
    slot.machine = machines.restored(restoring.state, restoring.place);
    const replayed = machines.at(null, restoring.place, draft.record.history());
    const [own, expected] = [slot.machine.machine.snapshot(), replayed.machine.snapshot()];
    if (!sameDeep(own, expected)) {
      const rule = 'machine/snapshot-is-the-state: a machine that is restored is equal to one that applied everything';
      throw new InvariantViolation(`${rule}: at ${id}, index ${restoring.index}`, { own, expected });
    }
    draft.pending.push({ place, event: { kind: 'restored', now: draft.local(place) } });
  }

  /** Nothing else touches a machine that is being restored. */
  demandRestored(place: number): void {
    const { id, restoring } = this.draft.slot(place);
    if (restoring === null) return;
    throw new InvariantViolation(
      `snapshots/alone-while-restoring: the machine of ${id} is touched while it is restored`,
    );
  }
}
