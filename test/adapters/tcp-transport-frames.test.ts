/** The parts of the TCP transport that know no socket: frames, queue, handshakes, addresses, options. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, crc32cOfBoth } from '../../src/core/crc32c.js';
import { parseAddress } from '../../src/adapters/tcp-transport/address.js';
import {
  FRAME_BYTES,
  FrameParser,
  HEADER_BYTES,
  LARGEST_WHOLE,
  PART_BYTES,
  PART_OVERHEAD,
  WHOLE_OVERHEAD,
  writePartHead,
  writeWholeHead,
} from '../../src/adapters/tcp-transport/frames.js';
import {
  decodeAnswer,
  decodeHello,
  encodeHello,
  encodeRefused,
  encodeWelcome,
  HANDSHAKE_BYTES,
  HandshakeReader,
  mismatchOf,
  refusalOf,
  type ExpectedPeer,
} from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport, type TcpTransportOptions } from '../../src/adapters/tcp-transport/index.js';
import { MOST_UNSENT, OutgoingQueue, SCRATCH_BYTES } from '../../src/adapters/tcp-transport/outgoing-queue.js';
import { Malformed } from '../../src/core/bytes.js';
import type { TransportLane } from '../../src/replica/transport.js';

const LIMIT = 100_000;
const lanes: readonly TransportLane[] = ['control', 'bulk'];
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 31);

/** What a socket is given next, all of which has left when this returns. */
function taken(queue: OutgoingQueue): Uint8Array {
  const bytes = Uint8Array.from(Buffer.concat(queue.take(new Uint8Array(SCRATCH_BYTES))));
  expect(bytes.length).toBeLessThanOrEqual(MOST_UNSENT);
  queue.left();
  return bytes;
}

/** The stream that a queue makes of these messages. */
function streamOf(messages: readonly Uint8Array[], lane: TransportLane = 'bulk'): Uint8Array {
  const queue = new OutgoingQueue(lane, 1e9);
  for (const message of messages) queue.push(message);
  const chunks: Uint8Array[] = [];
  while (!queue.isEmpty) chunks.push(taken(queue));
  return Uint8Array.from(Buffer.concat(chunks));
}

/** The lengths of the frames in a stream. */
function framesOf(stream: Uint8Array): number[] {
  const lengths: number[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset);
  for (let at = 0; at < stream.length; at += lengths.at(-1) as number) {
    lengths.push(HEADER_BYTES + view.getUint32(at, true));
  }
  return lengths;
}

/** What a parser makes of chunks, each in memory of its own as from a socket; `error` if it gave up. */
function parse(chunks: readonly Uint8Array[]): { messages: Uint8Array[]; error: unknown } {
  const messages: Uint8Array[] = [];
  const parser = new FrameParser(LIMIT, (message) => messages.push(message));
  try {
    for (const chunk of chunks) parser.push(chunk.slice());
  } catch (error) {
    expect(error).toBeInstanceOf(Malformed);
    return { messages, error };
  }
  return { messages, error: null };
}

describe('CRC-32C', () => {
  test.each([
    [new TextEncoder().encode('123456789'), 0xe3069283],
    [new Uint8Array(0), 0],
    // RFC 3720, B.4
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, at) => at), 0x46dd794e],
  ])('of published vectors', (bytes, sum) => expect(crc32c(bytes)).toBe(sum));

  test('goes on where it stopped, and looks at its range only', () => {
    const cut = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(cut, cut, cut, (a, b, c) => {
        const all = Uint8Array.from([...a, ...b, ...c]);
        expect(crc32c(b, 0, b.length, crc32c(a))).toBe(crc32c(Uint8Array.from([...a, ...b])));
        expect(crc32c(all, a.length, a.length + b.length)).toBe(crc32c(b));
      }),
    );
  });

  test('of two runs comes from those of each, whatever their lengths', () => {
    const first = Uint8Array.from({ length: 77 }, (_, at) => at * at);
    const lengths = fc.oneof(fc.nat(300), fc.nat(2 ** 21));
    fc.assert(
      fc.property(fc.nat(77), lengths, (cut, length) => {
        const [a, b] = [first.subarray(0, cut), new Uint8Array(length).fill(cut + 1)];
        expect(crc32cOfBoth(crc32c(a), crc32c(b), length)).toBe(crc32c(b, 0, length, crc32c(a)));
      }),
    );
  });
});

