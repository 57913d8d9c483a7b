/** What the driver adds to a snapshot: it is read back as it was written, and nothing else is read. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Malformed } from '../../../src/core/bytes.js';
import { withItems } from '../../../src/core/book.js';
import {
  clientTableOf,
  weighed,
  type ClientResult,
  type StoredClientSession,
} from '../../../src/replica/driver/client-sessions.js';
import { decodeDriverPart, encodeDriverPart, type DriverPart } from '../../../src/replica/driver/driver-part.js';
import { resultBytes, type Session, type StoredResult } from '../../../src/replica/driver/session-table.js';

const whole = fc.integer({ min: 0, max: 2 ** 40 });
const value = fc.oneof(
  fc.constantFrom(undefined, null, true, false),
  fc.double(),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => new Uint8Array(bytes)),
);
const refusal = fc.constantFrom('expired', 'fenced', 'completed', 'reused', 'busy');
const result: fc.Arbitrary<StoredResult> = fc.oneof(
  fc.record({ rejected: fc.boolean(), value }),
  value.map((reason) => ({ rejected: true, threw: true, value: reason })),
  refusal.map((why) => ({ rejected: false, value: undefined, refusal: why })),
);
const session: fc.Arbitrary<Session> = fc
  .record({
    replica: fc.constantFrom('a', 'node-2'),
    incarnation: whole,
    boot: whole,
    start: whole,
    id: whole,
    firstIncomplete: whole,
    results: fc.array(fc.option(result), { maxLength: 6 }),
    lastIndex: whole,
  })
  .map((fields) => ({
    ...fields,
    indexes: fields.results.map((each, at) => (each === null ? 0 : at + 1)),
    bytes: fields.results.reduce((sum, each) => sum + resultBytes(each), 0),
  }));
const clientResult: fc.Arbitrary<ClientResult> = fc.record({
  key: whole,
  deadline: fc.constant(Infinity),
  at: whole,
  digest: fc.constantFrom('0a', 'ff'),
  result,
});
const byKey = { selector: ({ key }: { readonly key: number }) => key };
const client: fc.Arbitrary<StoredClientSession> = fc
  .record({
    key: whole,
    deadline: whole,
    at: whole,
    name: fc.constantFrom('shop', 'till 7'),
    firstIncomplete: whole,
    results: fc.uniqueArray(clientResult, { maxLength: 4, ...byKey }).map((results) => withItems(null, results)),
  })
  .map(weighed);
const part: fc.Arbitrary<DriverPart> = fc.record({
  sessionTable: fc.record({ sessions: fc.array(session, { maxLength: 4 }) }),
  clients: fc
    .tuple(fc.uniqueArray(client, { maxLength: 4, ...byKey }), fc.nat())
    .map(([sessions, excess]) => clientTableOf(sessions, excess)),
  time: whole,
  expiryTime: whole,
  wakeAt: fc.oneof(whole, fc.constant(Infinity)),
});

describe("the driver's part of a snapshot", () => {
  test('is read back as it was written', () => {
    fc.assert(
      fc.property(part, (given) => {
        expect(decodeDriverPart(encodeDriverPart(given))).toEqual(given);
      }),
    );
  });

  test('is refused when it was cut, goes on, or is something else', () => {
    fc.assert(
      fc.property(part, fc.nat(), (given, at) => {
        const bytes = encodeDriverPart(given);
        expect(() => decodeDriverPart(bytes.subarray(0, at % bytes.length))).toThrow(Malformed);
        expect(() => decodeDriverPart(new Uint8Array([...bytes, 0]))).toThrow(Malformed);
      }),
    );
    const any = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(any, (bytes) => {
        try {
          decodeDriverPart(new Uint8Array(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
    );
  });
});
