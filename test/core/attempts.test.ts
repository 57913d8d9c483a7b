/** law/one-end-per-request: each request ends exactly once, `none` only by proof, whatever order things happen in. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as requests from '../../src/core/attempts.js';
import type { Entry, EntryId, Outcome, Proposal, RequestNumber } from '../../src/core/protocol.js';
import { command, frozen, noop, proposal } from '../values.js';

/** What the test knows of a request, and how it ended. */
interface Asked {
  readonly id: EntryId;
  /** Where it was appended here; 0 when it was forwarded or found. */
  readonly first: number;
  ending: Outcome | null;
}

const op = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('add' as const),
      how: fc.constantFrom('local', 'forward', 'found'),
      count: fc.integer({ min: 1, max: 5 }),
      deadline: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('commit' as const),
      picks: fc.array(fc.tuple(fc.boolean(), fc.nat()), { minLength: 1, maxLength: 6 }),
    }),
  },
  fc.record({ op: fc.constant('leader' as const) }),
  fc.record({ op: fc.constant('refuse' as const), forward: fc.nat(20) }),
  fc.record({ op: fc.constant('expire' as const), now: fc.nat(40) }),
  fc.record({ op: fc.constant('cancel' as const), picks: fc.array(fc.nat(40), { maxLength: 4 }) }),
);

class Books {
  attempts: requests.Attempts = [];
  readonly asked = new Map<RequestNumber, Asked>();
  readonly committed: Entry[] = [];
  /** What stands in the log of this replica as leader, above what is committed. */
  private appended: EntryId[] = [];
  private forwards = 0;

  settle(settled: requests.EndedAttempts): void {
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
    const stands = (entry: Entry): boolean => entry.id?.sequence === asked.id.sequence;
    if (outcome.kind === 'committed') expect(this.committed.some(stands)).toBe(true);
    if (outcome.kind === 'none') {
      expect(outcome.reason).toBe('superseded');
      expect(asked.first).toBeGreaterThan(0);
      expect(this.committed.length).toBeGreaterThanOrEqual(asked.first);
      expect(this.committed.some(stands)).toBe(false);
    }
  }

  add(how: string, count: number, deadline: number): void {
    const first = how === 'local' ? this.committed.length + this.appended.length + 1 : 0;
    const forward = how === 'forward' ? ++this.forwards : 0;
    const proposals: Proposal[] = [];
    for (let at = 0; at < count; at++) {
      const request = this.asked.size + 1;
      const next = proposal(request, request);
      proposals.push(next);
      this.asked.set(request, { id: next.id, first: first > 0 ? first + at : 0, ending: null });
      if (first > 0) this.appended.push(next.id);
    }
    this.attempts = frozen(requests.addAttempt(this.attempts, proposals, first, forward, deadline));
  }

  /** Commits what stands here, unless another leader's entries came in its place; those may be what left here. */
  commit(picks: readonly (readonly [boolean, number])[]): void {
    const entries: Entry[] = [];
    const left = [...this.asked.values()].filter((asked) => asked.first === 0);
    for (const [own, pick] of picks) {
      const index = this.committed.length + entries.length + 1;
      const id = own ? this.appended[0] : left[pick % Math.max(1, left.length)]?.id;
      this.appended = own ? this.appended.slice(1) : [];
      entries.push(id === undefined ? noop(index, 1) : { ...command(index, 1), id });
    }
    this.committed.push(...entries);
    this.settle(requests.completeCommitted(this.attempts, frozen(entries)));
  }

  cancel(picks: readonly number[]): void {
    const before = new Set(picks.filter((request) => this.asked.get(request)?.ending === null));
    this.settle(requests.endCancelled(this.attempts, picks));
    for (const request of before) expect(this.asked.get(request)?.ending).toMatchObject({ reason: 'cancelled' });
  }
}

describe('requests', () => {
  it('end exactly once, committed only when they are, `none` only by proof', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 25 }), (ops) => {
        const books = new Books();
        for (const each of ops) {
          if (each.op === 'add') books.add(each.how, each.count, each.deadline);
          else if (each.op === 'commit') books.commit(each.picks);
          else if (each.op === 'leader') books.settle(requests.endOnLeaderChange(books.attempts, 'n2'));
          else if (each.op === 'refuse') {
            if (each.forward > 0) books.settle(requests.endRefused(books.attempts, each.forward, 'busy', 'n2'));
          } else if (each.op === 'expire') {
            books.settle(requests.endExpired(books.attempts, each.now));
            expect(requests.attemptsDeadline(books.attempts)).toBeGreaterThan(each.now);
          } else books.cancel(each.picks);
          const open = [...books.asked].filter(([, asked]) => asked.ending === null).map(([request]) => request);
          const booked = books.attempts.flatMap((attempt) => attempt.requests);
          expect([...booked].sort((a, b) => a - b)).toEqual(open);
          for (const [, asked] of books.asked) {
            const passed = asked.first > 0 && asked.first <= books.committed.length;
            if (passed) expect(asked.ending).not.toBeNull();
          }
        }
        books.settle(requests.endAllAttempts(books.attempts, 'stopped'));
        for (const asked of books.asked.values()) expect(asked.ending).not.toBeNull();
        expect(requests.attemptsDeadline(books.attempts)).toBe(Infinity);
      }),
      { numRuns: 300 },
    );
  });

  it('give the same books back when nothing ends', () => {
    const attempts = requests.addAttempt([], [proposal(1, 1)], 3, 0, 50);
    expect(requests.completeCommitted(attempts, [noop(1, 1), noop(2, 1)]).attempts[0]).toBe(attempts[0]);
    expect(requests.endExpired(attempts, 49).attempts).toBe(attempts);
    expect(requests.endOnLeaderChange(attempts, null).attempts).toBe(attempts);
    expect(requests.endRefused(attempts, 9, 'busy', null).attempts).toBe(attempts);
    expect(requests.endCancelled(attempts, [7]).attempts).toBe(attempts);
  });

  it('another id at the same index supersedes; another session makes it another id', () => {
    const attempts = requests.addAttempt([], [proposal(1, 1), proposal(2, 2)], 1, 0, 50);
    const stranger: Entry = { ...command(1, 1), id: { session: 99, sequence: 1, firstIncomplete: 1 } };
    const { endings, attempts: left } = requests.completeCommitted(attempts, [stranger]);
    expect(endings).toEqual([{ requests: [1], outcome: { kind: 'none', reason: 'superseded', leader: null } }]);
    expect(left).toEqual([{ ...attempts[0], requests: [2], ids: [proposal(2, 2).id], first: 2 }]);
  });
});
