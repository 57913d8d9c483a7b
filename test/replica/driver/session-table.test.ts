import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultConstants, type Constants } from '../../../src/core/members.js';
import type { Entry } from '../../../src/core/protocol.js';
import {
  CHECK_EVERY,
  TableDraft,
  decodeOpening,
  emptyTable,
  encodeOpening,
  type RequestTable,
  type StoredResult,
} from '../../../src/replica/driver/session-table.js';

function command(index: number, origin: number, counter: number, lowest = 1): Entry {
  return { index, term: 1, kind: 'command', id: { origin, counter, lowest }, data: new Uint8Array(0) };
}

function change<T>(
  table: RequestTable,
  work: (draft: TableDraft) => T,
  constants: Partial<Constants> = {},
): [RequestTable, T] {
  const draft = new TableDraft(table, { ...defaultConstants, ...constants });
  const result = work(draft);
  return [draft.finish(), result];
}

const a1 = { id: 'a', incarnation: 11, boot: 1 };
const done: StoredResult = { rejected: false, value: 1 };

describe('request table', () => {
  it('applies a command once, however often it stands in the log', () => {
    let [table, number] = change(emptyTable, (draft) => draft.open(a1, 5));
    expect(number).toBe(5);
    const verdicts: string[] = [];
    for (const index of [6, 7, 8]) {
      let verdict;
      [table, verdict] = change(table, (draft) => draft.admit(command(index, 5, 1)));
      verdicts.push(verdict);
    }
    expect(verdicts).toEqual(['new', 'known', 'known']);
  });

  it('refuses an id of an origin that it does not know, or below what the origin still waits for', () => {
    let [table] = change(emptyTable, (draft) => draft.open(a1, 5));
    let verdict;
    [table, verdict] = change(table, (draft) => draft.admit(command(6, 4, 1)));
    expect(verdict).toBe('refused');
    [table, verdict] = change(table, (draft) => draft.admit(command(7, 5, 3, 3)));
    expect(verdict).toBe('new');
    [table, verdict] = change(table, (draft) => draft.admit(command(8, 5, 2, 1)));
    expect(verdict).toBe('refused');
  });

  it('refuses a counter beyond the window, so that no origin grows without bound', () => {
    const [table] = change(emptyTable, (draft) => draft.open(a1, 5));
    const window = { requestWindow: 4 };
    expect(change(table, (draft) => draft.admit(command(6, 5, 4)), window)[1]).toBe('new');
    expect(change(table, (draft) => draft.admit(command(6, 5, 5)), window)[1]).toBe('refused');
  });

  it('answers a repeated opening with its first number, and an older start with none', () => {
    let [table] = change(emptyTable, (draft) => draft.open({ ...a1, boot: 2 }, 5));
    let number;
    [table, number] = change(table, (draft) => draft.open({ ...a1, boot: 2 }, 9));
    expect(number).toBe(5);
    [table, number] = change(table, (draft) => draft.open(a1, 10));
    expect(number).toBe(0);
    [table, number] = change(table, (draft) => draft.open({ ...a1, boot: 3 }, 11));
    expect(number).toBe(11);
    expect(table.origins.map((origin) => origin.number)).toEqual([11]);
  });

  it('drops the origins of another incarnation of the same id', () => {
    let [table] = change(emptyTable, (draft) => draft.open(a1, 5));
    [table] = change(table, (draft) => draft.open({ id: 'a', incarnation: 12, boot: 1 }, 6));
    expect(table.origins.map((origin) => origin.incarnation)).toEqual([12]);
  });

  it('with too many origins drops the one with the oldest last entry, never the one that opens', () => {
    const limit = { origins: 2 };
    let [table] = change(emptyTable, (draft) => draft.open(a1, 1), limit);
    [table] = change(table, (draft) => draft.open({ id: 'b', incarnation: 1, boot: 1 }, 2), limit);
    [table] = change(table, (draft) => draft.admit(command(3, 1, 1)), limit);
    [table] = change(table, (draft) => draft.open({ id: 'c', incarnation: 1, boot: 1 }, 4), limit);
    expect(table.origins.map((origin) => origin.id)).toEqual(['a', 'c']);
  });

  it('drops an origin whose results exceed its share, but only where the index is a multiple of CHECK_EVERY', () => {
    const limit = { originBytes: 1024 };
    const large = { rejected: false, value: new Uint8Array(2000) };
    let [table] = change(emptyTable, (draft) => draft.open(a1, 1), limit);
    [table] = change(
      table,
      (draft) => (draft.admit(command(2, 1, 1)), draft.record({ origin: 1, counter: 1, lowest: 1 }, large)),
      limit,
    );
    expect(change(table, (draft) => (draft.check(CHECK_EVERY - 1), draft.has(1)), limit)[1]).toBe(true);
    expect(change(table, (draft) => (draft.check(CHECK_EVERY), draft.has(1)), limit)[1]).toBe(false);
  });

  it('opens nothing for an opening that nobody wrote', () => {
    expect(decodeOpening(encodeOpening(a1))).toEqual(a1);
    expect(decodeOpening(new Uint8Array([1, 2, 3]))).toBeNull();
    expect(decodeOpening(new Uint8Array([...encodeOpening(a1), 0]))).toBeNull();
  });
});

