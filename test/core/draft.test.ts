/** The draft: the same reference when nothing changed, the persist first, `after` only for what is not durable. */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../src/core/assert.js';
import { withItem } from '../../src/core/book.js';
import { BaseDraft, type Mutable } from '../../src/core/draft.js';
import { unbound } from '../../src/core/lease-reads.js';
import { emptyLog } from '../../src/core/log.js';
import { configurationOf } from '../../src/core/members.js';
import type { HardState, PersistSeq } from '../../src/core/protocol.js';
import {
  coreOptionsOf,
  firstNumberOf,
  startOf,
  type CoreFollower,
  type CoreLeader,
  type CoreRole,
  type CoreState,
} from '../../src/core/state.js';
import { defaultLimits, defaultTiming } from '../../src/core/tuning.js';
import { command } from '../values.js';

/** A protocol that votes by nothing: its term is a number that a verb sets. */
interface Tiny extends CoreState {
  readonly value: number;
}

const NOBODY: CoreFollower = { kind: 'follower', leader: null };

class TinyDraft extends BaseDraft<Tiny, string> {
  protected override copy(state: Tiny): Mutable<Tiny> {
    return { ...state };
  }
  protected override copyLeader(leader: CoreLeader): Mutable<CoreLeader> {
    return { ...leader };
  }
  protected override hardState(): HardState {
    return { term: this.state.value, vote: null, commit: 0 };
  }
  protected override idleRole(): CoreRole {
    return NOBODY;
  }
  override get commitIndex(): number {
    return 0;
  }
  override termOf(state: Tiny): number {
    return state.value;
  }
  set(value: number): void {
    this.edit().value = value;
  }
  touch(): void {
    this.edit();
  }
  put(): PersistSeq {
    return this.persist({ kind: 'put', entries: [command(1, 1)] });
  }
  hard(): PersistSeq {
    return this.persistHard();
  }
}

const start = {
  id: 'n1',
  boot: 1,
  configuration: configurationOf({ n1: 'a', n2: 'b', n3: 'c' }),
  seed: 1,
  now: 100,
  timing: defaultTiming,
  limits: defaultLimits,
  preVote: true,
};
const state: Tiny = Object.freeze({
  options: coreOptionsOf(start),
  ...startOf(start, coreOptionsOf(start), emptyLog, null, unbound, 0),
  role: NOBODY,
  lastNumber: 7,
  persistSeq: 4,
  durableSeq: 3,
  hardSeq: 2,
  value: 1,
});

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

  it('works on a copy, with the time of the step', () => {
    const draft = new TinyDraft(state, 500);
    draft.set(2);
    expect(draft.state.value).toBe(2);
    expect(state.value).toBe(1);
    const [after] = draft.finish();
    expect(after).toEqual({ ...state, value: 2, now: 500 });
  });

  it('counts a smaller now as the stored one (law/time-is-data)', () => {
    const draft = new TinyDraft(state, 50);
    draft.touch();
    expect([draft.now, draft.finish()[0].now]).toEqual([100, 100]);
  });

  it('puts the persist first, one a step, which ends with the hard state as it is then', () => {
    const draft = new TinyDraft(state, 100);
    draft.send('n2', 'early', 4, 'control');
    expect(draft.put()).toBe(5);
    expect(draft.hard()).toBe(5);
    draft.set(6);
    draft.resolve([9], { kind: 'committed' });
    const [after, outbound] = draft.finish();
    expect(outbound.map((each) => each.kind)).toEqual(['persist', 'send', 'resolve', 'event']);
    const hard = { term: 6, vote: null, commit: 0 };
    expect(outbound[0]).toMatchObject({ persistSeq: 5, ops: [{ kind: 'put' }, { kind: 'hard', hard }] });
    expect([after.persistSeq, after.hardSeq]).toEqual([5, 5]);
  });

  it('tells a change of role, term or leader once, at the end', () => {
    const draft = new TinyDraft(state, 100);
    draft.set(2);
    draft.set(3);
    const told = { kind: 'role', role: 'follower', term: 3, leader: null, fence: null };
    expect(draft.finish()[1]).toEqual([{ kind: 'event', event: told }]);
  });

  it('that halts ends every request, and takes no part any more', () => {
    const read = { key: 3, forward: 9, sentAt: 0, deadline: 500, until: 500, at: Infinity };
    const waiting: Tiny = { ...state, reads: withItem(null, read) };
    const draft = new TinyDraft(waiting, 100);
    draft.halt('EIO');
    const [after, outbound] = draft.finish();
    expect(after).toMatchObject({ stopped: true, fault: 'EIO', reads: null, electionTimer: { deadline: Infinity } });
    expect(outbound).toEqual([
      { kind: 'resolve', requests: [3], outcome: { kind: 'none', reason: 'storageFailed', leader: null } },
      { kind: 'event', event: { kind: 'fault', reason: 'EIO' } },
    ]);
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

  it('says nothing of no request, and delivers nothing as nothing', () => {
    const draft = new TinyDraft(state, 100);
    draft.resolve([], { kind: 'committed' });
    draft.endAttempts({ attempts: state.attempts, endings: [] });
    expect(() => draft.commit([])).toThrow(InvariantViolation);
    expect(draft.finish()[1]).toEqual([]);
  });

  it('numbers its loads and forwards', () => {
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
