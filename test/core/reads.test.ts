/** The read queue: a read is served once, by a round that began after it came (reads/no-late-joiner). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as reads from '../../src/core/reads.js';
import { frozen } from '../values.js';

const op = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('queue' as const), own: fc.boolean(), deadline: fc.nat(50) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('begin' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('confirm' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const), now: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('cancel' as const), requests: fc.array(fc.nat(40)) }) },
);

describe('reads', () => {
  it('are served or dropped once, never by a round older than they are', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        let queue = frozen(reads.noReads);
        let last = 0;
        const cameAfter = new Map<number, number>();
        const ended = new Set<number>();
        const end = ({ key }: reads.LeaderRead): void => {
          expect(ended.has(key)).toBe(false);
          ended.add(key);
        };
        const drop = (dropped: readonly reads.LeaderRead[]): void => {
          dropped.forEach(end);
          queue = reads.dropReads(queue, dropped);
          if (queue.begun !== null) expect(reads.readsOf(queue.begun.reads)).not.toEqual([]);
        };
        for (const each of ops) {
          if (each.op === 'queue') {
            last++;
            cameAfter.set(last, queue.readRound);
            const rest = { peer: each.own ? null : 'n2', forward: each.own ? 0 : last, at: Infinity };
            queue = reads.queueRead(queue, { key: last, deadline: each.deadline, ...rest });
          } else if (each.op === 'begin') {
            if (queue.begun !== null) continue; // one is under way
            const { readRound } = queue;
            queue = reads.beginReadRound(queue, 100 + readRound);
            expect(queue).toMatchObject({ readRound: readRound + 1, waiting: { own: null, ofPeers: null } });
          } else if (each.op === 'confirm') {
            const { begun } = queue;
            if (begun === null) continue;
            expect(begun.index).toBe(99 + begun.readRound);
            for (const read of reads.readsOf(begun.reads)) {
              expect(begun.readRound).toBeGreaterThan(cameAfter.get(read.key) as number);
              end(read);
            }
            queue = { ...queue, begun: null };
          } else if (each.op === 'cancel') {
            const own = reads.readsRequested(queue, [...new Set(each.requests)]);
            expect(own.every(({ key, peer }) => peer === null && each.requests.includes(key))).toBe(true);
            const requested = reads
              .allReads(queue)
              .filter(({ key, peer }) => peer === null && each.requests.includes(key));
            expect(own).toHaveLength(requested.length);
            drop(own);
          } else {
            const due = reads.allReads(queue).filter(({ deadline }) => deadline <= each.now);
            expect(new Set(reads.readsDue(queue, each.now))).toEqual(new Set(due));
            drop(reads.readsDue(queue, each.now));
            expect(reads.queueDeadline(queue)).toBeGreaterThan(each.now);
          }
          frozen(queue);
          const open = reads
            .allReads(queue)
            .map((read) => read.key)
            .sort((a, b) => a - b);
          expect(open).toEqual([...cameAfter.keys()].filter((key) => !ended.has(key)));
          const deadlines = reads.allReads(queue).map(({ deadline }) => deadline);
          expect(reads.queueDeadline(queue)).toBe(Math.min(Infinity, ...deadlines));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('an empty queue has no deadline', () => expect(reads.queueDeadline(reads.noReads)).toBe(Infinity));

  it('a round that nobody waits for any more ends, so that the next one can begin', () => {
    const read = { key: 5, peer: null, forward: 0, deadline: 9, at: Infinity };
    const queue = reads.beginReadRound(reads.queueRead(reads.noReads, read), 3);
    const later = reads.queueRead(queue, { ...read, key: 6 });
    expect(reads.dropReads(later, reads.readsRequested(later, [5]))).toEqual({
      ...reads.queueRead(reads.noReads, { ...read, key: 6 }),
      readRound: 1,
    });
  });
});
