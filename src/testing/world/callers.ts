/** The callers of a world: each makes a request at a replica and waits there until it ends or the replica crashes. */

import { InvariantViolation } from '../../core/assert.js';
import type { ReplicaId } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import type { ReadWay } from '../../replica/driver/state.js';
import type { WorldDraft } from './draft.js';
import type { ProcessEffect } from './process.js';
import type { WorldCall } from './record.js';

export class Callers {
  private readonly draft: WorldDraft;

  constructor(draft: WorldDraft) {
    this.draft = draft;
  }

  propose(place: number, command: unknown, timeout: Milliseconds, padding = 0): void {
    const { draft } = this;
    const data = draft.rules.machines.encode(draft.record.callCount + 1, command, padding);
    const call = this.invoke(place, 'write', command, null);
    const now = draft.local(place);
    draft.pending.push({ place, event: { kind: 'propose', now, commands: [{ call, deadline: now + timeout, data }] } });
  }

  read(place: number, minIndex: Index | null, timeout: Milliseconds, by: ReadWay = 'leader'): void {
    const { draft } = this;
    const call = this.invoke(place, minIndex === null ? 'read' : 'staleRead', undefined, minIndex);
    const now = draft.local(place);
    const calls = [{ call, deadline: now + timeout }];
    draft.pending.push({ place, event: { kind: 'read', now, calls, minIndex, by } });
  }

  transfer(place: number, to: ReplicaId | null, timeout: Milliseconds): void {
    const { draft } = this;
    const number = this.invoke(place, 'transfer', undefined, null);
    const now = draft.local(place);
    const call = { call: number, deadline: now + timeout };
    draft.pending.push({ place, event: { kind: 'transfer', now, call, to } });
  }

  private invoke(place: number, kind: WorldCall['kind'], command: unknown, minIndex: Index | null): number {
    const { draft } = this;
    const slot = draft.ownSlot(place);
    const call = draft.record.invoke(slot.id, kind, command, draft.now, minIndex);
    slot.waiting = [...slot.waiting, call];
    draft.tell({ kind: 'asked', replica: slot.id, call, asks: kind, command });
    return call;
  }

  cancel(calls: readonly number[]): void {
    const { draft } = this;
    for (let place = 0; place < draft.size; place++) {
      const { waiting, process, paused } = draft.slot(place);
      const here = calls.filter((call) => waiting.includes(call));
      if (here.length === 0 || process === null || paused) continue;
      draft.pending.push({ place, event: { kind: 'cancel', now: draft.local(place), calls: here } });
    }
  }

  answer(place: number, { call, index, result }: Extract<ProcessEffect, { kind: 'answer' }>): void {
    const { draft } = this;
    const replica = this.end(place, call);
    draft.record.acknowledge(replica, call, index, result, draft.now);
    draft.tell({ kind: 'answered', replica, call, index, result });
  }

  /** @param position the index up to which the replica's machine has applied, which the caller sees */
  serve(place: number, { calls, index }: Extract<ProcessEffect, { kind: 'serve' }>, position: Index): void {
    const { draft } = this;
    for (const call of calls) {
      const replica = this.end(place, call);
      draft.record.serve(replica, call, index, position, draft.now);
      draft.tell({ kind: 'served', replica, call, index });
    }
  }

  transferred(place: number, { call, leader }: Extract<ProcessEffect, { kind: 'transferred' }>): void {
    const { draft } = this;
    const replica = this.end(place, call);
    draft.record.transferred(replica, call, leader, draft.now);
    draft.tell({ kind: 'transferred', replica, call, leader });
  }

  fail(place: number, { calls, failure }: Extract<ProcessEffect, { kind: 'fail' }>): void {
    const { draft } = this;
    for (const call of calls) {
      const replica = this.end(place, call);
      draft.record.fail(replica, call, failure, draft.now);
      draft.tell({ kind: 'failed', replica, call, failure });
    }
  }

  private end(place: number, call: number): ReplicaId {
    const slot = this.draft.ownSlot(place);
    slot.waiting = slot.waiting.filter((each) => each !== call);
    return slot.id;
  }

  /** Checks that a stop has ended every call (law/one-end-per-request). */
  demandAnswered(place: number): void {
    const { id, waiting } = this.draft.slot(place);
    if (waiting.length > 0)
      throw new InvariantViolation(`law/one-end-per-request: a stop ends every call: ${id} left ${waiting.join(' ')}`);
  }
}
