/** The TCP transport over links that are slow, break and come back: a proxy stands between two members. */

import { connect, createServer, Socket, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FRAME_BYTES, FrameParser, HEADER_BYTES, WHOLE_OVERHEAD } from '../../src/adapters/tcp-transport/frames.js';
import { decodeHello, encodeWelcome, HandshakeReader } from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';
import { MOST_UNSENT } from '../../src/adapters/tcp-transport/outgoing-queue.js';
import { TcpTransport } from '../../src/adapters/tcp-transport/transport.js';
import type { TransportLane } from '../../src/replica/transport.js';
import { fill, freeAddresses, Members, type Member } from './transport-laws.js';

const LANES: readonly TransportLane[] = ['control', 'bulk'];
/** Whoever is played here answers no pings, however slow the machine is. */
const PATIENT = { stallTimeout: 3_600_000, handshakeTimeout: 1000, reconnectDelay: { min: 5, max: 10 } };
const closers: (() => void)[] = [];
let addresses: Map<string, string>;
let members: Members;

beforeEach(async () => {
  addresses = await freeAddresses(['a', 'b', 'c']);
  members = new Members(() => tcpTransport(PATIENT), addresses);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await members.stop();
  for (const close of closers.splice(0)) close();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const portOf = (address: string): number => Number(address.split(':')[1]);

/** Passes on what comes for a member; of bulk only as many bytes as were granted. */
class Proxy {
  address = '';
  readonly sockets = new Set<Socket>();
  private granted = Infinity;
  private resume = (): void => {};

  static async to(address: string): Promise<Proxy> {
    const proxy = new Proxy();
    const server = createServer((from) => proxy.join(from, connect(portOf(address), '127.0.0.1')));
    closers.push(() => {
      server.close();
      proxy.cut();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return proxy;
  }

  private join(from: Socket, to: Socket): void {
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    to.on('data', (chunk) => from.write(chunk));
    from.once('data', (chunk) => {
      const hello = decodeHello(new HandshakeReader().push(chunk) as Uint8Array);
      to.write(chunk);
      if (hello.kind === 'hello' && hello.lane === 'bulk') return this.throttle(from, to);
      from.on('data', (more) => to.write(more));
    });
  }

  private throttle(from: Socket, to: Socket): void {
    const pass = (): void => {
      for (;;) {
        const chunk = this.granted > 0 ? (from.read() as Buffer | null) : null;
        if (chunk === null) return;
        const now = chunk.subarray(0, Math.min(chunk.length, this.granted));
        if (now.length < chunk.length) from.unshift(chunk.subarray(now.length));
        this.granted -= now.length;
        to.write(now);
      }
    };
    from.on('readable', pass);
    this.resume = pass;
  }

  /** How many more bytes of bulk may pass. */
  grant(bytes: number): void {
    this.granted = bytes;
    this.resume();
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }
}

/** A message that says its number and length, and whose other bytes follow from the number. */
function numbered(number: number, length: number): Uint8Array {
  const message = new Uint8Array(length).fill(number % 251);
  const view = new DataView(message.buffer);
  view.setUint32(0, number);
  view.setUint32(4, length);
  return message;
}

/** The number of a message, whose bytes are all checked. */
function numberOf(message: Uint8Array): number {
  const view = new DataView(message.buffer, message.byteOffset);
  const number = view.getUint32(0);
  expect(Buffer.compare(message, numbered(number, view.getUint32(4)))).toBe(0);
  return number;
}

/** Members a and b; what a sends goes through the proxy. */
async function throughProxy(): Promise<{ a: Member; b: Member; proxy: Proxy }> {
  const proxy = await Proxy.to(addresses.get('b') as string);
  const b = await members.start('b', { peers: ['a'] });
  const transport = tcpTransport(PATIENT);
  const a = await members.start('a', { peers: [], transport });
  a.transport.setPeers([{ id: 'b', address: proxy.address }]);
  await a.told.until(() => a.told.count('connected', 'b') > 0);
  return { a, b, proxy };
}

describe('a slow link', () => {
  test('lets bursts of control pass a large message of bulk (transport/lanes-apart)', async () => {
    const { a, b, proxy } = await throughProxy();
    proxy.grant(0);
    const large = numbered(1_000_000, 1 << 20);
    expect(a.transport.send('b', large, 'bulk')).toBe(true);
    let sent = 0;
    for (let passed = 0; passed < large.length - FRAME_BYTES; passed += FRAME_BYTES) {
      for (const end = sent + 50; sent < end; sent++) {
        expect(a.transport.send('b', numbered(sent, 100), 'control')).toBe(true);
      }
      await b.told.until(() => b.told.messages.length === sent);
      proxy.grant(FRAME_BYTES);
    }
    expect(b.told.messages.map(({ bytes }) => numberOf(bytes))).toEqual(Array.from({ length: sent }, (_, at) => at));
    proxy.grant(Infinity);
    await b.told.until(() => b.told.messages.length === sent + 1);
    expect(numberOf(b.told.messages.at(-1)?.bytes as Uint8Array)).toBe(1_000_000);
    expect((a.transport as TcpTransport).held('b').outgoing).toBe(0);
    expect((b.transport as TcpTransport).held('a').incoming).toBe(0);
  });

  test('lets what is small pass a large message of its own lane, after what the socket has (transport/lanes-apart)', async () => {
    // It plays b: welcomes, and reads no further until it is told.
    const kinds: ('part' | number)[] = [];
    let socket: Socket | undefined;
    const server = createServer((from) => {
      socket = from.on('error', () => {});
      closers.push(() => from.destroy());
      from.once('data', (chunk) => {
        const hello = decodeHello(new HandshakeReader().push(chunk) as Uint8Array);
        if (hello.kind !== 'hello') throw new Error('expected a hello');
        from.pause();
        const maxMessageBytes = 64 << 20;
        from.write(encodeWelcome({ ...hello, id: 'b', dialer: hello.id, maxMessageBytes }));
      });
    });
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(portOf(members.peer('b').address), '127.0.0.1', resolve));
    const write = vi.spyOn(Socket.prototype, 'write');
    const transport = tcpTransport({ ...PATIENT, maxMessageBytes: 64 << 20 });
    const a = await members.start('a', { peers: ['b'], transport });
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    write.mockClear();
    expect(a.transport.send('b', new Uint8Array(32 << 20), 'control')).toBe(true);
    let written = 0;
    const own = (): Socket => write.mock.contexts.at(-1) as Socket;
    for (let quiet = 0; quiet < 30; quiet++) {
      await turn();
      if (write.mock.calls.length > written) quiet = 0;
      written = write.mock.calls.length;
      if (written > 0) expect(own().writableLength).toBeLessThanOrEqual(MOST_UNSENT);
    }
    const bytes = write.mock.calls.reduce((sum, [piece]) => sum + (piece as Uint8Array).length, 0);
    expect(bytes).toBeLessThan(32 << 20);
    for (let number = 1; number <= 500; number++) a.transport.send('b', numbered(number, 1000), 'control');
    // Now b reads, and sees the frames in their order.
    let stream: Uint8Array = new Uint8Array(0);
    const finished = new Promise<void>((resolve) => {
      const parser = new FrameParser(64 << 20, (message) => {
        if (message.length === 32 << 20) resolve();
      });
      socket?.on('data', (chunk) => {
        stream = Buffer.concat([stream, chunk]);
        for (let length; stream.length >= HEADER_BYTES; stream = stream.subarray(length)) {
          const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
          length = HEADER_BYTES + view.getUint32(0, true);
          if (stream.length < length) break;
          const kind = stream[HEADER_BYTES + 1] as number;
          if (kind < 2) kinds.push(kind === 1 ? 'part' : view.getUint32(WHOLE_OVERHEAD)); // the others are pings
        }
        parser.push(chunk);
      });
    });
    socket?.resume();
    await finished;
    const begin = kinds.findIndex((kind) => kind !== 'part');
    // Nothing but what had been written before goes before them, and one part in their midst.
    expect(begin).toBe(Math.round(bytes / FRAME_BYTES));
    expect(kinds.slice(begin, begin + 501).filter((kind) => kind === 'part').length).toBeLessThanOrEqual(1);
    expect(kinds.filter((kind) => kind !== 'part')).toEqual(Array.from({ length: 500 }, (_, at) => at + 1));
  });
});

describe('a link that breaks', () => {
  test('loses both lanes, says so, and both come back', async () => {
    const { a, b, proxy } = await throughProxy();
    for (const round of [1, 2, 3]) {
      const before = b.told.messages.length;
      for (const lane of LANES) expect(a.transport.send('b', numbered(round, 100), lane)).toBe(true);
      await b.told.until(() => b.told.messages.length === before + 2);
      const known = b.told.disconnected.length;
      proxy.cut();
      await a.told.until(() => a.told.disconnected.length === 2 * round);
      await b.told.until(() => b.told.disconnected.length === known + 2);
      await a.told.until(() => a.told.count('connected', 'b') === 2 * round + 1);
    }
    expect(a.told.disconnected.slice().sort()).toEqual([
      'b bulk',
      'b bulk',
      'b bulk',
      'b control',
      'b control',
      'b control',
    ]);
    expect(b.told.disconnected.slice().sort()).toEqual([
      'a bulk',
      'a bulk',
      'a bulk',
      'a control',
      'a control',
      'a control',
    ]);
    expect([...a.told.unreachable, ...b.told.unreachable]).toEqual([]);
  });

  test('alters nothing, and delivers nothing twice, wherever it breaks (transport/whole-frames)', async () => {
    const { a, b, proxy } = await throughProxy();
    let number = 0;
    const sizes = [8, 100, 3000, 20_000, 65_522, 65_523, 70_000, 300_000];
    for (let round = 1; round <= 12; round++) {
      await a.told.until(() => a.transport.send('b', numbered(number++, 8), 'control'));
      for (let i = 0; i < 60; i++) {
        a.transport.send(
          'b',
          numbered(number++, sizes[(i + round) % sizes.length] as number),
          LANES[i % 2] as TransportLane,
        );
        if (i % 7 === round % 7) await turn();
      }
      // Somewhere amid what is under way.
      const before = b.told.messages.length;
      await b.told.until(() => b.told.messages.length >= before + round);
      const connections = a.told.count('connected', 'b');
      proxy.cut();
      await a.told.until(() => a.told.count('connected', 'b') > connections);
    }
    const numbers = b.told.messages.map(({ bytes }) => numberOf(bytes));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(b.told.count('malformed', 'a')).toBe(0);
  });
});

describe('a peer that never reads', () => {
  test('pins no more than its budget, and slows nobody (transport/bounded-queue)', async () => {
    const server = createServer((from) => {
      closers.push(() => from.destroy());
      from.on('error', () => {});
      from.once('data', (chunk) => {
        const hello = decodeHello(new HandshakeReader().push(chunk) as Uint8Array);
        from.pause();
        if (hello.kind !== 'hello') return;
        from.write(encodeWelcome({ ...hello, id: 'b', dialer: hello.id, maxMessageBytes: 8 << 20 }));
      });
    });
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(portOf(members.peer('b').address), '127.0.0.1', resolve));
    const transport = tcpTransport({ ...PATIENT, queueBytes: { control: 1 << 20, bulk: 2 << 20 } }) as TcpTransport;
    const a = await members.start('a', { transport });
    const c = await members.start('c', { peers: ['a'] });
    for (const id of ['b', 'c']) await a.told.until(() => a.told.count('connected', id) > 0);
    const write = vi.spyOn(Socket.prototype, 'write');
    const sockets = new Set<Socket>();
    let sent = 0;
    let most = 0;
    let mostUnsent = 0;
    for (let quiet = 0; quiet < 20; quiet++) {
      for (const lane of LANES) {
        for (const size of [100, 60_000, 200_000]) if (fill(a, 'b', lane, new Uint8Array(size), 20) > 0) quiet = 0;
      }
      // All that goes to c comes there.
      for (const lane of LANES) expect(a.transport.send('c', numbered(sent++, 1000), lane)).toBe(true);
      most = Math.max(most, transport.held('b').outgoing);
      await c.told.until(() => c.told.messages.length === sent);
      for (const socket of write.mock.contexts as Socket[]) sockets.add(socket);
      write.mockClear();
      for (const { writableLength } of sockets) mostUnsent = Math.max(mostUnsent, writableLength);
    }
    expect(most).toBeGreaterThan(2 << 20);
    expect(most).toBeLessThanOrEqual(3 << 20);
    expect(mostUnsent).toBeGreaterThan(0);
    expect(mostUnsent).toBeLessThanOrEqual(MOST_UNSENT);
    expect(transport.held('c').outgoing).toBe(0);
    // It is let go with the connection.
    transport.setPeers([members.peer('c')]);
    expect(transport.held('b')).toEqual({ outgoing: 0, incoming: 0 });
  });
});
