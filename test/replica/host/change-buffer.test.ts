/** The buffer of changes keeps the longest run up to the newest that fits, whatever is added and whoever reads. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/core/protocol.js';
import type { StoredResult } from '../../../src/replica/driver/session-table.js';
import { ChangeBuffer, HEADER, type ChangeCursor } from '../../../src/replica/host/change-buffer.js';

interface ModelChange {
  readonly index: number;
  readonly command: string;
  readonly result: StoredResult;
  readonly size: number;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** What one is told, free of views and of the difference between a flag that is absent and one that is not set. */
function shown(index: number, command: string, { value, rejected, threw }: StoredResult) {
  const kept = value instanceof Uint8Array ? `bytes ${text(value)}` : value;
  return { index, command, rejected, threw: threw === true, value: kept };
}

/** The buffer as one would write it down: a list. */
class Model {
  kept: ModelChange[] = [];
  trimmed = 0;
  last = 0;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(index: number, command: Uint8Array, result: StoredResult): void {
    const { value } = result;
    const size =
      HEADER + command.length + (value instanceof Uint8Array ? value.length : typeof value === 'number' ? 8 : 0);
    this.kept.push({ index, command: text(command), result, size });
    this.last = index;
    while (this.kept.reduce((sum, each) => sum + each.size, 0) > this.limit) {
      this.trimmed = (this.kept.shift() as ModelChange).index;
    }
  }
}

const cursorAt = (from: number): ChangeCursor => ({ from, chunk: null, at: 0 });

function entry(index: number, data: Uint8Array): Entry {
  return { index, term: 1, kind: 'command', time: 0, id: { session: 1, sequence: index, firstIncomplete: 1 }, data };
}

/** The next one of a consumer, from the buffer and from the model: both have it, or neither. */
function expectSame(buffer: ChangeBuffer, model: Model, cursor: ChangeCursor): boolean {
  const { from } = cursor;
  if (from <= model.trimmed) return false;
  const next = model.kept.find(({ index }) => index >= from);
  const read = buffer.read(cursor);
  expect(read === null ? null : shown(read.index, text(read.command), read.result)).toEqual(
    next === undefined ? null : shown(next.index, next.command, next.result),
  );
  expect(cursor.from).toBe(next === undefined ? from : next.index + 1);
  return next !== undefined;
}

const value = fc.oneof(
  fc.constantFrom(undefined, null, true, false),
  fc.double(),
  fc.uint8Array({ maxLength: 80 }),
  fc.uint8Array({ minLength: 17_000, maxLength: 17_001 }),
);
const result = fc.record({ rejected: fc.boolean(), threw: fc.boolean(), value });
const command = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  { weight: 2, arbitrary: fc.integer({ min: 5000, max: 70_000 }).map((size) => new Uint8Array(size).fill(size % 251)) },
);
const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ add: fc.array(fc.tuple(command, result), { maxLength: 5 }), skip: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ open: fc.nat(40) }) },
  { weight: 4, arbitrary: fc.record({ read: fc.nat(5), of: fc.nat(9) }) },
);

describe('the buffer of changes', () => {
  it('is the list that one would write down', () => {
    const limit = fc.oneof(fc.constantFrom(0, 1, HEADER, 2000), fc.integer({ min: 30, max: 300_000 }));
    fc.assert(
      fc.property(limit, fc.array(action, { maxLength: 60 }), (bytes, actions) => {
        const buffer = new ChangeBuffer(bytes);
        const model = new Model(bytes);
        const cursors = [cursorAt(1)];
        let index = 0;
        for (const each of actions) {
          if ('add' in each) {
            // Between commands there are no-ops and openings of sessions, which no consumer sees.
            const entries = each.add.map(([data]) => entry((index += 1 + each.skip), data));
            entries.forEach((it, at) => model.add(it.index, it.data, each.add[at]?.[1] as StoredResult));
            buffer.add(
              [...entries, entry(index + 1, new Uint8Array(1))],
              each.add.map(([, given]) => given),
            );
          } else if ('open' in each) {
            cursors.push(cursorAt(Math.max(1, index + 1 - each.open)));
          } else {
            const cursor = cursors[each.of % cursors.length] as ChangeCursor;
            for (let times = 0; times < each.read && expectSame(buffer, model, cursor); times++);
          }
          expect({ trimmed: buffer.trimmed, last: buffer.last }).toEqual({ trimmed: model.trimmed, last: model.last });
        }
        // In the end each consumer that did not fall behind gets all that is left.
        for (const cursor of [...cursors, cursorAt(model.trimmed + 1)]) while (expectSame(buffer, model, cursor));
      }),
      { numRuns: 200 },
    );
  });

  it('uses a chunk again that it no longer needs, and no consumer sees the other bytes in it', () => {
    const buffer = new ChangeBuffer(200_000);
    const slow = cursorAt(1);
    const data = (index: number): Uint8Array => new Uint8Array(100).fill(index % 256);
    const done: StoredResult = { rejected: false, value: undefined };
    let seen = 0;
    for (let index = 1; index <= 20_000; index++) {
      buffer.add([entry(index, data(index))], [done]);
      // It stays as far behind as it may: at the oldest change that is kept.
      while (slow.from <= buffer.trimmed + 1 && buffer.last >= slow.from) {
        if (slow.from <= buffer.trimmed) slow.from = buffer.trimmed + 1;
        const read = buffer.read(slow);
        if (read !== null && text(read.command) === text(data(read.index))) seen += 1;
        else expect(read).toBe('the change as it was added');
      }
    }
    expect(seen).toBeGreaterThan(10_000);
  });

  it('copies: what was handed in may change later', () => {
    const buffer = new ChangeBuffer(1000);
    const data = new Uint8Array([1, 2, 3]);
    const bytes = new Uint8Array([4, 5, 6]);
    buffer.add([entry(1, data)], [{ rejected: false, value: bytes }]);
    data.fill(9);
    bytes.fill(9);
    const read = buffer.read(cursorAt(1));
    expect([read?.command, read?.result.value]).toEqual([new Uint8Array([1, 2, 3]), new Uint8Array([4, 5, 6])]);
  });
});
