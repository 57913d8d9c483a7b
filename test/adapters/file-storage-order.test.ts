/** A write that may go before another one makes no difference to what is stored then. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayPass } from '../../src/adapters/file-storage/group.js';
import type { StorageOp } from '../../src/replica/storage.js';
import { groupOf, orderOfTwo } from './write-order.js';

const index = fc.integer({ min: 1, max: 6 });
const trim = fc.record({ kind: fc.constant('trim' as const), through: index });
const set = fc.record({
  kind: fc.constant('set' as const),
  key: fc.constantFrom('a', 'b', 'c'),
  value: fc.uint8Array({ maxLength: 2 }),
});
const put = fc.record({
  kind: fc.constant('put' as const),
  entries: fc.tuple(fc.record({ index, term: fc.integer({ min: 1, max: 2 }), data: fc.uint8Array({ maxLength: 2 }) })),
});
const truncate = fc.record({ kind: fc.constant('truncate' as const), from: index });
const any = fc.array(fc.oneof(trim, set, put, truncate), { minLength: 1, maxLength: 3 });
/** Mostly what may pass. */
const passing = fc.oneof(
  { arbitrary: fc.array(fc.oneof(trim, set), { minLength: 1, maxLength: 3 }), weight: 3 },
  { arbitrary: any, weight: 1 },
);

/** What is stored after these operations, on top of entries at every index. */
function storedBy(ops: readonly StorageOp[]): unknown {
  const values = new Map<string, string>();
  const entries = new Map<number, string>([1, 2, 3, 4, 5, 6].map((at) => [at, 'old']));
  for (const op of ops) {
    if (op.kind === 'set') values.set(op.key, String(op.value));
    else if (op.kind === 'put') for (const each of op.entries) entries.set(each.index, `${each.term} ${each.data}`);
    else {
      const isGone = (at: number): boolean => (op.kind === 'trim' ? at <= op.through : at >= op.from);
      for (const at of entries.keys()) if (isGone(at)) entries.delete(at);
    }
  }
  return [[...values].sort(), [...entries].sort()];
}

describe('a write that goes before another one', () => {
  test('leaves the same as after it', () => {
    let passed = 0;
    fc.assert(
      fc.property(any, passing, (earlier, later) => {
        if (!mayPass(groupOf(later), groupOf(earlier))) return;
        passed += 1;
        expect(storedBy([...later, ...earlier])).toEqual(storedBy([...earlier, ...later]));
      }),
      { numRuns: 5000 },
    );
    expect(passed).toBeGreaterThan(300);
  });

  test('may go first only where the order makes no difference', orderOfTwo);
});
