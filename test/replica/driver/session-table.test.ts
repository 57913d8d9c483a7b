import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultConstants, type Constants } from '../../../src/core/members.js';
import type { Entry } from '../../../src/core/protocol.js';
import {
  CHECK_EVERY,
  SessionTableDraft,
  decodeSessionOpening,
  emptyTable,
  encodeSessionOpening,
  type SessionTable,
  type StoredResult,
} from '../../../src/replica/driver/session-table.js';

function command(index: number, session: number, sequence: number, firstIncomplete = 1): Entry {
  return {
    index,
    term: 1,
    kind: 'command',
    time: 0,
    id: { session, sequence, firstIncomplete },
    data: new Uint8Array(0),
  };
}

function change<T>(
  table: SessionTable,
  work: (draft: SessionTableDraft) => T,
  constants: Partial<Constants> = {},
): [SessionTable, T] {
  const draft = new SessionTableDraft(table, { ...defaultConstants, ...constants });
  const result = work(draft);
  return [draft.finish(), result];
}

const a1 = { replica: 'a', incarnation: 11, boot: 1, start: 7 };
const done: StoredResult = { rejected: false, value: 1 };

describe('session table', () => {
  it('applies a command once, however often it stands in the log', () => {
    let [table, number] = change(emptyTable, (draft) => draft.openSession(a1, 5));
    expect(number).toBe(5);
    const verdicts: string[] = [];
    for (const index of [6, 7, 8]) {
      let verdict;
      [table, verdict] = change(table, (draft) => draft.admit(command(index, 5, 1)));
      verdicts.push(verdict);
    }
    expect(verdicts).toEqual(['new', 'known', 'known']);
  });

  it('refuses an id of a session that it does not know, or below the sequence that the session still waits for', () => {
    let [table] = change(emptyTable, (draft) => draft.openSession(a1, 5));
    let verdict;
    [table, verdict] = change(table, (draft) => draft.admit(command(6, 4, 1)));
    expect(verdict).toBe('refused');
    [table, verdict] = change(table, (draft) => draft.admit(command(7, 5, 3, 3)));
    expect(verdict).toBe('new');
    [table, verdict] = change(table, (draft) => draft.admit(command(8, 5, 2, 1)));
    expect(verdict).toBe('refused');
  });

  it('refuses a sequence beyond the window, so that no session grows without bound', () => {
    const [table] = change(emptyTable, (draft) => draft.openSession(a1, 5));
    const window = { sessionWindow: 4 };
    expect(change(table, (draft) => draft.admit(command(6, 5, 4)), window)[1]).toBe('new');
    expect(change(table, (draft) => draft.admit(command(6, 5, 5)), window)[1]).toBe('refused');
  });

  it('answers a repeated openSession entry with its first id, and an older start with none', () => {
    let [table] = change(emptyTable, (draft) => draft.openSession({ ...a1, boot: 2 }, 5));
    let number;
    [table, number] = change(table, (draft) => draft.openSession({ ...a1, boot: 2 }, 9));
    expect(number).toBe(5);
    [table, number] = change(table, (draft) => draft.openSession(a1, 10));
    expect(number).toBeNull();
    // Another start with the same boot number: its storage was set back, or copied.
    [table, number] = change(table, (draft) => draft.openSession({ ...a1, boot: 2, start: 8 }, 10));
    expect(number).toBe(null);
    [table, number] = change(table, (draft) => draft.openSession({ ...a1, boot: 3 }, 11));
    expect(number).toBe(11);
    expect(table.sessions.map((session) => session.id)).toEqual([11]);
  });

  it('drops the sessions of another incarnation of the same id', () => {
    let [table] = change(emptyTable, (draft) => draft.openSession(a1, 5));
    [table] = change(table, (draft) => draft.openSession({ replica: 'a', incarnation: 12, boot: 1, start: 7 }, 6));
    expect(table.sessions.map((session) => session.incarnation)).toEqual([12]);
  });

  it('with too many sessions drops the one with the oldest last entry, never the one that opens', () => {
    const limit = { sessions: 2 };
    let [table] = change(emptyTable, (draft) => draft.openSession(a1, 1), limit);
    [table] = change(
      table,
      (draft) => draft.openSession({ replica: 'b', incarnation: 1, boot: 1, start: 7 }, 2),
      limit,
    );
    [table] = change(table, (draft) => draft.admit(command(3, 1, 1)), limit);
    [table] = change(
      table,
      (draft) => draft.openSession({ replica: 'c', incarnation: 1, boot: 1, start: 7 }, 4),
      limit,
    );
    expect(table.sessions.map((session) => session.replica)).toEqual(['a', 'c']);
  });

  it('drops a session whose results exceed its share, but only where the index is a multiple of CHECK_EVERY', () => {
    const limit = { sessionBytes: 1024 };
    const large = { rejected: false, value: new Uint8Array(2000) };
    let [table] = change(emptyTable, (draft) => draft.openSession(a1, 1), limit);
    [table] = change(
      table,
      (draft) => (draft.admit(command(2, 1, 1)), draft.record({ session: 1, sequence: 1, firstIncomplete: 1 }, large)),
      limit,
    );
    expect(change(table, (draft) => (draft.check(CHECK_EVERY - 1), draft.has(1)), limit)[1]).toBe(true);
    expect(change(table, (draft) => (draft.check(CHECK_EVERY), draft.has(1)), limit)[1]).toBe(false);
  });

  it('opens nothing for malformed data', () => {
    expect(decodeSessionOpening(encodeSessionOpening(a1))).toEqual(a1);
    expect(decodeSessionOpening(new Uint8Array([1, 2, 3]))).toBeNull();
    expect(decodeSessionOpening(new Uint8Array([...encodeSessionOpening(a1), 0]))).toBeNull();
  });
});

