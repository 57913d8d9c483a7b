/** The read queue: a read is served once, by a round that began after it came (reads/no-late-joiner). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as reads from '../../src/core/reads.js';
import { frozen } from '../values.js';

const op = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('queue' as const), deadline: fc.nat(50) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('begin' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('confirm' as const), back: fc.integer({ min: -1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const), now: fc.nat(50) }) },
);

describe('reads', () => {
  it('are served or dropped once, never by a round older than they are', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        let queue = frozen(reads.noReads);
        let request = 0;
        const cameAfter = new Map<number, number>();
        const ended = new Set<number>();
        const end = (read: reads.LeaderRead): void => {
          expect(ended.has(read.request)).toBe(false);
          ended.add(read.request);
        };
        for (const each of ops) {
          if (each.op === 'queue') {
            request++;
            cameAfter.set(request, queue.readRound);
            queue = reads.queueRead(queue, { request, peer: null, forward: 0, deadline: each.deadline });
          } else if (each.op === 'begin') {
            const { readRound } = queue;
            queue = reads.beginReadRound(queue, 100 + readRound);
            expect(queue).toMatchObject({ readRound: readRound + 1, waiting: [] });
          } else if (each.op === 'confirm') {
            const readRound = queue.readRound - each.back;
            const before = queue;
            const [next, served] = reads.confirmReadRound(queue, readRound);
            if (served.length === 0) expect(next).toBe(before);
            for (const one of served) {
              expect(one.readRound).toBeLessThanOrEqual(readRound);
              expect(one.index).toBe(99 + one.readRound);
              for (const read of one.reads) {
                expect(one.readRound).toBeGreaterThan(cameAfter.get(read.request) as number);
                end(read);
              }
            }
            queue = next;
            expect(queue.begun.every((one) => one.readRound > readRound)).toBe(true);
          } else {
            const before = queue;
            const [next, dropped] = reads.dropReads(queue, (read) => read.deadline <= each.now);
            if (dropped.length === 0) expect(next).toBe(before);
            dropped.forEach(end);
            queue = next;
            expect(reads.readsDeadline(reads.allReads(queue))).toBeGreaterThan(each.now);
          }
          frozen(queue);
          const open = reads
            .allReads(queue)
            .map((read) => read.request)
            .sort((a, b) => a - b);
          expect(open).toEqual([...cameAfter.keys()].filter((each) => !ended.has(each)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('an empty book has no deadline', () => expect(reads.readsDeadline([])).toBe(Infinity));
});
