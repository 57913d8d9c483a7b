/** Durable records: what is stored comes back, the format is pinned, and damage is refused. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Malformed } from '../../src/core/bytes.js';
import { MAX_TIME } from '../../src/core/entries.js';
import { durableRecords as durable } from '../../src/core/record-codec.js';
import type { Entry, HardState } from '../../src/core/protocol.js';
import { expectGolden, goldenJson } from '../golden.js';
import { command, noop } from '../values.js';

const id = fc.record({ session: fc.maxSafeNat(), sequence: fc.maxSafeNat(), firstIncomplete: fc.maxSafeNat() });
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.tuple(fc.integer({ min: 1 }), fc.integer({ min: 1 })).map(([index, term]) => noop(index, term)),
  fc.record({
    index: fc.integer({ min: 1 }),
    term: fc.integer({ min: 1 }),
    kind: fc.constantFrom('command' as const, 'openSession' as const),
    time: fc.nat(MAX_TIME),
    id,
    data: fc.uint8Array({ maxLength: 100 }),
  }),
);
const hard: fc.Arbitrary<HardState> = fc.record({
  term: fc.maxSafeNat(),
  vote: fc.option(fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/)),
  commit: fc.maxSafeNat(),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('durable records', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(hard, fc.array(entry, { maxLength: 8 }), (state, entries) => {
        expect(durable.decodeHard(durable.encodeHard(state))).toEqual(state);
        const records = durable.encodeEntries(entries);
        const back = records.map((record, at) => {
          const { index, term } = entries[at] as Entry;
          return durable.decodeEntry(index, term, record);
        });
        expect(back).toEqual(entries);
      }),
    );
  });

  it('are refused when damaged, or read as something that can be written', () => {
    const hardRecord = durable.encodeHard({ term: 300, vote: 'n2', commit: 7 });
    const entryRecord = durable.encodeEntries([command(3, 2)])[0] as Uint8Array;
    const how = fc.constantFrom('cut', 'set', 'add');
    fc.assert(
      fc.property(fc.boolean(), fc.nat(60), fc.nat(255), how, (first, at, value, damage) => {
        const record = first ? hardRecord : entryRecord;
        const place = at % record.length;
        let input = record.slice(0, damage === 'cut' ? place : record.length);
        if (damage === 'add') input = Uint8Array.of(...record, value);
        if (damage === 'set') input[place] = value;
        try {
          const again = first
            ? durable.encodeHard(durable.decodeHard(input))
            : (durable.encodeEntries([durable.decodeEntry(3, 2, input)])[0] as Uint8Array);
          expect(hex(again)).toBe(hex(input));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('a noop carries nothing, and an unknown version is refused', () => {
    expect(() => durable.decodeEntry(1, 1, Uint8Array.of(1, 0, 1, 9))).toThrow(Malformed);
    expect(() => durable.decodeEntry(1, 1, Uint8Array.of(2, 0, 0))).toThrow(Malformed);
    expect(() => durable.decodeEntry(1, 1, Uint8Array.of(1, 3, 0))).toThrow(Malformed);
    expect(() => durable.decodeHard(Uint8Array.of(2, 0, 0, 0))).toThrow(Malformed);
  });

  it('have the format of the golden file', () => {
    const entries: Entry[] = [
      noop(1, 1),
      {
        index: 2,
        term: 1,
        kind: 'openSession',
        time: 0,
        id: { session: 0, sequence: 0, firstIncomplete: 0 },
        data: Uint8Array.of(1, 2, 3),
      },
      {
        index: 3,
        term: 300,
        kind: 'command',
        time: 1_700_000_000_000,
        id: { session: 2, sequence: 129, firstIncomplete: 127 },
        data: Uint8Array.of(255),
      },
      command(2 ** 40, 2 ** 41, 0, Number.MAX_SAFE_INTEGER),
    ];
    const golden = {
      hard: [
        { term: 0, vote: null, commit: 0 },
        { term: 1, vote: 'n1', commit: 127 },
        { term: 2 ** 32, vote: 'A.b_c-9', commit: 2 ** 33 },
      ].map((state) => ({ state, bytes: hex(durable.encodeHard(state)) })),
      entries: durable.encodeEntries(entries).map((bytes, at) => {
        const { index, term, kind, time, id: of, data } = entries[at] as Entry;
        return { entry: { index, term, kind, time, id: of, data: hex(data) }, bytes: hex(bytes) };
      }),
    };
    expectGolden(new URL('./golden/durable-records.json', import.meta.url), goldenJson(golden));
  });
});
