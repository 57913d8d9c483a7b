/**
 * What reaches the TCP transport cut, merged, corrupted, stopped and made up: nothing wrong is delivered, nobody else is
 * held up, and the memory that it costs is bounded.
 */

import { Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  ANSWER_FRAME,
  FRAME_BYTES,
  FrameParser,
  HEADER_BYTES,
  PART_OVERHEAD,
  PING_FRAME,
} from '../../src/adapters/tcp-transport/frames.js';
import {
  decodeAnswer,
  decodeHello,
  encodeHello,
  encodeRefused,
  encodeWelcome,
  HANDSHAKE_BYTES,
  HandshakeReader,
  type Hello,
} from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';
import { OutgoingQueue, SCRATCH_BYTES } from '../../src/adapters/tcp-transport/outgoing-queue.js';
import { MOST_STRANGERS } from '../../src/adapters/tcp-transport/strangers.js';
import { MOST_UNHEARD } from '../../src/adapters/tcp-transport/timing.js';
import type { TcpTransport } from '../../src/adapters/tcp-transport/transport.js';
import { Malformed } from '../../src/core/bytes.js';
import { Dialled, frameOf, helloOf, standIn, welcomeOf } from './tcp-sockets.js';
import { freeAddresses, Members, type Member } from './transport-laws.js';

const HOUR = 3_600_000;
const LIMIT = 200_000;
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 31);

