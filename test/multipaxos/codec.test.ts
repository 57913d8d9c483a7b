/** Messages as bytes: one form each, pinned by golden files; whatever else is refused, and allocates nothing. */

import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Malformed, Reader, Writer } from '../../src/core/bytes.js';
import { MAX_TIME } from '../../src/core/entries.js';
import type { Entry } from '../../src/core/protocol.js';
import { MAX_BALLOT, MAX_ROUND, ballotOf, numberOf, roundOf } from '../../src/multipaxos/ballot.js';
import type { PaxosMessage } from '../../src/multipaxos/index.js';
import type { VoteSpan } from '../../src/multipaxos/messages.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { expectGolden } from '../golden.js';

const { codec } = multipaxosProtocol;
const GOLDEN = fileURLToPath(new URL('./golden/', import.meta.url));

function encode(message: PaxosMessage): Uint8Array {
  const bound = codec.sizeOf(message);
  const writer = new Writer(bound);
  codec.write(writer, message);
  expect(writer.size).toBeLessThanOrEqual(bound);
  return writer.finish();
}

function decode(bytes: Uint8Array): PaxosMessage {
  return codec.read(new Reader(bytes));
}

const slot = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 40 }));
const mark = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1));
const ballot = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: MAX_ROUND })),
    fc.integer({ min: 1, max: 65_535 }),
  )
  .map(([n, number]) => ballotOf(n, number));
const number = fc.maxSafeNat();
const id = fc.record({ session: number, sequence: number, firstIncomplete: number });
const data = fc.uint8Array({ maxLength: 40 });
const time = fc.oneof(fc.constant(0), fc.nat(MAX_TIME), fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_009 }));
const body = fc.oneof(
  time.map((at) => ({ kind: 'noop' as const, time: at, id: null, data: new Uint8Array(0) })),
  fc.record({ kind: fc.constantFrom('command' as const, 'openSession' as const), time, id, data }),
);
const bodies = fc.array(body, { minLength: 1, maxLength: 6 });
const run = fc.tuple(fc.integer({ min: 0, max: 3 }), ballot, bodies);
/** Ascending, with gaps and changing ballots. */
const votes = fc.tuple(slot, fc.array(run, { maxLength: 4 })).map(([first, runs]) => {
  const entries: Entry[] = [];
  let index = first;
  for (const [gap, term, contents] of runs) {
    index += gap;
    for (const each of contents) entries.push({ ...each, index: index++, term });
  }
  return entries;
});
const page = fc.tuple(slot, fc.array(fc.tuple(ballot, body), { maxLength: 6 })).map(([first, contents]) => {
  return contents.map(([term, each], at): Entry => ({ ...each, index: first + at, term }));
});
const held = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(50), ballot), { maxLength: 5 }).map((spans) => {
  let end = 0;
  return spans.map(([gap, more, each]): VoteSpan => {
    const from = end + gap;
    end = from + more;
    return { from, to: end, ballot: each };
  });
});
const leader = fc.constantFrom(null, 'a', 'n1', 'x'.repeat(64));

