/** Bytes: what is written is read back, in one form only, and nothing else is accepted. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Malformed, Reader, VARINT_MAX_BYTES, Writer } from '../../src/core/bytes.js';

const number = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.integer({ min: 0, max: 52 }).chain((bit) => fc.constantFrom(2 ** bit - 1, 2 ** bit, 2 ** bit + 1)),
  fc.constant(Number.MAX_SAFE_INTEGER),
);
const field = fc.oneof(
  fc.record({ kind: fc.constant('varint' as const), value: number }),
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant('ascii' as const), value: fc.string({ unit: 'grapheme-ascii', maxLength: 64 }) }),
);

function written(write: (writer: Writer) => void, capacity?: number): Uint8Array {
  const writer = capacity === undefined ? new Writer() : new Writer(capacity);
  write(writer);
  return writer.finish();
}

describe('bytes', () => {
  it('come back as they were, whatever the first allocation', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), fc.nat(80), (fields, capacity) => {
        const bytes = written((writer) => {
          for (const each of fields) {
            if (each.kind === 'varint') writer.varint(each.value);
            else if (each.kind === 'u8') writer.u8(each.value);
            else if (each.kind === 'bytes') writer.bytes(each.value);
            else writer.ascii(each.value);
          }
        }, capacity);
        const reader = new Reader(bytes);
        for (const each of fields) {
          if (each.kind === 'varint') expect(reader.varint()).toBe(each.value);
          else if (each.kind === 'u8') expect(reader.u8()).toBe(each.value);
          else if (each.kind === 'bytes') expect(reader.bytes()).toEqual(each.value);
          else expect(reader.ascii(64)).toBe(each.value);
        }
        reader.end();
      }),
    );
  });

  it('an integer has one form: what is read is what would be written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10 }), (input) => {
        const reader = new Reader(input);
        let value: number;
        try {
          value = reader.varint();
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
          return;
        }
        expect(Number.isSafeInteger(value)).toBe(true);
        expect(written((writer) => writer.varint(value))).toEqual(input.subarray(0, input.length - reader.remaining));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['nothing', []],
    ['no end', [0x80]],
    ['a longer form of 0', [0x80, 0]],
    ['a longer form of 1', [0x81, 0x80, 0]],
    ['2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ['nine bytes', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x8f, 0x01]],
  ])('refuses as an integer: %s', (_, input) => {
    expect(() => new Reader(Uint8Array.from(input)).varint()).toThrow(Malformed);
  });

  it('takes at most so many bytes as promised', () => {
    expect(written((writer) => writer.varint(Number.MAX_SAFE_INTEGER))).toHaveLength(VARINT_MAX_BYTES);
  });

  it.each([-1, 0.5, NaN, Infinity, 2 ** 53])('cannot write %d as an integer', (value) => {
    expect(() => new Writer().varint(value)).toThrow(RangeError);
  });

  it('a record is its parts', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.tuple(number, number, number, number),
        fc.uint8Array({ maxLength: 120 }),
        (head, all, data) => {
          const parts = written((writer) => {
            writer.u8(head);
            for (const each of all) writer.varint(each);
            writer.bytes(data);
          });
          expect(written((writer) => writer.record(head, ...all, data))).toEqual(parts);
        },
      ),
    );
    expect(() => new Writer().record(0, 1, -1, 1, 1, new Uint8Array(0))).toThrow(RangeError);
  });

  it('believes no length that the input does not back', () => {
    const huge = written((writer) => writer.varint(Number.MAX_SAFE_INTEGER));
    expect(() => new Reader(huge).bytes()).toThrow(Malformed);
    expect(() => new Reader(huge).count()).toThrow(Malformed);
    expect(() => new Reader(huge).ascii(64)).toThrow(Malformed);
    expect(() => new Reader(Uint8Array.of(2, 0, 0, 0)).count(2)).toThrow(Malformed);
    expect(new Reader(Uint8Array.of(2, 0, 0, 0, 0)).count(2)).toBe(2);
  });

  it('reads ASCII only, and not more than asked for', () => {
    expect(() => new Writer().ascii('é')).toThrow(RangeError);
    expect(() => new Reader(Uint8Array.of(1, 0x80)).ascii(4)).toThrow(Malformed);
    expect(() => new Reader(Uint8Array.of(2, 65, 66)).ascii(1)).toThrow(Malformed);
    expect(() => new Reader(Uint8Array.of(1)).end()).toThrow(Malformed);
  });

  it('reads from an offset', () => {
    const reader = new Reader(Uint8Array.of(9, 9, 7), 2);
    expect([reader.remaining, reader.u8(), reader.remaining]).toEqual([1, 7, 0]);
  });
});