describe('frames', () => {
  const message = fc.oneof(
    { weight: 8, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    { weight: 1, arbitrary: fc.integer({ min: 10_000, max: LIMIT }).map(bytesOf) },
  );

  test('come out as they went in, however the stream is cut and joined (transport/whole-frames)', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), fc.infiniteStream(fc.nat(3000)), (sent, sizes) => {
        const stream = streamOf(sent);
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value as number;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const { messages, error } = parse(chunks);
        expect(error).toBeNull();
        expect(messages.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
        expect(Buffer.concat(messages).equals(Buffer.concat(sent))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  const three = [bytesOf(5), new Uint8Array(0), bytesOf(40)];
  test('come out whole or not at all at every cut, and byte by byte (transport/whole-frames)', () => {
    const stream = streamOf(three);
    for (let cut = 0; cut <= stream.length; cut++) {
      const begin = parse([stream.subarray(0, cut)]);
      expect(begin).toEqual({ messages: three.slice(0, begin.messages.length), error: null });
      if (cut < stream.length) expect(begin.messages.length).toBeLessThan(3);
      expect(parse([stream.subarray(0, cut), stream.subarray(cut)]).messages).toEqual(three);
    }
    expect(parse([...stream].map((byte) => Uint8Array.of(byte))).messages).toEqual(three);
  });

  test('with any one bit wrong are never delivered wrong (transport/damage-is-refused)', () => {
    const stream = streamOf(three);
    for (let bit = 0; bit < stream.length * 8; bit++) {
      const damaged = stream.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const { messages, error } = parse([damaged]);
      expect(error).not.toBeNull();
      expect(messages).toEqual(three.slice(0, messages.length));
      expect(messages.length).toBeLessThan(3);
    }
  });

  test('made of noise are malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 200 }), (noise) => {
        expect(parse([noise]).error).toBeInstanceOf(Malformed);
      }),
    );
  });

  test.each([0, 1, FRAME_BYTES - HEADER_BYTES + 1, 2 ** 31, 2 ** 32 - 1])(
    'of a length of %i are refused by their header, before memory is taken for them (transport/length-before-memory)',
    (length) => {
      const header = new DataView(new ArrayBuffer(HEADER_BYTES));
      header.setUint32(0, length, true);
      header.setUint32(4, ~length >>> 0, true);
      const bytes = new Uint8Array(header.buffer);
      expect(parse([bytes]).error).toBeInstanceOf(Malformed);
      expect(parse([bytes.subarray(0, 3), bytes.subarray(3)]).error).toBeInstanceOf(Malformed);
    },
  );

  test('of a large message come out whole, however they are cut, with small ones between (transport/whole-frames)', () => {
    const large = [bytesOf(LIMIT), bytesOf(LARGEST_WHOLE + 1)];
    const parts = large.map((message) => streamOf([message]));
    const small = streamOf([bytesOf(9)]);
    for (const [at, stream] of parts.entries()) {
      const [first = 0] = framesOf(stream);
      expect(first).toBe(FRAME_BYTES);
      const between = Uint8Array.from(Buffer.concat([stream.subarray(0, first), small, stream.subarray(first), small]));
      const expected = [bytesOf(9), large[at], bytesOf(9)];
      const ends = [1, 11, HEADER_BYTES, PART_OVERHEAD, first, first + small.length, between.length];
      for (const end of ends) {
        for (const cut of [end - 1, end, end + 1]) {
          const { messages, error } = parse([between.subarray(0, cut), between.subarray(cut)]);
          expect(error).toBeNull();
          expect(messages.map(({ length }) => length)).toEqual(expected.map((message) => message?.length));
          expect(Buffer.concat(messages).equals(Buffer.concat(expected as Uint8Array[]))).toBe(true);
        }
      }
    }
  });

  test('of a large message that is cut anywhere are not delivered, and hold no more than came', () => {
    const stream = streamOf([bytesOf(LIMIT)]);
    fc.assert(
      fc.property(fc.nat(stream.length - 1), fc.integer({ min: 500, max: 70_000 }), (cut, step) => {
        const parser = new FrameParser(LIMIT, () => expect.unreachable());
        let isBounded = true;
        for (let at = 0; at < cut; at += step) {
          parser.push(stream.slice(at, Math.min(cut, at + step)));
          isBounded &&= parser.held <= Math.min(LIMIT, at + step) + FRAME_BYTES;
        }
        expect(isBounded).toBe(true);
      }),
    );
  });

  /** A part as a liar may write it. */
  function part(total: number, length: number): Uint8Array {
    const bytes = new Uint8Array(PART_OVERHEAD + length);
    bytes[HEADER_BYTES + 1] = 1;
    const view = new DataView(bytes.buffer);
    view.setUint32(HEADER_BYTES + 2, total, true);
    view.setUint32(0, bytes.length - HEADER_BYTES, true);
    view.setUint32(4, ~(bytes.length - HEADER_BYTES) >>> 0, true);
    view.setUint32(8, crc32c(bytes, HEADER_BYTES), true);
    return bytes;
  }

  test.each<[string, Uint8Array[], RegExp]>([
    ['above the limit', [part(LIMIT + 1, PART_BYTES)], /exceeds the limit/],
    ['of four gigabytes', [part(2 ** 32 - 1, PART_BYTES)], /exceeds the limit/],
    ['that would fit in one frame', [part(LARGEST_WHOLE, LARGEST_WHOLE - 8)], /comes in parts/],
    ['of no byte', [part(0, 0)], /comes in parts/],
    ['in crumbs', [part(LIMIT, 1)], /1 bytes, expected 65518/],
    ['in empty parts', [part(LIMIT, 0)], /0 bytes, expected 65518/],
    ['with a tail too long', [part(LIMIT, PART_BYTES), part(LIMIT, PART_BYTES)], /expected 34482/],
    ['within another', [part(LIMIT, PART_BYTES), part(LIMIT - 1, PART_BYTES)], /begins within another/],
  ])(
    'of a message %s are malformed, before memory is taken for it (transport/length-before-memory)',
    (_, frames, why) => {
      expect(String(parse(frames).error)).toMatch(why);
      expect(parse(frames).messages).toEqual([]);
    },
  );

  test('of an unknown kind, and parts without a length, are malformed', () => {
    for (const [kind, body] of [
      [2, 10],
      [3, 2],
      [255, 2],
      [1, 2],
      [1, 5],
    ] as const) {
      const bytes = new Uint8Array(HEADER_BYTES + body);
      bytes[HEADER_BYTES + 1] = kind;
      const view = new DataView(bytes.buffer);
      view.setUint32(0, body, true);
      view.setUint32(4, ~body >>> 0, true);
      view.setUint32(8, crc32c(bytes, HEADER_BYTES), true);
      expect(String(parse([bytes]).error)).toMatch(
        kind === 1 ? /a part is empty/ : kind === 2 ? /a ping is not empty/ : /unknown kind/,
      );
    }
  });

  test('of liars in any order deliver only whole messages, and never hold more than a message and a frame', () => {
    const good = fc.constantFrom(bytesOf(5), bytesOf(70_000), bytesOf(LIMIT)).map((message) => [streamOf([message])]);
    const size = fc.constantFrom(0, 1, 70_000 - PART_BYTES, LIMIT - PART_BYTES, PART_BYTES - 1, PART_BYTES);
    const bad = fc.tuple(fc.constantFrom(70_000, LIMIT, LIMIT + 1, 2 ** 31), size).map(([t, l]) => [part(t, l)]);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(good, bad), { maxLength: 8 }),
        fc.integer({ min: 900, max: 90_000 }),
        (all, step) => {
          const stream = Uint8Array.from(Buffer.concat(all.flat()));
          const lengths: number[] = [];
          let isBounded = true;
          const parser = new FrameParser(LIMIT, ({ length }) => lengths.push(length));
          try {
            for (let at = 0; at < stream.length; at += step) {
              parser.push(stream.slice(at, at + step));
              isBounded &&= parser.held <= LIMIT + FRAME_BYTES;
            }
          } catch (error) {
            expect(error).toBeInstanceOf(Malformed);
          }
          expect(isBounded && lengths.every((length) => [5, 70_000, LIMIT].includes(length))).toBe(true);
        },
      ),
    );
  });

  test('of a message of the limit pass, and of one more do not', () => {
    expect(parse([streamOf([bytesOf(LIMIT)])]).messages).toHaveLength(1);
    expect(parse([streamOf([bytesOf(LIMIT + 1)])]).error).toBeInstanceOf(Malformed);
  });

  test('of a group that is not there are malformed', () => {
    const stream = streamOf([bytesOf(5)]);
    stream[HEADER_BYTES] = 1;
    new DataView(stream.buffer).setUint32(8, crc32c(stream, HEADER_BYTES), true);
    expect(String(parse([stream]).error)).toMatch(/group/);
  });

  test('do not keep a large chunk alive for a small message', () => {
    const { messages } = parse([streamOf([...Array<Uint8Array>(500).fill(bytesOf(20)), bytesOf(16_000)])]);
    expect(messages).toHaveLength(501);
    for (const { length, buffer } of messages) expect(buffer.byteLength).toBeLessThanOrEqual(2 * length + 64);
  });
});

