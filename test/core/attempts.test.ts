/** law/one-end-per-request: each request ends exactly once, `none` only by proof, whatever order things happen in. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as requests from '../../src/core/attempts.js';
import { earliestDeadline, itemsOf } from '../../src/core/book.js';
import type { PlaceRun } from '../../src/core/forwarding.js';
import type { Entry, EntryId, Outcome, Proposal, RequestNumber } from '../../src/core/protocol.js';
import { command, frozen, noop, proposal } from '../values.js';

/** What the test knows of a request, and how it ended. */
interface Asked {
  readonly id: EntryId;
  /** Where this replica knows it to stand; 0 while it does not. */
  place: number;
  ending: Outcome | null;
}

/** A forward on its way. */
interface Forwarded {
  readonly requests: readonly RequestNumber[];
  /** What the leader answered, once it arrived. */
  places: readonly PlaceRun[] | null;
}

const number = fc.nat(12);
const op = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('add' as const),
      count: fc.integer({ min: 1, max: 5 }),
      until: fc.integer({ min: 1, max: 40 }),
      patience: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('arrive' as const),
      number,
      picks: fc.array(fc.constantFrom('append', 'append', 'append', 'refuse'), { minLength: 5, maxLength: 5 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('answer' as const), number, known: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('commit' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  fc.record({
    op: fc.constant('leader' as const),
    itself: fc.boolean(),
    kept: fc.nat(4),
    others: fc.nat(3),
  }),
  fc.record({ op: fc.constant('refuse' as const), number, unsent: fc.boolean() }),
  fc.record({ op: fc.constant('disconnect' as const) }),
  fc.record({ op: fc.constant('expire' as const), now: fc.nat(40) }),
  fc.record({ op: fc.constant('cancel' as const), picks: fc.array(fc.nat(40), { maxLength: 4 }) }),
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

/** A replica's requests, and the log of whoever leads. */
class Cluster {
  attempts: requests.Attempts = null;
  readonly asked = new Map<RequestNumber, Asked>();
  private readonly committed: Entry[] = [];
  /** What stands in the leader's log above what is committed. */
  private appended: (EntryId | null)[] = [];
  private readonly forwards: Forwarded[] = [];
  /** Whether this replica itself leads. */
  private leads = false;

  private settle(settled: requests.EndedAttempts): void {
    this.attempts = frozen(settled.attempts);
    for (const { requests: ended, outcome } of settled.endings) {
      expect(ended.length).toBeGreaterThan(0);
      for (const request of ended) this.end(request, outcome);
    }
  }

  private end(request: RequestNumber, outcome: Outcome): void {
    const asked = this.asked.get(request) as Asked;
    expect(asked.ending, 'ends once').toBeNull();
    asked.ending = outcome;
    if (outcome.kind === 'committed') expect(this.isCommitted(asked)).toBe(true);
    if (outcome.kind === 'none') expect(outcome.reason).toBe('unsent');
  }

  private isCommitted({ id }: Asked): boolean {
    return this.committed.some((entry) => entry.id?.sequence === id.sequence);
  }

  private get last(): number {
    return this.committed.length + this.appended.length;
  }

  private forwardOf(pick: number): readonly [number, Forwarded] | undefined {
    const forward = this.forwards.length === 0 ? 0 : (pick % this.forwards.length) + 1;
    return forward === 0 ? undefined : [forward, this.forwards[forward - 1] as Forwarded];
  }

  private add({ count, until, patience }: Extract<Op, { op: 'add' }>): void {
    const { leads: local } = this;
    const first = this.last + 1;
    const proposals: Proposal[] = [];
    for (let at = 0; at < count; at++) {
      const request = this.asked.size + 1;
      const next = proposal(request, request);
      proposals.push(next);
      this.asked.set(request, { id: next.id, place: local ? first + at : 0, ending: null });
      if (local) this.appended.push(next.id);
    }
    if (local) {
      this.attempts = frozen(requests.addPlaced(this.attempts, proposals, first, until));
      return;
    }
    this.forwards.push({ requests: proposals.map(({ request }) => request), places: null });
    const sending = { forward: this.forwards.length, sentAt: 0, through: 0, until, patience };
    this.attempts = frozen(requests.addForwarded(this.attempts, proposals, sending));
  }

  /** The leader takes a forward into its log, in whole or in part; a duplicate too. */
  private arrive(pick: number, picks: readonly string[]): void {
    const [, forward] = this.forwardOf(pick) ?? [];
    if (forward === undefined) return;
    const places = forward.requests.map((request, at): PlaceRun => {
      if (picks[at] === 'refuse') return { first: 0, count: 1 };
      this.appended.push((this.asked.get(request) as Asked).id);
      return { first: this.last, count: 1 };
    });
    forward.places ??= places;
  }

  private answer(pick: number, isKnown: boolean): void {
    const [number, forward] = this.forwardOf(pick) ?? [];
    if (number === undefined || !forward?.places) return;
    const attempt = requests.unansweredAttempt(this.attempts, number);
    if (attempt === undefined) return;
    const delivered = this.committed.length;
    const idAt = (index: number): EntryId | null | undefined => (isKnown ? this.committed[index - 1]?.id : undefined);
    forward.requests.forEach((request, at) => {
      (this.asked.get(request) as Asked).place = forward.places?.[at]?.first ?? 0;
    });
    this.settle(requests.placeAccepted(this.attempts, attempt, forward.places, delivered, idAt));
    expect(requests.unansweredAttempt(this.attempts, number)).toBeUndefined();
    for (const [at, request] of forward.requests.entries()) {
      const { ending } = this.asked.get(request) as Asked;
      if (forward.places[at]?.first === 0) expect(ending).not.toBeNull();
    }
  }

  private commit(count: number): void {
    const from = this.committed.length + 1;
    const entries = this.appended.splice(0, count).map((id, at): Entry => {
      return id === null ? noop(from + at, 1) : { ...command(from + at, 1), id };
    });
    this.committed.push(...entries);
    this.settle(requests.completeCommitted(this.attempts, frozen(entries)));
  }

  /** Another leader, whose log has a part of the last one's: every attempt ends, and old answers are void. */
  private change(itself: boolean, kept: number, others: number): void {
    this.leads = itself;
    this.settle(requests.endAllAttempts(this.attempts, 'leaderChanged', 'n2'));
    this.appended = [...this.appended.slice(0, kept), ...new Array<null>(others).fill(null)];
    for (const asked of this.asked.values()) expect(asked.ending).not.toBeNull();
  }

  private refuse(pick: number, isUnsent: boolean): void {
    const [number, forward] = this.forwardOf(pick) ?? [];
    if (number === undefined || (isUnsent && forward?.places !== null)) return;
    const attempt = requests.unansweredAttempt(this.attempts, number);
    if (attempt === undefined) return;
    const outcome: Outcome = isUnsent
      ? { kind: 'none', reason: 'unsent', leader: null }
      : { kind: 'unknown', reason: 'notLeader', leader: null };
    this.settle(requests.endAttempt(this.attempts, attempt, outcome));
  }

  private disconnect(): void {
    this.settle(requests.endUnanswered(this.attempts, 'n2'));
    expect(itemsOf(this.attempts).every(({ at }) => at < Infinity)).toBe(true);
  }

  private cancel(picks: readonly number[]): void {
    const before = new Set(picks.filter((request) => this.asked.get(request)?.ending === null));
    this.settle(requests.endCancelled(this.attempts, picks));
    for (const request of before) expect(this.asked.get(request)?.ending).toMatchObject({ reason: 'cancelled' });
  }

  do(each: Op): void {
    switch (each.op) {
      case 'add':
        return this.add(each);
      case 'arrive':
        return this.arrive(each.number, each.picks);
      case 'answer':
        return this.answer(each.number, each.known);
      case 'commit':
        return this.commit(each.count);
      case 'leader':
        return this.change(each.itself, each.kept, each.others);
      case 'refuse':
        return this.refuse(each.number, each.unsent);
      case 'disconnect':
        return this.disconnect();
      case 'expire':
        this.settle(requests.endExpired(this.attempts, each.now));
        return expect(earliestDeadline(this.attempts)).toBeGreaterThan(each.now);
      case 'cancel':
        return this.cancel(each.picks);
    }
  }

  /** Every request that has not ended is booked once; one whose place is delivered has ended. */
  check(): void {
    const open = [...this.asked].filter(([, asked]) => asked.ending === null).map(([request]) => request);
    const booked = itemsOf(this.attempts).flatMap((attempt) => attempt.requests.filter((request) => request !== 0));
    expect(booked).toEqual(open);
    for (const { key, requests: own, ids, at } of itemsOf(this.attempts)) {
      expect(own[0] === key || own[0] === 0).toBe(true);
      expect(ids).toHaveLength(own.length);
      expect(at).toBeGreaterThan(this.committed.length);
    }
    for (const asked of this.asked.values()) {
      const isDelivered = asked.place > 0 && asked.place <= this.committed.length;
      if (isDelivered) expect(asked.ending).not.toBeNull();
    }
  }

  /** Everything is over. */
  stop(): void {
    this.settle(requests.endAllAttempts(this.attempts, 'stopped', null));
    for (const asked of this.asked.values()) expect(asked.ending).not.toBeNull();
    expect(this.attempts).toBeNull();
  }
}

describe('requests', () => {
  it('end exactly once, committed only when they are, `none` only if they never left', () => {
    const ended = new Set<string>();
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const cluster = new Cluster();
        for (const each of ops) {
          cluster.do(each);
          cluster.check();
        }
        cluster.stop();
        for (const { ending } of cluster.asked.values()) {
          ended.add(ending?.kind === 'committed' ? 'committed' : `${ending?.kind} ${ending?.reason}`);
        }
      }),
      { numRuns: 500, seed: 1 },
    );
    const reasons = ['busy', 'superseded', 'leaderChanged', 'disconnected', 'unanswered', 'deadline', 'cancelled'];
    const ways = [...reasons, 'notLeader', 'stopped'].map((reason) => `unknown ${reason}`);
    expect([...ended].sort()).toEqual(['committed', 'none unsent', ...ways].sort());
  });

  it('give the same books back when nothing ends', () => {
    const placed = requests.addPlaced(null, [proposal(1, 1)], 3, 50);
    const sending = { forward: 8, sentAt: 10, through: 0, until: 90, patience: 40 };
    const attempts = requests.addForwarded(placed, [proposal(2, 2)], sending);
    expect(requests.completeCommitted(attempts, [noop(1, 1), noop(2, 1)])).toEqual({ attempts, endings: [] });
    expect(requests.completeCommitted(attempts, [noop(1, 1), noop(2, 1)]).attempts).toBe(attempts);
    expect(requests.endExpired(attempts, 49).attempts).toBe(attempts);
    expect(requests.endUnanswered(placed, null).attempts).toBe(placed);
    expect(requests.endCancelled(attempts, [7]).attempts).toBe(attempts);
    expect(requests.unansweredAttempt(attempts, 9)).toBeUndefined();
    expect(requests.unansweredAttempt(attempts, 0)).toBeUndefined();
  });

  it('another id at the same index supersedes; another session makes it another id', () => {
    const attempts = requests.addPlaced(null, [proposal(1, 1), proposal(2, 2)], 1, 50);
    const stranger: Entry = { ...command(1, 1), id: { session: 99, sequence: 1, firstIncomplete: 1 } };
    const { endings, attempts: left } = requests.completeCommitted(attempts, [stranger]);
    expect(endings).toEqual([{ requests: [1], outcome: { kind: 'unknown', reason: 'superseded', leader: null } }]);
    expect(left).toEqual(requests.addPlaced(null, [proposal(2, 2)], 2, 50));
  });

  it('an answer is overdue after the patience, and the deadline of the host ends what waits at its place', () => {
    const sending = { forward: 8, sentAt: 10, through: 0, until: 90, patience: 40 };
    const attempts = requests.addForwarded(null, [proposal(1, 1), proposal(2, 2)], sending);
    expect(earliestDeadline(attempts)).toBe(50);
    const overdue = { kind: 'unknown', reason: 'unanswered', leader: null };
    expect(requests.endExpired(attempts, 50).endings).toEqual([{ requests: [1, 2], outcome: overdue }]);
    const attempt = requests.unansweredAttempt(attempts, 8) as requests.Attempt;
    const { attempts: placed } = requests.placeAccepted(attempts, attempt, [{ first: 5, count: 2 }], 4, () => null);
    expect(earliestDeadline(placed)).toBe(90);
    const late = { kind: 'unknown', reason: 'deadline', leader: null };
    expect(requests.endExpired(placed, 90).endings).toEqual([{ requests: [1, 2], outcome: late }]);
  });

  it('the parts of an answer wait each at its own place', () => {
    const sending = { forward: 8, sentAt: 0, through: 0, until: 90, patience: 40 };
    const proposals = [1, 2, 3, 4, 5].map((each) => proposal(each, each));
    const attempts = requests.addForwarded(null, proposals, sending);
    const attempt = requests.unansweredAttempt(attempts, 8) as requests.Attempt;
    const places = [
      { first: 9, count: 2 },
      { first: 3, count: 1 },
      { first: 0, count: 2 },
    ];
    const ids = (index: number): EntryId | undefined => (index === 3 ? proposal(3, 3).id : undefined);
    const { attempts: left, endings } = requests.placeAccepted(attempts, attempt, places, 3, ids);
    expect(endings).toEqual([
      { requests: [3], outcome: { kind: 'committed' } },
      { requests: [4, 5], outcome: { kind: 'unknown', reason: 'busy', leader: null } },
    ]);
    expect(itemsOf(left)).toMatchObject([{ key: 1, at: 9, requests: [1, 2], deadline: 90 }]);
  });
});
