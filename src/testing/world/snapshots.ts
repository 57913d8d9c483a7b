/**
 * The snapshots of a world: a replica's machine gives one at once, an action makes it complete on the disk, and another
 * one lets the machine be restored from it. As a host does, the world encodes what the machine gives, so that nothing
 * is shared with the machine.
 *
 * Checks: what a list names is on the disk; what the driver adds is the same on every replica at the same index; and a
 * machine that was restored is equal to one that applied every command.
 */

import { InvariantViolation } from '../../core/assert.js';
import { sameBytes } from '../../core/bytes.js';
import { crc32c } from '../../core/crc32c.js';
import { SNAPSHOTS_KEY, decodeSnapshots } from '../../replica/driver/snapshots.js';
import type { DriverEffect } from '../../replica/driver/state.js';
import type { WorldDisk, WorldSnapshot } from './disk.js';
import type { WorldDraft } from './draft.js';
import { sameDeep } from './laws.js';

/** The names of the files that the disk's durable list names, newest first. */
export function namedOn(disk: WorldDisk): readonly string[] {
  const bytes = disk.values.get(SNAPSHOTS_KEY);
  return bytes === undefined ? [] : decodeSnapshots(bytes).map(({ file }) => file);
}

/** The snapshot that a start from this disk restores. */
export function newestOn(disk: WorldDisk): WorldSnapshot | null {
  const [file] = namedOn(disk);
  if (file === undefined) return null;
  const snapshot = disk.snapshots.get(file);
  if (snapshot !== undefined) return snapshot;
  throw new InvariantViolation(`snapshots/named-in-the-lane: a list names ${file}, which is not on the disk`);
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
    slot.restoring = snapshot;
    if (this.draft.rules.eager.applied) this.restored(place);
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
    slot.taking = { file, index, term, part, place: reached, state, checksum: crc32c(state) };
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
    const { file, checksum, state } = taking;
    const now = draft.local(place);
    draft.pending.push({ place, event: { kind: 'snapshotTaken', now, file, checksum, bytes: state.length } });
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
