/**
 * The disks of a world: writes, loads, failures and shortages of space. A write or a load stays in the replica's slot
 * until an action finishes it, unless the world is eager; without space a write waits.
 */

import { InvariantViolation } from '../../core/assert.js';
import { read, written } from './disk.js';
import type { WorldDraft } from './draft.js';
import type { ProcessEffect } from './process.js';
import { demandTrimmedBelow } from './snapshots.js';
import type { PendingLoad, Slot } from './state.js';

/** The reason that a failing storage gives. */
const EIO = 'EIO';

/** Whether a replica halted for this reason because an action made its storage fail. */
export function isStorageFault({ failing }: Slot, fault: string): boolean {
  return failing !== null && fault.includes(EIO);
}

export class Disks {
  private readonly draft: WorldDraft;

  constructor(draft: WorldDraft) {
    this.draft = draft;
  }

  write(place: number, ops: Slot['writing']): void {
    const slot = this.draft.ownSlot(place);
    if (slot.writing !== null)
      throw new InvariantViolation(`durability/one-write-at-a-time: ${slot.id} has two writes under way`);
    slot.writing = ops;
    slot.durable = false;
    if (slot.failing !== null) return this.fail(place, slot.failing.keep);
    if (this.draft.rules.eager.written) this.reportWritten(place);
  }

  /** The write under way becomes durable; the process is not told yet. */
  sync(place: number): void {
    const { draft } = this;
    const { writing, durable, room } = draft.slot(place);
    if (writing === null || durable || room === 0) return;
    const slot = draft.ownSlot(place);
    if (room !== null) slot.room = room - 1;
    slot.disk = written(slot.disk, writing);
    slot.durable = true;
    demandTrimmedBelow(slot);
    draft.durable(slot.id);
    draft.tell({ kind: 'durable', replica: slot.id });
    draft.watcher?.touched(place);
  }

  /** What is written beside the write under way is durable before it: their order makes no difference. */
  makeRoom(place: number, ops: NonNullable<Slot['writing']>): void {
    const { draft } = this;
    const slot = draft.ownSlot(place);
    if (slot.failing !== null) return;
    slot.disk = written(slot.disk, ops);
    demandTrimmedBelow(slot);
    const keys = ops.map((op) => (op.kind === 'set' ? op.key : null));
    const differs = slot.writing?.some((op) => {
      if (op.kind === 'set') return keys.includes(op.key);
      return op.kind === 'put' && op.entries.some(({ index }) => index <= slot.disk.trimmed);
    });
    if (differs === true && !slot.durable)
      throw new InvariantViolation(`storage/trimmed-goes-when-full: ${slot.id} trims or sets what is being written`);
    draft.pending.push({ place, event: { kind: 'roomMade', now: draft.local(place) } });
    draft.watcher?.touched(place);
  }

  reportWritten(place: number): void {
    const { draft } = this;
    if (draft.slot(place).writing === null) return;
    this.sync(place);
    if (!draft.slot(place).durable) return; // no space
    draft.ownSlot(place).writing = null;
    draft.pending.push({ place, event: { kind: 'written', now: draft.local(place) } });
  }

  /** The write under way fails, or else the next one. @param keep whether it is durable all the same */
  fail(place: number, keep: boolean): void {
    const { draft } = this;
    const slot = draft.ownSlot(place);
    if (slot.process === null) return;
    slot.failing = { keep };
    if (slot.writing === null) return;
    if (keep) this.sync(place);
    slot.writing = null;
    draft.pending.push({ place, event: { kind: 'storageFailed', now: draft.local(place), reason: EIO } });
  }

  /** The disk of a running replica is full, but for so many writes. */
  fill(place: number, room: number): void {
    this.draft.ownSlot(place).room = room;
    this.tellSpace(place);
    this.draft.watcher?.touched(place);
  }

  /** It has space again: what waited goes on. */
  free(place: number): void {
    const { draft } = this;
    const { room, paused } = draft.slot(place);
    if (room === null || paused) return;
    draft.ownSlot(place).room = null;
    if (draft.rules.eager.written) this.reportWritten(place);
    this.tellSpace(place);
    draft.watcher?.touched(place);
  }

  /** The replica hears whether there is space. */
  tellSpace(place: number): void {
    const { draft } = this;
    const full = draft.slot(place).room !== null;
    draft.pending.push({ place, event: { kind: 'storageFull', now: draft.local(place), full } });
  }

  load(place: number, { id, from, to, maxBytes }: Extract<ProcessEffect, { kind: 'load' }>): void {
    const slot = this.draft.ownSlot(place);
    slot.loads = [...slot.loads, { id, from, to, maxBytes }];
    if (this.draft.rules.eager.loaded) this.answerLoad(place);
  }

  /** The oldest load is answered. */
  answerLoad(place: number): void {
    const { draft } = this;
    if (draft.slot(place).loads.length === 0) return;
    const slot = draft.ownSlot(place);
    const [load, ...rest] = slot.loads as readonly [PendingLoad, ...PendingLoad[]];
    slot.loads = rest;
    const entries = read(slot.disk, load.from, load.to, load.maxBytes);
    draft.pending.push({ place, event: { kind: 'loaded', now: draft.local(place), id: load.id, entries } });
  }
}
