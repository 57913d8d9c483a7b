/** The draft: the same reference when nothing changed, the persist first, `after` only for what is not durable. */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../src/core/assert.js';
import { BaseDraft, firstNumberOf, type CommonState, type Mutable } from '../../src/core/draft.js';
import type { HardState, PersistSeq } from '../../src/core/protocol.js';
import { command } from '../support/values.js';

interface Tiny extends CommonState {
  readonly value: number;
}

class TinyDraft extends BaseDraft<Tiny, string> {
  protected override copy(state: Tiny): Mutable<Tiny> {
    const { now, persistSeq, durableSeq, hardSeq, lastNumber, value } = state;
    return { now, persistSeq, durableSeq, hardSeq, lastNumber, value };
  }
  set(value: number): void {
    this.edit().value = value;
  }
  put(): PersistSeq {
    return this.persist({ kind: 'put', entries: [command(1, 1)] });
  }
  hard(hard: HardState): PersistSeq {
    return this.persistHard(hard);
  }
  get writes(): boolean {
    return this.persists;
  }
}

const state: Tiny = Object.freeze({ now: 100, persistSeq: 4, durableSeq: 3, hardSeq: 2, lastNumber: 7, value: 1 });

describe('a draft', () => {
  it('that changes nothing gives the state that it got, and nothing outbound', () => {
    const first = new TinyDraft(state, 500).finish();
    expect(first[0]).toBe(state);
    expect(first[1]).toEqual([]);
    // Emitting alone changes no state: `now` is stored only by a step that stores something else (law/time-is-data).
    const draft = new TinyDraft(state, 500);
    draft.send('n2', 'hello', 0, 'control');
    const [after, outbound] = draft.finish();
    expect(after).toBe(state);
    expect(outbound).toHaveLength(1);
  });

  it('works on a copy, frozen at the end, with the time of the step', () => {
    const draft = new TinyDraft(state, 500);
    draft.set(2);
    expect(draft.state.value).toBe(2);
    expect(state.value).toBe(1);
    const [after] = draft.finish();
    expect(after).toEqual({ ...state, value: 2, now: 500 });
    expect(Object.isFrozen(after)).toBe(true);
  });

  it('counts a smaller now as the stored one (law/time-is-data)', () => {
    const draft = new TinyDraft(state, 50);
    draft.set(2);
    expect([draft.now, draft.finish()[0].now]).toEqual([100, 100]);
  });

  it('puts the persist first, one a step, whatever came before it', () => {
    const draft = new TinyDraft(state, 100);
    draft.send('n2', 'early', 4, 'control');
    expect(draft.writes).toBe(false);
    expect(draft.put()).toBe(5);
    expect(draft.hard({ term: 1, vote: null, commit: 0 })).toBe(5);
    expect(draft.writes).toBe(true);
    draft.resolve([9], { kind: 'committed' });
    const [after, outbound] = draft.finish();
    expect(outbound.map((each) => each.kind)).toEqual(['persist', 'send', 'resolve']);
    expect(outbound[0]).toMatchObject({ seq: 5, ops: [{ kind: 'put' }, { kind: 'hard' }] });
    expect([after.persistSeq, after.hardSeq]).toEqual([5, 5]);
  });

  it('waits only for what is not yet durable', () => {
    const draft = new TinyDraft(state, 100);
    draft.send('n2', 'a', 3, 'control');
    draft.send('n2', 'b', 4, 'bulk');
    expect(draft.finish()[1]).toMatchObject([
      { after: 0, lane: 'control' },
      { after: 4, lane: 'bulk' },
    ]);
  });

  it('says nothing of no request, and hands nothing over as nothing', () => {
    const draft = new TinyDraft(state, 100);
    draft.resolve([], { kind: 'committed' });
    draft.resolveAll([]);
    expect(() => draft.commit([])).toThrow(InvariantViolation);
    expect(draft.finish()[1]).toEqual([]);
  });

  it('numbers its loads and whatever else must be told apart', () => {
    const draft = new TinyDraft(state, 100);
    expect([draft.freshNumber(), draft.load(1, 5, 10), draft.freshNumber()]).toEqual([8, 9, 10]);
    expect(draft.finish()[0].lastNumber).toBe(10);
  });
});

it('starts of a replica share no number (Identity)', () => {
  expect(firstNumberOf(2) - firstNumberOf(1)).toBe(2 ** 32);
  expect(Number.isSafeInteger(firstNumberOf(2 ** 20 - 1) + 2 ** 32)).toBe(true);
  for (const boot of [0, -1, 1.5, 2 ** 20]) expect(() => firstNumberOf(boot)).toThrow(RangeError);
});