describe('the queue', () => {
  test('keeps to its budget, also with empty messages, and takes one that is larger (transport/bounded-queue)', () => {
    const queue = new OutgoingQueue('control', 10_000);
    expect(queue.push(bytesOf(50_000))).toBe(true);
    expect(queue.push(new Uint8Array(0))).toBe(false);
    queue.clear();
    let count = 0;
    while (queue.push(new Uint8Array(0))) count++;
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(1000);
    expect(queue.bytes).toBeLessThanOrEqual(10_000);
  });

  test('of control keeps half of its budget for small messages, whatever large ones wait (transport/bounded-queue)', () => {
    for (const first of [60_000, 120_000, 500_000]) {
      const queue = new OutgoingQueue('control', 200_000);
      const large = new Uint8Array(Math.max(first, LARGEST_WHOLE + 1));
      expect(queue.push(large)).toBe(true);
      // A second one has half of the budget with the first, or waits until that is gone.
      expect(queue.push(new Uint8Array(70_000))).toBe(false);
      let small = 0;
      while (queue.push(new Uint8Array(900))) small += 900;
      expect(small).toBeGreaterThan(80_000);
      expect(queue.bytes).toBeLessThanOrEqual(Math.max(200_000, large.length + 128 + 100_000));
    }
    const full = new OutgoingQueue('control', 200_000);
    while (full.push(new Uint8Array(900))) continue;
    expect(full.bytes).toBeLessThanOrEqual(200_000);
    expect(full.push(new Uint8Array(70_000))).toBe(false);
  });

  test.each(lanes)('of %s has room again for what has left, and not before', (lane) => {
    fc.assert(
      fc.property(fc.array(fc.nat(200_000), { minLength: 1, maxLength: 50 }), (sizes) => {
        const queue = new OutgoingQueue(lane, 300_000);
        const scratch = new Uint8Array(SCRATCH_BYTES);
        let out = 0;
        const pass = (): void => {
          const before = queue.bytes;
          for (const piece of queue.take(scratch)) out += piece.length;
          expect(queue.bytes).toBe(before);
          queue.left();
        };
        for (const size of sizes) while (!queue.push(new Uint8Array(size))) pass();
        while (!queue.isEmpty) pass();
        expect(out).toBe(streamOf(sizes.map((size) => new Uint8Array(size))).length);
        expect(queue.bytes).toBe(0);
      }),
    );
  });

  test.each(lanes)('of %s stays in order over thousands that come and go', (lane) => {
    const queue = new OutgoingQueue(lane, 1e9);
    const received: number[] = [];
    const parser = new FrameParser(LIMIT, (message) => received.push(message.length));
    const sent: number[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 700; i++) {
        sent.push((round * 700 + i) % 251);
        queue.push(new Uint8Array((round * 700 + i) % 251));
      }
      parser.push(taken(queue));
    }
    while (!queue.isEmpty) parser.push(taken(queue));
    expect(received).toEqual(sent);
  });

  test('of bulk stays in order whatever the sizes, and makes of each message the fewest frames', () => {
    const size = fc.oneof(fc.nat(300), fc.nat(LIMIT), fc.constantFrom(LARGEST_WHOLE, LARGEST_WHOLE + 1));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 30 }), (sizes) => {
        const stream = streamOf(sizes.map(bytesOf));
        expect(parse([stream]).messages.map(({ length }) => length)).toEqual(sizes);
        const count = (length: number): number => (length <= LARGEST_WHOLE ? 1 : Math.ceil(length / PART_BYTES));
        expect(framesOf(stream)).toHaveLength(sizes.reduce((sum, length) => sum + count(length), 0));
      }),
    );
  });

  test('gives a socket no frame above its limit, and at most two of that size', () => {
    const queue = new OutgoingQueue('bulk', 1e9);
    for (const size of [1, 1_000_000, 17_000, 17_000, 3, LARGEST_WHOLE, 16_000, 16_000, 16_000, 16_000, 70_000]) {
      queue.push(bytesOf(size));
    }
    while (!queue.isEmpty) {
      const pieces = queue.take(new Uint8Array(SCRATCH_BYTES));
      const bytes = Uint8Array.from(Buffer.concat(pieces));
      queue.left();
      expect(bytes.length).toBeGreaterThan(0);
      expect(bytes.length).toBeLessThanOrEqual(2 * FRAME_BYTES);
      // Whole frames: the next write may begin with any other.
      const frames = framesOf(bytes);
      expect(frames.reduce((sum, length) => sum + length, 0)).toBe(bytes.length);
      expect(Math.max(...frames)).toBeLessThanOrEqual(FRAME_BYTES);
    }
  });

  test('writes heads as long as it says', () => {
    const target = new Uint8Array(60).fill(0xee);
    writeWholeHead(target, 10, bytesOf(3));
    expect(target.findIndex((byte) => byte !== 0xee)).toBe(10);
    expect(target.subarray(10 + WHOLE_OVERHEAD).every((byte) => byte === 0xee)).toBe(true);
    writePartHead(target.fill(0xee), 10, bytesOf(LIMIT), 0, PART_BYTES);
    expect(target.findIndex((byte) => byte !== 0xee)).toBe(10);
    expect(target.subarray(10 + PART_OVERHEAD).every((byte) => byte === 0xee)).toBe(true);
  });
});

