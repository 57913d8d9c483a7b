/** The parts of the TCP transport that know no socket: frames, queue, handshakes, addresses, options. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/adapters/crc32c.js';
import { parseAddress } from '../../src/adapters/tcp-transport/address.js';
import { FrameParser, HEADER_BYTES, writeFrameHead } from '../../src/adapters/tcp-transport/frames.js';
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
} from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport, type TcpTransportOptions } from '../../src/adapters/tcp-transport/index.js';
import { OutgoingQueue, PIECE_BYTES } from '../../src/adapters/tcp-transport/outgoing-queue.js';
import { Malformed } from '../../src/core/bytes.js';

const LIMIT = 100_000;
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 31);

/** The stream that a queue makes of these messages. */
function streamOf(messages: readonly Uint8Array[]): Uint8Array {
  const queue = new OutgoingQueue(1e9);
  for (const message of messages) queue.push(message);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = queue.next(() => new Uint8Array(PIECE_BYTES));
    if (piece === null) return Uint8Array.from(Buffer.concat(pieces));
    expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
    pieces.push(piece);
  }
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
        expect(parse(chunks)).toEqual({ messages: sent, error: null });
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

  test.each([0, LIMIT + 2, 2 ** 31, 2 ** 32 - 1])(
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
    const queue = new OutgoingQueue(10_000);
    expect(queue.push(bytesOf(50_000))).toBe(true);
    expect(queue.push(new Uint8Array(0))).toBe(false);
    queue.clear();
    let taken = 0;
    while (queue.push(new Uint8Array(0))) taken++;
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThan(1000);
  });

  test('has room again for what went out', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { minLength: 1, maxLength: 50 }), (sizes) => {
        const queue = new OutgoingQueue(100_000);
        const scratch = (): Uint8Array => new Uint8Array(PIECE_BYTES);
        let sent = 0;
        let out = 0;
        for (const size of sizes) {
          while (!queue.push(new Uint8Array(size))) out += queue.next(scratch)?.length ?? 0;
          sent += size + HEADER_BYTES + 1;
        }
        while (!queue.isEmpty) out += queue.next(scratch)?.length ?? 0;
        expect(out).toBe(sent);
        expect(queue.push(bytesOf(99_000))).toBe(true);
      }),
    );
  });

  test('stays in order over thousands that come and go', () => {
    const queue = new OutgoingQueue(1e9);
    const received: number[] = [];
    const parser = new FrameParser(LIMIT, (message) => received.push(message.length));
    const sent: number[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 700; i++) {
        sent.push((round * 700 + i) % 251);
        queue.push(new Uint8Array((round * 700 + i) % 251));
      }
      parser.push(queue.next(() => new Uint8Array(PIECE_BYTES)) as Uint8Array);
    }
    for (let piece; (piece = queue.next(() => new Uint8Array(PIECE_BYTES))) !== null; ) parser.push(piece);
    expect(received).toEqual(sent);
  });

  test('writes a head as long as it says', () => {
    const target = new Uint8Array(40).fill(0xee);
    writeFrameHead(target, 10, bytesOf(3));
    expect(target.findIndex((byte) => byte !== 0xee)).toBe(10);
    expect(target.subarray(23).every((byte) => byte === 0xee)).toBe(true);
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
    const isPeer = (peer: string): boolean => peer === 'b';
    const named = { cluster: 'one', id: 'b', expected: 'a' };
    const good = { kind: 'hello', ...named, incarnation: 9, lane: 'bulk' } as const;
    expect(refusalOf(good, self, isPeer)).toBeNull();
    expect(refusalOf({ ...good, cluster: 'two', id: 'x' }, self, isPeer)).toMatch(/another cluster/);
    expect(refusalOf({ ...good, id: 'a' }, self, isPeer)).toMatch(/this very replica/);
    expect(refusalOf({ ...good, expected: 'c' }, self, isPeer)).toMatch(/wants to reach c, but this is a/);
    expect(refusalOf({ ...good, id: 'x' }, self, isPeer)).toMatch(/not a member: x/);
    const strange = decodeHello(read(encodeHello(good, { least: 2, greatest: 5 })));
    expect(refusalOf(strange, self, isPeer)).toMatch(/versions 2 to 5/);
    const welcome = { kind: 'welcome', ...self, dialer: 'b', maxMessageBytes: 9 } as const;
    const dialer = { cluster: 'one', id: 'b', incarnation: 1 };
    expect(mismatchOf(welcome, dialer, 'a')).toBeNull();
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