/** Any sequence of entries, as a log would hold it: some opened, some not, many twice. */
const anyEntries = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('open' as const),
      id: fc.constantFrom('a', 'b', 'c'),
      boot: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({
      kind: fc.constant('command' as const),
      origin: fc.integer({ min: 1, max: 6 }),
      counter: fc.integer({ min: 1, max: 12 }),
      back: fc.integer({ min: 0, max: 5 }),
      bytes: fc.integer({ min: 0, max: 600 }),
    }),
  ),
  { maxLength: 120 },
);

describe('request table, any log', () => {
  const limits = { origins: 2, requestWindow: 6, originBytes: 1024 };

  function replay(entries: readonly unknown[], groups: readonly number[]): { table: RequestTable; applied: string[] } {
    let table = emptyTable;
    const applied: string[] = [];
    const list = entries as readonly (
      | { kind: 'open'; id: string; boot: number }
      | { kind: 'command'; origin: number; counter: number; back: number; bytes: number }
    )[];
    let at = 0;
    let turn = 0;
    while (at < list.length) {
      const index = at + 1;
      const size = Math.min(
        groups[turn++ % groups.length] as number,
        CHECK_EVERY - (index % CHECK_EVERY),
        list.length - at,
      );
      const judged: [Entry, number][] = [];
      [table] = change(
        table,
        (draft) => {
          draft.check(index);
          for (let i = 0; i < size; i++) {
            const each = list[at + i] as (typeof list)[number];
            if (each.kind === 'open') draft.open({ id: each.id, incarnation: 1, boot: each.boot }, index + i);
            else {
              const entry = command(index + i, each.origin, each.counter, Math.max(1, each.counter - each.back));
              if (draft.admit(entry) === 'new') judged.push([entry, each.bytes]);
            }
          }
        },
        limits,
      );
      [table] = change(
        table,
        (draft) => {
          for (const [entry, bytes] of judged) {
            applied.push(`${entry.id?.origin}.${entry.id?.counter}`);
            if (entry.id !== null) draft.record(entry.id, { rejected: false, value: new Uint8Array(bytes) });
          }
        },
        limits,
      );
      at += size;
    }
    return { table, applied };
  }

  it('applies no id twice within an origin, and the same whatever the entries were grouped into', () => {
    fc.assert(
      fc.property(
        anyEntries,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
        (entries, groups) => {
          const one = replay(entries, [1]);
          const many = replay(entries, groups);
          expect(many).toEqual(one);
          for (const origin of one.table.origins) {
            const own = one.applied.filter((name) => name.startsWith(`${origin.number}.`));
            expect(new Set(own).size).toBe(own.length);
            expect(origin.results.length).toBeLessThanOrEqual(limits.requestWindow);
          }
          expect(one.table.origins.length).toBeLessThanOrEqual(limits.origins);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves earlier tables as they were', () => {
    const [before] = change(emptyTable, (draft) => draft.open(a1, 5));
    const copy = structuredClone(before);
    change(
      before,
      (draft) => (draft.admit(command(6, 5, 1)), draft.record({ origin: 5, counter: 1, lowest: 1 }, done)),
    );
    expect(before).toEqual(copy);
  });
});