/** Any sequence of entries, as a log would hold it: some opened, some not, many twice. */
const anyEntries = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('openSession' as const),
      id: fc.constantFrom('a', 'b', 'c'),
      boot: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({
      kind: fc.constant('command' as const),
      session: fc.integer({ min: 1, max: 6 }),
      sequence: fc.integer({ min: 1, max: 12 }),
      back: fc.integer({ min: 0, max: 5 }),
      bytes: fc.integer({ min: 0, max: 600 }),
    }),
  ),
  { maxLength: 120 },
);

describe('session table, any log', () => {
  const limits = { sessions: 2, sessionWindow: 6, sessionBytes: 1024 };

  function replay(entries: readonly unknown[], groups: readonly number[]): { table: SessionTable; applied: string[] } {
    let table = emptyTable;
    const applied: string[] = [];
    const list = entries as readonly (
      | { kind: 'openSession'; id: string; boot: number }
      | { kind: 'command'; session: number; sequence: number; back: number; bytes: number }
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
            if (each.kind === 'openSession')
              draft.openSession({ replica: each.id, incarnation: 1, boot: each.boot, start: each.boot }, index + i);
            else {
              const entry = command(index + i, each.session, each.sequence, Math.max(1, each.sequence - each.back));
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
            applied.push(`${entry.id?.session}.${entry.id?.sequence}`);
            if (entry.id !== null) draft.record(entry.id, { rejected: false, value: new Uint8Array(bytes) });
          }
        },
        limits,
      );
      at += size;
    }
    return { table, applied };
  }

  it('applies no id twice within a session, and the same whatever the entries were grouped into', () => {
    fc.assert(
      fc.property(
        anyEntries,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
        (entries, groups) => {
          const one = replay(entries, [1]);
          const many = replay(entries, groups);
          expect(many).toEqual(one);
          for (const session of one.table.sessions) {
            const own = one.applied.filter((name) => name.startsWith(`${session.id}.`));
            expect(new Set(own).size).toBe(own.length);
            expect(session.results.length).toBeLessThanOrEqual(limits.sessionWindow);
          }
          expect(one.table.sessions.length).toBeLessThanOrEqual(limits.sessions);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves earlier tables as they were', () => {
    const [before] = change(emptyTable, (draft) => draft.openSession(a1, 5));
    const copy = structuredClone(before);
    change(
      before,
      (draft) => (draft.admit(command(6, 5, 1)), draft.record({ session: 5, sequence: 1, firstIncomplete: 1 }, done)),
    );
    expect(before).toEqual(copy);
  });
});