describe('a control connection with large messages (transport/lanes-apart)', () => {
  /** Numbered messages through a queue to a socket. */
  class Line {
    readonly queue: OutgoingQueue;
    readonly received: Uint8Array[] = [];
    private readonly parser = new FrameParser(8 << 20, (message) => this.received.push(message));

    constructor(budget = 1e9) {
      this.queue = new OutgoingQueue('control', budget);
    }

    small(number: number, length = 100): void {
      const message = new Uint8Array(length);
      new DataView(message.buffer).setUint32(0, number);
      this.queue.push(message);
    }

    /** What the socket is given; it holds it until `left`. */
    take(): readonly (number | 'part')[] {
      const bytes = Uint8Array.from(Buffer.concat(this.queue.take(new Uint8Array(SCRATCH_BYTES))));
      this.parser.push(bytes.slice());
      const view = new DataView(bytes.buffer);
      const frames: (number | 'part')[] = [];
      for (let at = 0; at < bytes.length; at += HEADER_BYTES + view.getUint32(at, true)) {
        frames.push(bytes[at + HEADER_BYTES + 1] === 1 ? 'part' : view.getUint32(at + WHOLE_OVERHEAD));
      }
      return frames;
    }
  }

  test('sends what is small first, and of a large message one frame at a time', () => {
    const line = new Line();
    line.queue.push(bytesOf(200_000));
    line.small(1);
    line.small(2);
    expect(line.take()).toEqual([1, 2, 'part']);
    // The socket has not passed it on: no second part joins it.
    expect(line.take()).toEqual([]);
    line.small(3);
    expect(line.take()).toEqual([3]);
    line.queue.left();
    line.small(4);
    expect(line.take()).toEqual([4, 'part']);
    for (let rest = 0; rest < 2; rest++) {
      line.queue.left();
      expect(line.take()).toEqual(['part']);
    }
    expect(line.queue.isEmpty).toBe(true);
    expect(line.received.map(({ length }) => length)).toEqual([100, 100, 100, 100, 200_000]);
    expect(bytesOf(200_000).every((byte, at) => byte === line.received[4]?.[at])).toBe(true);
  });

  test('lets no message wait for more than one of its frames, nor the large one for ever', () => {
    const LARGE = 300_000;
    const sizes = fc.array(fc.integer({ min: 4, max: 30_000 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 30 }), (turns) => {
        const line = new Line();
        line.queue.push(new Uint8Array(LARGE));
        /** Parts that went or were under way since each small message came, by its number. */
        const partsAhead = new Map<number, number>();
        let isPartOut = false;
        let number = 0;
        let mostAhead = 0;
        for (let turn = 0; !line.queue.isEmpty; turn++) {
          for (const length of turns[turn] ?? []) {
            line.small(++number, length);
            partsAhead.set(number, isPartOut ? 1 : 0);
          }
          for (const frame of line.take()) {
            if (frame === 'part') {
              isPartOut = true;
              for (const [waiting, ahead] of partsAhead) partsAhead.set(waiting, ahead + 1);
            } else {
              mostAhead = Math.max(mostAhead, partsAhead.get(frame) as number);
              partsAhead.delete(frame);
            }
          }
          // Sometimes the socket is slow, and more comes while it holds what it was given.
          if (turn % 3 !== 1) {
            line.queue.left();
            isPartOut = false;
          }
        }
        expect(mostAhead).toBeLessThanOrEqual(1);
        expect(line.received.some(({ length }) => length === LARGE)).toBe(true);
        const small = line.received.filter(({ length }) => length < LARGE);
        const numbers = small.map((message) => new DataView(message.buffer, message.byteOffset).getUint32(0));
        expect(numbers).toEqual(Array.from({ length: number }, (_, at) => at + 1));
      }),
    );
  });

  test('brings a large one through a stream of small ones that never ends', () => {
    const line = new Line(2 << 20);
    line.queue.push(bytesOf(1 << 20));
    let turns = 0;
    for (; line.received.every(({ length }) => length < 1 << 20); turns++) {
      // More comes than leaves.
      for (let i = 0; i < 3; i++) line.small(turns, 60_000);
      line.take();
      line.queue.left();
    }
    expect(turns).toBeGreaterThan(20);
    // A part goes at the latest when a queue full of small ones has gone: 17 parts, 1 MiB of small ones.
    expect(turns).toBeLessThan(17 * 20);
  });

  test('sends two large ones one after the other', () => {
    const stream = streamOf([bytesOf(150_000), bytesOf(200_000), bytesOf(5)], 'control');
    const messages: Uint8Array[] = [];
    new FrameParser(1 << 20, (message) => messages.push(message)).push(stream);
    expect(messages.map(({ length }) => length)).toEqual([5, 150_000, 200_000]);
  });
});

