/**
 * The applications of a world: committed entries are delivered to the replica's state machine, which applies them when
 * an action says so, or at once if the world is eager.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
import { sameValue } from '../../core/entries.js';
import type { Entry, Index, Milliseconds } from '../../core/protocol.js';
import type { WakePoint } from '../../replica/driver/apply.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import { textOf } from '../../replica/errors.js';
import type { WorldDraft } from './draft.js';
import type { Holder } from './machine.js';
import type { Slot } from './state.js';

export class Applications {
  private readonly draft: WorldDraft;

  constructor(draft: WorldDraft) {
    this.draft = draft;
  }

  /** A core delivers a committed entry. */
  deliver(place: number, entry: Entry): void {
    const { record } = this.draft;
    const slot = this.draft.ownSlot(place);
    const first = record.deliver(slot.id, slot.delivered, entry);
    slot.delivered = entry.index;
    if (first) this.demandDurable(entry);
  }

  /** A snapshot of a peer takes the place of what is not delivered up to there. */
  goOnBehind(place: number, index: Index): void {
    this.draft.ownSlot(place).delivered = index;
  }

  /** Checks that a delivered entry is durable on a majority (log/committed-on-majority). */
  private demandDurable(entry: Entry): void {
    const { view, size } = this.draft;
    let disks = 0;
    for (const { disk } of view.replicas) {
      const stored = disk.entry(entry.index);
      if (stored !== undefined && sameValue(stored, entry)) disks += 1;
    }
    if (disks * 2 > size) return;
    const rule = 'log/committed-on-majority: what is committed is durable on a majority';
    throw new InvariantViolation(`${rule}: index ${entry.index} is on ${disks} of ${size}`, { entry });
  }

  /** The machine is given commands. */
  begin(place: number, entries: readonly Entry[], wakeAt: Milliseconds | null): void {
    const slot = this.draft.ownSlot(place);
    slot.applying = entries;
    slot.wakeAt = wakeAt;
    if (this.draft.rules.eager.applied) this.apply(place);
  }

  /** The machine applies the entries that it was given. */
  apply(place: number): void {
    const { draft } = this;
    const { record } = draft;
    const { machines } = draft.rules;
    const slot = draft.ownSlot(place);
    const { applying } = slot;
    if (applying === null) return;
    slot.applying = null;
    const holder = machines.at(slot.machine, slot, record.history());
    slot.machine = holder;
    holder.runner.wakeAt = slot.wakeAt;
    const results = this.run(slot, holder, applying);
    for (let i = 0; i < applying.length; i++) {
      const entry = applying[i] as Entry;
      const result = results[i] as StoredResult;
      record.takeEffect(slot.id, slot.effects, entry, result);
      slot.effects += 1;
      slot.position = entry.index;
      if (!draft.observed) continue;
      const command = machines.decode(entry.data);
      draft.tell({ kind: 'applied', replica: slot.id, index: entry.index, command, result });
    }
    const wakeAt = holder.runner.wakeAt ?? Infinity;
    draft.pending.push({ place, event: { kind: 'applied', now: draft.local(place), results, wakeAt } });
  }

  /** The machine is woken at an entry that has no command for it. */
  wake(place: number, { index, time }: WakePoint): void {
    const { draft } = this;
    const slot = draft.ownSlot(place);
    const holder = draft.rules.machines.at(slot.machine, slot, draft.record.history());
    slot.machine = holder;
    const fault = draft.rules.machines.wake(holder, index, time);
    if (fault !== null) {
      throw new InvariantViolation(`machine/never-fails: the state machine failed at ${slot.id}: ${fault.reason}`);
    }
    slot.position = index;
    const wakeAt = holder.runner.wakeAt ?? Infinity;
    draft.pending.push({ place, event: { kind: 'woken', now: draft.local(place), wakeAt } });
  }

  /** Applies commands. An exception of the user's machine or check is a violation, with the commands as evidence. */
  private run({ id }: Slot, holder: Holder, entries: readonly Entry[]): readonly StoredResult[] {
    const { machines } = this.draft.rules;
    const violation = (rule: RuleText): InvariantViolation => {
      const commands = entries.map(({ index, data }) => [index, machines.decode(data)]);
      return new InvariantViolation(rule, commands);
    };
    let results: ReturnType<typeof machines.apply>;
    try {
      results = machines.apply(holder, entries);
    } catch (error) {
      throw violation(`machine/own-check: the state machine's own check failed at ${id}: ${textOf(error)}`);
    }
    if ('code' in results) throw violation(`machine/never-fails: the state machine failed at ${id}: ${results.reason}`);
    return results;
  }

  /** The index up to which the machine has applied everything; entries that are no commands count as applied. */
  position(place: number): Index {
    const { effects, delivered, applying } = this.draft.slot(place);
    const next = applying?.[0]?.index ?? this.draft.record.effectIndex(effects);
    return next === 0 ? delivered : Math.min(delivered, next - 1);
  }
}