/** The stream of a connection that brings these messages, each with a ping behind it. */
function streamOf(messages: readonly Uint8Array[]): Uint8Array {
  const queue = new OutgoingQueue('bulk', 1e9);
  const chunks: Uint8Array[] = [];
  for (const message of messages) {
    queue.push(message);
    while (!queue.isEmpty) {
      chunks.push(Buffer.concat(queue.take(new Uint8Array(SCRATCH_BYTES))));
      queue.left();
    }
    chunks.push(PING_FRAME);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

interface Parsed {
  readonly messages: Uint8Array[];
  readonly pings: number;
  readonly error: unknown;
  /** The most that it held at a time. */
  readonly held: number;
}

/** What a parser makes of chunks, each in memory of its own as from a socket. */
function parse(chunks: readonly Uint8Array[]): Parsed {
  const messages: Uint8Array[] = [];
  let pings = 0;
  let held = 0;
  const parser = new FrameParser(
    LIMIT,
    (message) => messages.push(message),
    () => pings++,
  );
  try {
    for (const chunk of chunks) {
      parser.push(Uint8Array.from(chunk));
      held = Math.max(held, parser.held);
    }
  } catch (error) {
    expect(error).toBeInstanceOf(Malformed);
    return { messages, pings, error, held };
  }
  return { messages, pings, error: null, held };
}

function isPrefix(messages: readonly Uint8Array[], of: readonly Uint8Array[]): boolean {
  return messages.every((message, at) => Buffer.compare(message, of[at] as Uint8Array) === 0);
}

/** The places of a stream that are worth a look: all of a short one, those around each header of a long one. */
function placesIn(stream: Uint8Array): number[] {
  if (stream.length < 1000) return Array.from(stream.keys());
  const places = new Set<number>();
  const view = new DataView(stream.buffer, stream.byteOffset);
  for (let at = 0; at < stream.length; at += HEADER_BYTES + view.getUint32(at, true)) {
    for (let near = at - 3; near < at + PART_OVERHEAD + 3; near++) places.add(near);
  }
  for (let at = 0; at < stream.length; at += 4999) places.add(at);
  return [...places].filter((at) => at >= 0 && at < stream.length);
}

describe('frames', () => {
  const short = [bytesOf(5), new Uint8Array(0), bytesOf(40), bytesOf(3)];
  const long = [bytesOf(70_000), bytesOf(9), bytesOf(150_000)];

  test.each([
    ['small', short],
    ['large', long],
  ])(
    '%s, cut at every place and joined at every other, come out as they went in (transport/whole-frames, transport/length-before-memory)',
    (_, sent) => {
      const stream = streamOf(sent);
      const whole = parse([stream]);
      expect({ ...whole, messages: whole.messages.length }).toMatchObject({ messages: sent.length, error: null });
      expect(whole.pings).toBe(sent.length);
      const places = placesIn(stream);
      for (const [at, cut] of places.entries()) {
        const next = places[(at * 7 + 3) % places.length] as number;
        const [first, second] = cut < next ? [cut, next] : [next, cut];
        const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
        const { messages, pings, error, held } = parse(chunks);
        expect({ pings, error, count: messages.length }).toEqual({
          pings: sent.length,
          error: null,
          count: sent.length,
        });
        expect(isPrefix(messages, sent)).toBe(true);
        expect(held).toBeLessThanOrEqual(Math.min(LIMIT, first + second) + FRAME_BYTES);
      }
    },
  );

  test.each([
    ['small', short],
    ['large', long],
  ])(
    '%s, corrupted at every place in every way, are never delivered wrong (transport/damage-is-refused)',
    (_, sent) => {
      const stream = streamOf(sent);
      let count = 0;
      for (const place of placesIn(stream)) {
        const original = stream[place] as number;
        for (const wrong of [original ^ 1, original ^ 0x80, original ^ 0xff, 0, 0xff]) {
          if (wrong === original) continue;
          count++;
          stream[place] = wrong;
          const { messages, error, held } = parse([stream.subarray(0, place + 1), stream.subarray(place + 1)]);
          expect(error).not.toBeNull();
          expect(messages.length < sent.length + 1 && isPrefix(messages, sent)).toBe(true);
          expect(held).toBeLessThanOrEqual(LIMIT + FRAME_BYTES);
        }
        stream[place] = original;
      }
      expect(count).toBeGreaterThan(300);
    },
  );

  test('with bytes that are missing, twice there or in between are never delivered wrong', () => {
    const stream = streamOf(short);
    for (let at = 0; at < stream.length; at++) {
      for (const length of [1, 2, 14, 15]) {
        const [head, tail] = [stream.subarray(0, at), stream.subarray(at)];
        const missing = parse([head, stream.subarray(at + length)]);
        const repeated = parse([head, stream.subarray(at, at + length), tail]);
        const between = parse([head, new Uint8Array(length), tail]);
        for (const { messages, held } of [missing, repeated, between]) {
          // A whole frame may be gone or come twice, which is a datagram's right; its bytes are right.
          const known = (message: Uint8Array): boolean => short.some((each) => Buffer.compare(each, message) === 0);
          expect(messages.every(known)).toBe(true);
          expect(held).toBeLessThanOrEqual(LIMIT + FRAME_BYTES);
        }
      }
    }
  });
});

describe('handshakes', () => {
  const all: readonly (readonly [string, Uint8Array, (body: Uint8Array) => unknown])[] = [
    ['hello', encodeHello(helloOf({ cluster: 'a cluster' })), decodeHello],
    ['welcome', encodeWelcome({ ...helloOf(), dialer: 'a', maxMessageBytes: 1 << 20 }), decodeAnswer],
    ['refusal', encodeRefused('has a bad day', 'incarnation'), decodeAnswer],
  ];

  /** Where a hello has its versions. */
  const VERSIONS: readonly number[] = [7, 8];

  /** What comes of the bytes of a handshake; undefined if they are no whole one, or malformed. */
  function read(bytes: Uint8Array, step: number, decode: (body: Uint8Array) => unknown): unknown {
    const reader = new HandshakeReader();
    try {
      for (let at = 0; at < bytes.length; at += step) {
        const body = reader.push(bytes.subarray(at, at + step));
        expect(reader.size).toBeLessThanOrEqual(HANDSHAKE_BYTES);
        if (body !== null) return decode(body);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
    }
    return undefined;
  }

  test.each(all)(
    'a %s cut, doubled or corrupted at every place is malformed or another one, and no more',
    (_, bytes, decode) => {
      const right = read(bytes, bytes.length, decode);
      expect(right).toBeDefined();
      for (let place = 0; place < bytes.length; place++) {
        for (const step of [1, 7, 1000]) {
          expect(read(bytes.subarray(0, place), step, decode)).toBeUndefined();
          read(Buffer.concat([bytes.subarray(0, place), bytes]), step, decode);
        }
        for (let bit = 0; bit < 8; bit++) {
          const damaged = Uint8Array.from(bytes);
          damaged[place] = (damaged[place] as number) ^ (1 << bit);
          const other = read(damaged, damaged.length, decode);
          // A hello that offers more versions than ours says the same.
          if (decode !== decodeHello || !VERSIONS.includes(place)) expect(other).not.toEqual(right);
        }
      }
      expect(read(Buffer.concat([bytes, bytes]), 2 * bytes.length, decode)).toBeUndefined();
    },
  );
});

describe('against hostile peers', () => {
  let addresses: Map<string, string>;
  let members: Members;
  const closers: (() => void)[] = [];

  beforeEach(async () => {
    addresses = await freeAddresses(['a', 'b', 'c']);
    members = new Members(() => tcpTransport({ maxMessageBytes: LIMIT, stallTimeout: HOUR }), addresses);
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await members.stop();
    for (const close of closers.splice(0)) close();
  });

  const addressOf = (id: string): string => addresses.get(id) as string;

  function dialled(to: string): Dialled {
    const peer = new Dialled(addressOf(to));
    closers.push(() => peer.socket.destroy());
    return peer;
  }

  /** What is held for the connections that peers opened, however far they are. */
  function incomingOf({ transport }: Member): { sockets: number; strangers: number } {
    const { incoming } = transport as unknown as {
      incoming: { all: Set<unknown>; strangers: { size: number } };
    };
    return { sockets: incoming.all.size, strangers: incoming.strangers.size };
  }

  /** a and c talk to each other, which nothing may hold up. */
  async function withBystander(): Promise<{ a: Member; check: () => Promise<void> }> {
    const a = await members.start('a');
    const c = await members.start('c', { peers: ['a'] });
    await a.told.until(() => a.told.count('connected', 'c') > 0);
    await c.told.until(() => c.told.count('connected', 'a') > 0);
    let sent = 0;
    const check = async (): Promise<void> => {
      sent++;
      expect(a.transport.send('c', Uint8Array.of(sent), 'control')).toBe(true);
      for (const lane of ['control', 'bulk'] as const) {
        expect(c.transport.send('a', Uint8Array.of(sent), lane)).toBe(true);
      }
      const fromC = (): number => a.told.messages.filter(({ from }) => from === 'c').length;
      await c.told.until(() => c.told.messages.length === sent);
      await a.told.until(() => fromC() === 2 * sent);
    };
    return { a, check };
  }

  test('handshakes and frames at random cost a bounded number of sockets and bytes, and reach nobody (transport/bounded-sockets)', async () => {
    const { a, check } = await withBystander();
    const hello = encodeHello(helloOf());
    const good = [frameOf(Uint8Array.of(1)), frameOf(bytesOf(50)), PING_FRAME, streamOf([bytesOf(70_000)])];
    const begin = fc.oneof(
      { weight: 5, arbitrary: fc.constant(hello) },
      { weight: 2, arbitrary: fc.nat(hello.length - 1).map((cut) => hello.subarray(0, cut)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 900 }) },
      {
        weight: 2,
        arbitrary: fc.tuple(fc.nat(hello.length - 1), fc.nat(255)).map(([at, byte]) => {
          const damaged = Uint8Array.from(hello);
          damaged[at] = byte;
          return damaged;
        }),
      },
    );
    const piece = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...good) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 100 }) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(fc.constantFrom(...good), fc.nat(80_000))
          .map(([of, cut]) => of.subarray(0, cut % of.length)),
      },
    );
    const end = fc.constantFrom<'stay' | 'end' | 'reset' | 'deaf'>('stay', 'end', 'reset', 'deaf');
    const lived = fc.record({ begin, pieces: fc.array(piece, { maxLength: 5 }), end });
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(lived, { minLength: 5, maxLength: 15 }), async (lives) => {
        for (const life of lives) {
          opened++;
          const { socket } = dialled('a');
          const isHello = Buffer.compare(life.begin, hello) === 0;
          socket.write(life.begin);
          if (life.end === 'deaf') socket.pause();
          // Most wait for the answer, as frames before it end the connection.
          else if (isHello) await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
          for (const bytes of life.pieces) socket.write(bytes);
          if (life.end === 'end') socket.end();
          if (life.end === 'reset') socket.resetAndDestroy();
        }
        const { sockets, strangers } = incomingOf(a);
        expect(strangers).toBeLessThanOrEqual(MOST_STRANGERS);
        // Of b and c one for each lane and incarnation, of which two are let in, and those that are about to close.
        expect(sockets).toBeLessThanOrEqual(MOST_STRANGERS + 8 + lives.length);
        expect((a.transport as TcpTransport).held('b').incoming).toBeLessThanOrEqual(4 * (LIMIT + FRAME_BYTES));
        await check();
      }),
      { numRuns: 30 },
    );
    expect(opened).toBeGreaterThan(150);
    const whole = [Uint8Array.of(1), bytesOf(50), bytesOf(70_000)];
    const known = (bytes: Uint8Array): boolean => whole.some((each) => Buffer.compare(each, bytes) === 0);
    expect(a.told.messages.filter(({ from }) => from === 'b').every(({ bytes }) => known(bytes))).toBe(true);
    expect(a.told.messages.every(({ from }) => from === 'b' || from === 'c')).toBe(true);
  });

  test('a writer that stops in the middle of a message holds what it sent, and is dropped in the end', async () => {
    const { a, check } = await withBystander();
    const message = streamOf([bytesOf(LIMIT)]);
    for (const lane of ['control', 'bulk'] as const) {
      const peer = dialled('a');
      await peer.ask(encodeHello(helloOf({ lane })));
      peer.socket.write(message.subarray(0, message.length - 100));
    }
    const held = (): number => (a.transport as TcpTransport).held('b').incoming;
    while (held() < LIMIT) await new Promise((resolve) => setImmediate(resolve));
    expect(held()).toBeLessThanOrEqual(2 * (LIMIT + FRAME_BYTES));
    await check();
    const looks = a.transport as unknown as { check(): void };
    // The other one goes on, and stays.
    for (let i = 0; i < 2 * MOST_UNHEARD; i++) {
      looks.check();
      await check();
    }
    expect(a.told.disconnected.slice().sort()).toEqual(['b bulk', 'b control']);
    expect(held()).toBe(0);
    expect(a.told.messages.every(({ from }) => from === 'c')).toBe(true);
  });

  test('a reader that stops, and asks on, costs one answer (transport/bounded-queue)', async () => {
    const { a, check } = await withBystander();
    const peer = dialled('a');
    await peer.ask(encodeHello(helloOf()));
    peer.socket.pause();
    const write = vi.spyOn(Socket.prototype, 'write');
    const own = new Set<Socket>();
    for (let round = 0; round < 300; round++) {
      await new Promise((resolve) => peer.socket.write(PING_FRAME, resolve));
      (a.transport as unknown as { incoming: { check(): void } }).incoming.check();
      if (round % 8 === 0) await check();
      for (const socket of write.mock.contexts as Socket[]) if (socket !== peer.socket) own.add(socket);
      write.mockClear();
      for (const { writableLength } of own) expect(writableLength).toBeLessThanOrEqual(ANSWER_FRAME.length);
    }
    await check();
  });

  test('whoever answers a dial wrongly, at every place, is sent no message, and costs one socket', async () => {
    const right = (hello: Hello): Uint8Array => welcomeOf('b', hello);
    let dials = 0;
    let done = (): void => {};
    const all = new Promise<void>((resolve) => (done = resolve));
    const heard: number[] = [];
    const open = new Set<Socket>();
    let mostOpen = 0;
    const { close } = await standIn(addressOf('b'), (socket, hello) => {
      open.add(socket.on('close', () => open.delete(socket)));
      mostOpen = Math.max(mostOpen, open.size);
      const answer = Uint8Array.from(right(hello));
      const place = dials++;
      socket.on('data', ({ length }) => heard.push(length));
      if (place >= answer.length) {
        done();
        return void socket.write(right(hello));
      }
      // The largest message, at the end, may be any; what is before says who it is.
      answer[place] = (answer[place] as number) ^ 0xff;
      socket.end(place % 3 === 0 ? answer.subarray(0, place) : answer);
    });
    closers.push(close);
    const transport = tcpTransport({ stallTimeout: HOUR, reconnectDelay: { min: 1, max: 1 } });
    const a = await members.start('a', { peers: ['b'], transport });
    const sent = setInterval(() => a.transport.send('b', Uint8Array.of(1), 'bulk'), 1);
    closers.push(() => clearInterval(sent));
    await all;
    clearInterval(sent);
    expect(dials).toBeGreaterThan(20);
    expect(mostOpen).toBeLessThanOrEqual(4);
    expect(a.told.messages).toEqual([]);
    await a.told.until(() => a.transport.connected().length === 1);
  });

  test('an endless stream of answers costs nothing, and anything else ends it', async () => {
    const sockets: Socket[] = [];
    const { close } = await standIn(addressOf('b'), (socket, hello) => {
      socket.write(welcomeOf('b', hello));
      sockets.push(socket);
    });
    closers.push(close);
    const transport = tcpTransport({ stallTimeout: HOUR, reconnectDelay: { min: HOUR } });
    const a = await members.start('a', { peers: ['b'], transport });
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    const many = Buffer.concat(Array.from({ length: 5000 }, () => ANSWER_FRAME));
    for (let round = 0; round < 200; round++) await new Promise((resolve) => sockets[0]?.write(many, resolve));
    expect([a.told.disconnected, (a.transport as TcpTransport).held('b')]).toEqual([[], { outgoing: 0, incoming: 0 }]);
    sockets[0]?.write(ANSWER_FRAME.subarray(0, 5));
    sockets[0]?.write(PING_FRAME);
    await a.told.event('malformed', /only an answer may come/);
    expect(a.told.disconnected).toEqual(['b control']);
  });
});