const message: fc.Arbitrary<PaxosMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('prepare' as const),
    ballot,
    from: slot,
    first: fc.boolean(),
    pages: fc.nat(99),
    handover: fc.boolean(),
    held,
  }),
  fc.record({
    kind: fc.constant('promise' as const),
    ballot,
    from: slot,
    commit: mark,
    next: mark,
    rest: mark,
    votes,
    wall: number,
  }),
  fc.record({ kind: fc.constant('nack' as const), ballot, promised: ballot, commit: mark }),
  fc.tuple(ballot, mark, slot, bodies).map(([term, commit, first, contents]) => {
    const entries = contents.map((each, at): Entry => ({ ...each, index: first + at, term }));
    return { kind: 'accept' as const, ballot: term, commit, entries };
  }),
  fc.tuple(ballot, mark, fc.nat(50), mark).map(([term, from, more, commit]) => {
    return { kind: 'accepted' as const, ballot: term, from, to: from === 0 ? 0 : from + more, commit };
  }),
  fc.record({ kind: fc.constant('heartbeat' as const), ballot, commit: mark, readRound: number }),
  fc.record({
    kind: fc.constant('heartbeatReply' as const),
    wall: number,
    ballot,
    readRound: number,
    commit: mark,
    durable: mark,
  }),
  fc.record({ kind: fc.constant('commit' as const), ballot, commit: mark }),
  fc.tuple(number, slot, fc.nat(50), fc.nat(9)).map(([name, from, more, bytes]) => {
    return { kind: 'catchUp' as const, number: name, from, to: from + more, bytes };
  }),
  fc.tuple(number, page, fc.nat(9)).map(([name, entries, more]) => {
    return {
      kind: 'catchUpReply' as const,
      number: name,
      commit: (entries[entries.length - 1]?.index ?? 0) + more,
      rest: more,
      entries,
    };
  }),
  fc.record({
    kind: fc.constant('forwardProposals' as const),
    term: ballot,
    number,
    proposals: fc.array(
      fc.record({ kind: fc.constantFrom('command' as const, 'openSession' as const), id, data, retry: fc.boolean() }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
  fc.record({
    kind: fc.constant('forwardRefused' as const),
    term: ballot,
    number,
    reason: fc.constantFrom('notLeader' as const, 'busy' as const, 'storageFull' as const),
    leader,
  }),
  fc.record({
    kind: fc.constant('forwardAccepted' as const),
    term: ballot,
    number,
    places: fc.array(fc.record({ first: fc.nat(), count: fc.integer({ min: 1, max: 2 ** 40 }) }), {
      minLength: 1,
      maxLength: 5,
    }),
  }),
  fc.record({ kind: fc.constant('askSlots' as const), number }),
  fc.record({ kind: fc.constant('slots' as const), number, highest: fc.nat() }),
  fc.record({ kind: fc.constant('forwardRead' as const), term: ballot, number, byLease: fc.boolean() }),
  fc.record({ kind: fc.constant('askGrant' as const), term: ballot, number }),
  fc.record({ kind: fc.constant('grant' as const), term: ballot, number, length: fc.nat(60_000) }),
  fc.record({ kind: fc.constant('logBegins' as const), term: ballot, number, first: fc.integer({ min: 2, max: 1e9 }) }),
  fc.record({
    kind: fc.constantFrom(
      'handover' as const,
      'handoverRefused' as const,
      'askTakeOver' as const,
      'canTakeOver' as const,
    ),
    term: ballot,
    number,
  }),
  fc.record({
    kind: fc.constant('preVote' as const),
    term: ballot,
    number,
    lastIndex: fc.nat(),
    lastTerm: fc.constant(0),
    handover: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('preVoteReply' as const),
    term: ballot,
    number,
    current: ballot,
    granted: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('readAnswer' as const), term: ballot, number, index: mark, commit: mark }),
);

const entry = (index: number, term: number, text: string): Entry => {
  return {
    index,
    term,
    kind: 'command',
    time: 0,
    id: { session: 3, sequence: 300, firstIncomplete: 2 },
    data: Buffer.from(text),
  };
};
const empty = (index: number, term: number): Entry => ({
  index,
  term,
  kind: 'noop',
  time: 0,
  id: null,
  data: new Uint8Array(0),
});
const B = ballotOf(2, 3);

/** One of each kind, as its golden file holds it. */
const samples: Readonly<Record<string, PaxosMessage>> = {
  prepare: {
    kind: 'prepare',
    ballot: B,
    from: 7,
    first: true,
    pages: 8,
    handover: true,
    held: [{ from: 8, to: 9, ballot: B - 1 }],
  },
  promise: {
    kind: 'promise',
    wall: 0,
    ballot: B,
    from: 7,
    commit: 5,
    next: 12,
    rest: 30,
    votes: [
      entry(7, ballotOf(1, 1), 'a'),
      empty(8, ballotOf(1, 1)),
      entry(9, ballotOf(1, 2), 'b'),
      empty(11, ballotOf(1, 2)),
    ],
  },
  nack: { kind: 'nack', ballot: ballotOf(1, 1), promised: B, commit: 4 },
  accept: { kind: 'accept', ballot: B, commit: 6, entries: [entry(7, B, 'hello'), empty(8, B)] },
  accepted: { kind: 'accepted', ballot: B, from: 7, to: 8, commit: 6 },
  heartbeat: { kind: 'heartbeat', ballot: B, commit: 6, readRound: 2 },
  heartbeatReply: { kind: 'heartbeatReply', wall: 0, ballot: B, readRound: 2, commit: 6, durable: 5 },
  commit: { kind: 'commit', ballot: B, commit: 8 },
  catchUp: { kind: 'catchUp', number: 2 ** 32 + 1, from: 3, to: 300, bytes: 49_152 },
  catchUpReply: {
    kind: 'catchUpReply',
    number: 2 ** 32 + 1,
    commit: 8,
    rest: 5,
    entries: [entry(3, ballotOf(1, 1), 'x'), entry(4, B, 'y')],
  },
  forwardProposals: {
    kind: 'forwardProposals',
    term: B,
    number: 2 ** 32 + 2,
    proposals: [
      {
        kind: 'openSession',
        id: { session: 0, sequence: 1, firstIncomplete: 1 },
        data: Buffer.from('o'),
        retry: false,
      },
      { kind: 'command', id: { session: 3, sequence: 9, firstIncomplete: 8 }, data: Buffer.from('c'), retry: true },
    ],
  },
  handover: { kind: 'handover', term: B, number: 2 ** 32 + 9 },
  handoverRefused: { kind: 'handoverRefused', term: B, number: 2 ** 32 + 9 },
  askGrant: { kind: 'askGrant', term: B, number: 2 ** 32 + 4 },
  grant: { kind: 'grant', term: B, number: 2 ** 32 + 4, length: 900 },
  logBegins: { kind: 'logBegins', term: B, number: 2 ** 32 + 4, first: 900 },
  preVote: { kind: 'preVote', term: B, number: 2 ** 32 + 5, lastIndex: 300, lastTerm: 0, handover: true },
  preVoteReply: { kind: 'preVoteReply', term: B, number: 2 ** 32 + 5, current: B, granted: false },
  askTakeOver: { kind: 'askTakeOver', term: B, number: 2 ** 32 + 6 },
  canTakeOver: { kind: 'canTakeOver', term: B, number: 2 ** 32 + 6 },
  forwardRefused: { kind: 'forwardRefused', term: B, number: 2 ** 32 + 2, reason: 'busy', leader: 'n2' },
  forwardAccepted: {
    kind: 'forwardAccepted',
    term: B,
    number: 2 ** 32 + 2,
    places: [
      { first: 300, count: 4 },
      { first: 0, count: 1 },
    ],
  },
  forwardRead: { kind: 'forwardRead', term: B, number: 2 ** 32 + 3, byLease: false },
  readAnswer: { kind: 'readAnswer', term: B, number: 2 ** 32 + 3, index: 9, commit: 8 },
  askSlots: { kind: 'askSlots', number: 2 ** 32 + 3 },
  slots: { kind: 'slots', number: 2 ** 32 + 3, highest: 300 },
};

/** Bytes as numbers, whichever class holds them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

describe('golden bytes', () => {
  it.each(Object.keys(samples))('%s', (kind) => {
    const sample = samples[kind] as PaxosMessage;
    expectGolden(`${GOLDEN}${kind}.hex`, `${Buffer.from(encode(sample)).toString('hex')}\n`);
    const bytes = Buffer.from(readFileSync(`${GOLDEN}${kind}.hex`, 'latin1').trim(), 'hex');
    expect(plain(decode(bytes))).toEqual(plain({ ...sample }));
  });

  it('of every kind, and no other', () => {
    expect(readdirSync(GOLDEN).sort()).toEqual(
      Object.keys(samples)
        .map((kind) => `${kind}.hex`)
        .sort(),
    );
  });
});

describe('what was written is read', () => {
  it('any message, in one form', () => {
    fc.assert(
      fc.property(message, (each) => {
        const bytes = encode(each);
        const read = decode(bytes);
        expect(plain(read)).toEqual(plain(each));
        expect(Buffer.from(encode(read))).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  it('entries are views of one copy, and keep no frame of the transport', () => {
    const sample = samples['accept'] as PaxosMessage;
    if (sample.kind !== 'accept') throw new Error('an Accept');
    const long = (data: Uint8Array): Uint8Array => Uint8Array.from([...data, ...new Array<number>(100).fill(32)]);
    const bytes = encode({
      ...sample,
      entries: sample.entries.map((each) => {
        return each.kind === 'command' ? { ...each, data: long(each.data) } : each;
      }),
    });
    const frame = Buffer.alloc(4096); // whose `slice` copies nothing
    frame.set(bytes, 100);
    const read = decode(frame.subarray(100, 100 + bytes.length));
    if (read.kind !== 'accept') throw new Error('an Accept');
    const [first, second] = read.entries.map(({ data: view }) => view.buffer);
    expect(first).not.toBe(frame.buffer);
    expect(first).toBe(second);
    frame.fill(0);
    expect(
      Buffer.from(read.entries[0]?.data ?? [])
        .toString()
        .trim(),
    ).toBe('hello');
  });

  it('a long run of no-ops takes three bytes each', () => {
    const entries = Array.from({ length: 8192 }, (_, at) => empty(at + 1, B));
    expect(encode({ kind: 'accept', ballot: B, commit: 0, entries }).length).toBeLessThan(8192 * 3 + 20);
  });
});

describe('what was never written is refused', () => {
  const refuse = (bytes: readonly number[]): void => expect(() => decode(Uint8Array.from(bytes))).toThrow(Malformed);
  /** The bytes of a message whose fields are given as varints. */
  const raw = (kind: number, ...fields: readonly number[]): readonly number[] => {
    const writer = new Writer();
    writer.u8(1);
    writer.u8(kind);
    for (const field of fields) writer.varint(field);
    return [...writer.finish()];
  };

  it.each([
    ['another version', [2, 1, 5, 5]],
    ['no kind', raw(0, B, 1)],
    ['an unknown kind', raw(15, B, 1)],
    ['a ballot of nobody', raw(1, 3 * 65536, 1, 1, 8, 0)],
    ['a ballot of no round', raw(1, 5, 1, 1, 8, 0)],
    ['slot 0 in a Prepare', raw(1, B, 0, 1, 8, 0)],
    ['slot 0 in a CatchUp', raw(9, 1, 0)],
    ['slot 0 in an Accept', [...raw(4, B, 0, 0, 1), 0, 0, 0]],
    ['a slot out of range', raw(1, B, 2 ** 50, 1, 8, 0)],
    ['a flag that is neither', raw(1, B, 1, 2, 8, 0)],
    ['spans that overlap', raw(1, B, 1, 1, 8, 2, 3, 2, B, 5, 0, B)],
    ['a span that goes too far', raw(1, B, 1, 1, 8, 1, 3, 2 ** 48, B)],
    ['a run beyond the last slot', [...raw(4, B, 0, 2 ** 48, 2), 0, 0, 0, 0, 0, 0]],
    ['an Accept of nothing', raw(4, B, 0, 1, 0)],
    ['a Forward of nothing', raw(11, 1, 0)],
    ['a forwarded noop', [...raw(11, 1, 1), 0, 1, 1, 1, 0]],
    ['an empty run', raw(2, B, 1, 0, 0, 0, 0, 1, 3, B, 0)],
    ['overlapping runs', [...raw(2, B, 1, 0, 0, 0, 0, 2, 3, B, 1), 0, 0, 0, ...raw(0, 3, B - 1, 1).slice(2), 0, 0, 0]],
    ['descending runs', [...raw(2, B, 1, 0, 0, 0, 0, 2, 3, B, 1), 0, 0, 0, ...raw(0, 1, B - 1, 1).slice(2), 0, 0, 0]],
    ['a run in two pieces', [...raw(2, B, 1, 0, 0, 0, 0, 2, 3, B, 1), 0, 0, 0, ...raw(0, 4, B, 1).slice(2), 0, 0, 0]],
    ['a page with a gap', [...raw(10, 1, 9, 0, 2, 3, B, 1), 0, 0, 0, ...raw(0, 5, B, 1).slice(2), 0, 0, 0]],
    ['a page beyond what is chosen', [...raw(10, 1, 2, 0, 1, 3, B, 1), 0, 0, 0]],
    ['a noop with data', [...raw(4, B, 0, 1, 1), 0, 0, 1, 7]],
    ['an unknown kind of entry', [...raw(4, B, 0, 1, 1), 3, 0, 0]],
    ['a time before the epoch', [...raw(4, B, 0, 1, 1), 0, 1, 0]],
    ['a time that is too late', [...raw(4, B, 0, 1, 1), 0, ...raw(0, 2 ** 53 - 1).slice(2), 0]],
    ['a range that ends before it begins', raw(5, B, 5, 4, 0)],
    ['a range from nothing to something', raw(5, B, 0, 4, 0)],
    ['a question that ends before it begins', raw(9, 1, 4, 3, 0)],
    ['an unknown reason', [...raw(12, 1), 2, 0]],
    ['a leader that is no replica', [...raw(12, 1), 0, 1, 0x20]],
    ['bytes after the end', [...raw(1, B, 1, 1, 8, 0, 0), 0]],
    ['bytes after the entries', [...raw(4, B, 0, 1, 1), 0, 0, 0, 0]],
  ] as const)('%s', (_, bytes) => refuse(bytes));

  it('while the same without the fault is read', () => {
    expect(decode(Uint8Array.from([...raw(4, B, 0, 1, 1), 0, 0, 0])).kind).toBe('accept');
    expect(
      decode(
        Uint8Array.from([...raw(2, B, 1, 0, 0, 0, 0, 2, 3, B, 1), 0, 0, 0, ...raw(0, 4, B - 1, 1).slice(2), 0, 0, 0]),
      ).kind,
    ).toBe('promise');
    expect(decode(Uint8Array.from([...raw(10, 1, 4, 0, 1, 3, B, 2), 0, 0, 0, 0, 0, 0])).kind).toBe('catchUpReply');
    expect([roundOf(MAX_BALLOT), numberOf(MAX_BALLOT)]).toEqual([MAX_ROUND, 65_535]);
  });

  it('any mutated message, or noise: Malformed or a message, nothing else', () => {
    const changed = fc.tuple(message, fc.nat(), fc.nat(255), fc.boolean()).map(([each, at, byte, cut]) => {
      const bytes = Uint8Array.from(encode(each));
      const place = at % bytes.length;
      if (cut) return bytes.slice(0, place);
      bytes[place] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 50 })), (bytes) => {
        try {
          expect(Buffer.from(encode(decode(bytes)))).toEqual(Buffer.from(bytes));
        } catch (error) {
          if (!(error instanceof Malformed)) throw error;
        }
      }),
      { numRuns: 4000 },
    );
  });

  it('counts that the input does not back allocate nothing', () => {
    const before = process.memoryUsage().heapUsed;
    for (let turn = 0; turn < 300; turn++) {
      refuse(raw(4, B, 0, 1, 2 ** 40));
      refuse(raw(2, B, 1, 0, 0, 0, 0, 2 ** 40));
      refuse([...raw(2, B, 1, 0, 0, 0, 0, 1, 3, B, 2 ** 40), 0, 0]);
      refuse(raw(11, 1, 2 ** 40));
      refuse([...raw(4, B, 0, 1, 1), 1, 1, 1, 1, 255, 255, 255, 255, 15]);
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50 * 1024 * 1024);
  });
});
