/** Handing over: in order, once, gap-free, within the bound, from memory or by load. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as delivery from '../../src/core/delivery.js';
import { bytesOf } from '../../src/core/entries.js';
import * as logs from '../../src/core/log.js';
import type { Entry } from '../../src/core/protocol.js';
import { command, frozen, smallLimits } from '../values.js';

const limits = smallLimits;

describe('delivery', () => {
  it('hands over every committed entry once, in order, never too far ahead of what is applied', () => {
    const step = fc.record({
      append: fc.nat(5),
      bytes: fc.constantFrom(0, 10, 400),
      commit: fc.nat(6),
      applied: fc.nat(4),
      evict: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        let log = logs.emptyLog;
        let state = frozen(delivery.deliveredTo(0));
        let commit = 0;
        const all: Entry[] = [];
        const delivered: Entry[] = [];
        const turn = (): boolean => {
          const next = delivery.nextDelivery(state, log, commit, limits);
          if (next === null) return false;
          const from = state.delivered + 1;
          const entries = next === 'load' ? all.slice(from - 1, Math.min(from, commit)) : next;
          if (next === 'load') expect(from).toBeLessThan(log.tailFrom);
          expect(entries[0]?.index).toBe(delivered.length + 1);
          expect((entries[entries.length - 1] as Entry).index).toBeLessThanOrEqual(commit);
          const before = state.unappliedBytes;
          expect(before).toBeLessThan(limits.applyBytes);
          delivered.push(...entries);
          state = frozen(delivery.noteDelivered(state, entries));
          if (entries.length > 1) expect(state.unappliedBytes).toBeLessThanOrEqual(limits.applyBytes);
          expect(state.unappliedBytes).toBe(before + bytesOf(entries));
          return true;
        };
        const applyTo = (index: number): void => {
          state = frozen(delivery.noteApplied(state, index));
          expect(state.applied).toBeLessThanOrEqual(state.delivered);
          if (state.applied === state.delivered) expect([state.unapplied, state.unappliedBytes]).toEqual([[], 0]);
        };
        for (const each of steps) {
          const added = Array.from({ length: each.append }, (_, at) => command(all.length + 1 + at, 1, each.bytes));
          all.push(...added);
          log = logs.append(log, added);
          if (each.evict) log = logs.evict(log, log.last, 0, limits);
          commit = Math.min(all.length, commit + each.commit);
          while (turn());
          applyTo(Math.min(state.delivered, state.applied + each.applied));
        }
        for (;;) {
          applyTo(state.delivered);
          if (!turn()) break;
        }
        expect(delivered).toEqual(all.slice(0, commit));
      }),
      { numRuns: 200 },
    );
  });

  it('waits for a load that is under way', () => {
    const log = logs.append(logs.emptyLog, [command(1, 1)]);
    expect(delivery.nextDelivery({ ...delivery.deliveredTo(0), loading: 7 }, log, 1, limits)).toBeNull();
  });

  it('refuses to have applied what was never delivered; an old report changes nothing', () => {
    const state = delivery.noteDelivered(delivery.deliveredTo(0), [command(1, 1)]);
    expect(() => delivery.noteApplied(state, 2)).toThrow(RangeError);
    const applied = delivery.noteApplied(state, 1);
    expect(delivery.noteApplied(applied, 1)).toBe(applied);
  });
});