describe('the handshake', () => {
  const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
  const identity = fc.record({
    cluster: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }),
    id,
    incarnation: fc.maxSafeNat(),
  });
  const read = (stream: Uint8Array): Uint8Array => {
    const body = new HandshakeReader().push(stream);
    if (body === null) throw new Error('incomplete');
    return body;
  };

  test('says what was meant, byte by byte too', () => {
    const lane = fc.constantFrom('control' as const, 'bulk' as const);
    fc.assert(
      fc.property(identity, lane, id, fc.nat(), (self, ofLane, other, maxMessageBytes) => {
        const hello = { ...self, lane: ofLane, expected: other };
        expect(decodeHello(read(encodeHello(hello)))).toEqual({ kind: 'hello', ...hello });
        const welcome = { ...self, dialer: other, maxMessageBytes };
        const bytes = encodeWelcome(welcome);
        const reader = new HandshakeReader();
        for (const byte of bytes.subarray(0, -1)) expect(reader.push(Uint8Array.of(byte))).toBeNull();
        const body = reader.push(bytes.subarray(-1)) as Uint8Array;
        expect(decodeAnswer(body)).toEqual({ kind: 'welcome', ...welcome });
      }),
    );
  });

  test('carries a reason that is short and fit for a log', () => {
    const answer = decodeAnswer(read(encodeRefused(`bell \u0007, ä, ${'long '.repeat(100)}`)));
    const reason = expect.stringMatching(/^bell \?, \?, [ -~]{100,190}$/);
    expect(answer).toMatchObject({ kind: 'refused', reason });
  });

  test('of noise, and of a damaged one, is malformed or something else, and nothing worse (transport/damage-is-refused, transport/length-before-memory)', () => {
    const hello = encodeHello({ cluster: 'c', id: 'a', incarnation: 1, lane: 'bulk', expected: 'b' });
    const damaged = fc
      .tuple(fc.nat(hello.length - 1), fc.nat(255))
      .map(([at, value]) => Uint8Array.from(hello, (byte, i) => (i === at ? value : byte)));
    const headed = fc.uint8Array({ maxLength: 80 }).map((noise) => {
      return Uint8Array.from([...hello.subarray(0, 4), noise.length, 0, ...noise]);
    });
    fc.assert(
      fc.property(fc.oneof(damaged, headed, fc.uint8Array({ maxLength: 2000 })), (noise) => {
        for (const decode of [decodeHello, decodeAnswer]) {
          try {
            const body = new HandshakeReader().push(noise);
            if (body !== null) decode(body);
          } catch (error) {
            expect(error).toBeInstanceOf(Malformed);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['another protocol', new TextEncoder().encode('GET / HTTP/1.1')],
    ['the first wrong byte', new TextEncoder().encode('QX')],
    ['a length above the limit', Uint8Array.of(0x51, 0x55, 0x4f, 0x52, 0xff, 0xff)],
    ['more than the limit at once', new Uint8Array(HANDSHAKE_BYTES + 1)],
    ['bytes behind it', Uint8Array.of(0x51, 0x55, 0x4f, 0x52, 1, 0, 3, 0)],
  ])('refuses %s at once', (_, bytes) => {
    expect(() => new HandshakeReader().push(bytes)).toThrow(Malformed);
  });

  test('is refused for the first reason there is (transport/right-peer)', () => {
    const self = { cluster: 'one', id: 'a', incarnation: 1 };
    const isPeer = (peer: string): ExpectedPeer | undefined => (peer === 'b' ? { incarnation: null } : undefined);
    const knows = (incarnation: number) => (): ExpectedPeer => ({ incarnation });
    const refused = (why: string, reason: RegExp): unknown => ({ why, reason: expect.stringMatching(reason) });
    const named = { cluster: 'one', id: 'b', expected: 'a' };
    const good = { kind: 'hello', ...named, incarnation: 9, lane: 'bulk' } as const;
    expect(refusalOf(good, self, isPeer)).toBeNull();
    expect(refusalOf(good, self, knows(9))).toBeNull();
    expect(refusalOf(good, self, knows(8))).toEqual(refused('incarnation', /incarnation 9, expected 8/));
    expect(refusalOf({ ...good, cluster: 'two', id: 'x' }, self, isPeer)).toEqual(refused('other', /another cluster/));
    expect(refusalOf({ ...good, id: 'a' }, self, isPeer)).toEqual(refused('other', /this very replica/));
    expect(refusalOf({ ...good, expected: 'c' }, self, isPeer)).toEqual(
      refused('other', /wants to reach c, but this is a/),
    );
    expect(refusalOf({ ...good, id: 'x' }, self, isPeer)).toEqual(refused('other', /not a member: x/));
    const strange = decodeHello(read(encodeHello(good, { least: 2, greatest: 5 })));
    expect(refusalOf(strange, self, isPeer)).toEqual(refused('other', /versions 2 to 5/));
    const welcome = { kind: 'welcome', ...self, dialer: 'b', maxMessageBytes: 9 } as const;
    const dialer = { cluster: 'one', id: 'b', incarnation: 1 };
    expect(mismatchOf(welcome, dialer, 'a')).toBeNull();
    expect(mismatchOf(welcome, dialer, 'a', { incarnation: 1 })).toBeNull();
    expect(mismatchOf(welcome, dialer, 'a', { incarnation: 2 })).toMatch(/incarnation 1, expected 2/);
    expect(mismatchOf({ ...welcome, cluster: 'two' }, dialer, 'a')).toMatch(/another cluster/);
    expect(mismatchOf(welcome, dialer, 'c')).toMatch(/is a, expected c/);
    expect(mismatchOf({ ...welcome, dialer: 'x' }, dialer, 'a')).toMatch(/takes us for x/);
  });

  test('understands a newer dialer that speaks our version too', () => {
    const hello = encodeHello(
      { cluster: 'c', id: 'a', incarnation: 1, lane: 'control', expected: 'b' },
      { least: 1, greatest: 2 },
    );
    const longer = Uint8Array.from([...read(hello), 1, 2, 3]);
    expect(decodeHello(longer)).toMatchObject({ kind: 'hello', id: 'a', expected: 'b' });
  });
});

describe('addresses', () => {
  test.each([
    ['127.0.0.1:7001', '127.0.0.1', 7001],
    ['[::1]:1', '::1', 1],
    ['node-3.example.org:65535', 'node-3.example.org', 65535],
  ])('%s', (text, host, port) => expect(parseAddress(text, 'x')).toEqual({ host, port }));

  test.each([
    '',
    '7001',
    ':7001',
    'host',
    'host:',
    'host:0',
    'host:65536',
    'host:+1',
    'host:1e3',
    'host:7001 ',
    '::1:7001',
    '[::1]',
    '[::1]:',
    '[host]:1',
    '[]:1',
    'a/b:1',
    'http://a:1',
    'a b:1',
    'host:007001',
    undefined,
    7001,
  ])('not %s', (text) => {
    expect(() => parseAddress(text, 'address of b')).toThrow(/^address of b: expected host:port/);
  });
});

describe('options', () => {
  test.each([
    [{ listen: 'nowhere' }, /tcpTransport: listen: expected host:port/],
    [{ maxMessageBytes: 0 }, /maxMessageBytes: expected an integer from 1024 to/],
    [{ maxMessageBytes: 2 ** 31 }, /maxMessageBytes/],
    [{ maxMessageBytes: '9999' }, /maxMessageBytes.*got string/],
    [{ queueBytes: 5 }, /queueBytes: expected an object/],
    [{ queueBytes: { bulk: -1 } }, /queueBytes\.bulk/],
    [{ queueBytes: { other: 1 } }, /queueBytes: unknown other/],
    [{ handshakeTimeout: NaN }, /handshakeTimeout/],
    [{ stallTimeout: Infinity }, /stallTimeout/],
    [{ reconnectDelay: { min: 100, max: 50 } }, /reconnectDelay\.max: expected an integer from 100/],
    [{ tsl: {} }, /unknown tsl/],
    [null, /options: expected an object/],
  ])('refuses %o', (options, message) => {
    const misuse = (): unknown => tcpTransport(options as TcpTransportOptions);
    expect(misuse).toThrow(message);
    expect(misuse).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  test('have defaults', () => {
    expect(tcpTransport().maxMessageBytes).toBe(8 * 1024 * 1024);
    expect(tcpTransport({ maxMessageBytes: 4096, queueBytes: { bulk: 5000 } }).maxMessageBytes).toBe(4096);
  });
});
