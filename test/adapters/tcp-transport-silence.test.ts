/** Paths that die without a word, and peers that are only slow: what the TCP transport notices, and what it bears. */

import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ANSWER_FRAME, AnswerReader, FrameParser, PING_FRAME } from '../../src/adapters/tcp-transport/frames.js';
import { encodeHello } from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport, type TcpTransportOptions } from '../../src/adapters/tcp-transport/index.js';
import { MOST_SILENT, MOST_UNHEARD, PROBE_CHECKS } from '../../src/adapters/tcp-transport/timing.js';
import { TcpTransport } from '../../src/adapters/tcp-transport/transport.js';
import { Malformed } from '../../src/core/bytes.js';
import type { TransportLane } from '../../src/replica/transport.js';
import { Dialled, frameOf, helloOf, Link, standIn, welcomeOf } from './tcp-sockets.js';
import { fill, freeAddresses, Members, type Member } from './transport-laws.js';

const LANES: readonly TransportLane[] = ['control', 'bulk'];
const HOUR = 3_600_000;
const closers: (() => void)[] = [];
let addresses: Map<string, string>;
let members: Members;

beforeEach(async () => {
  addresses = await freeAddresses(['a', 'b']);
  members = new Members(() => tcpTransport(), addresses);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await members.stop();
  for (const close of closers.splice(0)) close();
});

const addressOf = (id: string): string => addresses.get(id) as string;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function start(id: string, options: TcpTransportOptions, peers: readonly string[] = []): Promise<Member> {
  return members.start(id, { transport: tcpTransport(options), peers });
}

async function linkTo(id: string): Promise<Link> {
  const link = await Link.to(addressOf(id));
  closers.push(() => link.close());
  return link;
}

/** Members a and b; what a sends goes through the link, b sends nothing. */
async function linked(options: TcpTransportOptions): Promise<{ a: Member; b: Member; link: Link }> {
  const link = await linkTo('b');
  // It answers a, and does not dial it.
  const b = await start('b', { ...options, reconnectDelay: { min: HOUR } }, ['a']);
  const a = await start('a', options);
  a.transport.setPeers([{ id: 'b', address: link.address }]);
  await a.told.until(() => a.told.count('connected', 'b') > 0);
  for (const lane of LANES) a.transport.send('b', Uint8Array.of(0), lane);
  await b.told.until(() => b.told.messages.length === 2);
  return { a, b, link };
}

/** Looks at the connections as its timer would. */
function look(member: Member): void {
  (member.transport as unknown as { check(): void }).check();
}

describe('a path that dies without a word (transport/dead-path)', () => {
  test('is noticed on both lanes, and both come back when it does, with nothing stale', async () => {
    const { a, b, link } = await linked({ stallTimeout: 400 });
    link.isDead = true;
    // All of this is written to sockets that have room for it, or waits for them.
    for (const lane of LANES) {
      for (let i = 0; i < 50; i++) a.transport.send('b', Uint8Array.of(1), lane);
    }
    await a.told.until(() => a.told.disconnected.length === 2);
    expect(a.told.disconnected.slice().sort()).toEqual(['b bulk', 'b control']);
    await a.told.event('disconnected', /control lane: no sign of life for 400 ms/);
    await a.told.until(() => a.told.unreachable.length === 1);
    expect(a.transport.connected()).toEqual([]);
    link.isDead = false;
    await a.told.until(() => a.transport.connected().length === 1);
    for (const lane of LANES) expect(a.transport.send('b', Uint8Array.of(2), lane)).toBe(true);
    await b.told.until(() => b.told.messages.length === 4);
    expect(b.told.messages.map(({ bytes }) => bytes[0])).toEqual([0, 0, 2, 2]);
    expect((a.transport as TcpTransport).held('b').outgoing).toBe(0);
  });

  test('is noticed without a message, too', async () => {
    const { a, link } = await linked({ stallTimeout: 200 });
    link.isDead = true;
    await a.told.until(() => a.told.disconnected.length === 2);
  });

  test('is noticed by who only receives', async () => {
    const { b, link } = await linked({ stallTimeout: 200 });
    link.isDead = true;
    await b.told.until(() => b.told.disconnected.length === 2);
    expect(b.told.disconnected.slice().sort()).toEqual(['a bulk', 'a control']);
  });

  test('is dialled again and again, each time soon, however long it is dead', async () => {
    const { a, link } = await linked({ stallTimeout: 200 });
    link.isDead = true;
    await a.told.until(() => a.told.unreachable.length === 1);
    const delays: number[] = [];
    const { setTimeout } = globalThis;
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((callback: () => void, delay: number) => {
      delays.push(delay);
      return setTimeout(callback, delay);
    }) as typeof setTimeout);
    const before = link.connections;
    const enough = (): boolean => link.connections >= before + 8;
    while (!enough()) await new Promise((resolve) => setTimeout(resolve, 10));
    // Every dial has half of what a connection may be silent, and so has the wait for the next one at most.
    expect(Math.max(...delays)).toBeLessThanOrEqual(100);
    expect(a.told.unreachable).toEqual(['b']);
  });
});

describe('looks at a connection', () => {
  const patient: TcpTransportOptions = { stallTimeout: HOUR, reconnectDelay: { min: HOUR } };

  /** A member a with a connection to a stand-in for b, which answers if it is told to. */
  async function withStandIn(): Promise<{ a: Member; socket: Socket; answer: () => Promise<void> }> {
    let current: Socket | null = null;
    const { close } = await standIn(addressOf('b'), (socket, hello) => {
      current = socket;
      socket.write(welcomeOf('b', hello));
      const parser = new FrameParser(8 << 20, () => {});
      socket.on('data', (chunk) => parser.push(chunk));
    });
    closers.push(close);
    const a = await start('a', patient, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    const answer = async (): Promise<void> => {
      const heard = new Promise((resolve) => {
        const push = vi.spyOn(AnswerReader.prototype, 'push').mockImplementation(() => {
          push.mockRestore();
          resolve(undefined);
        });
      });
      current?.write(ANSWER_FRAME);
      await heard;
    };
    return { a, socket: current as unknown as Socket, answer };
  }

  test('ask for life once in a silence, and end it after so many', async () => {
    const write = vi.spyOn(Socket.prototype, 'write');
    const asked = (): number => write.mock.calls.filter(([bytes]) => bytes === PING_FRAME).length;
    const { a, answer } = await withStandIn();
    for (let silence = 1; silence <= 3; silence++) {
      for (let i = 1; i < MOST_SILENT; i++) look(a);
      expect(asked()).toBe(silence);
      await answer();
      look(a);
    }
    expect(a.told.disconnected).toEqual([]);
    for (let i = 1; i < MOST_SILENT; i++) look(a);
    expect(a.told.disconnected).toEqual([]);
    look(a);
    expect(a.told.disconnected).toEqual(['b control']);
  });

  test('ask nothing of who is heard, however much is sent: no ping for each message', async () => {
    const write = vi.spyOn(Socket.prototype, 'write');
    const { a, answer } = await withStandIn();
    for (let i = 0; i < 50; i++) {
      for (let sent = 0; sent < 20; sent++) a.transport.send('b', Uint8Array.of(1), 'control');
      await turn();
      await answer();
      look(a);
    }
    expect(write.mock.calls.filter(([bytes]) => bytes === PING_FRAME)).toEqual([]);
  });

  test('take no byte that a socket with room accepts for a sign of life', async () => {
    const { a } = await withStandIn();
    for (let i = 0; i < MOST_SILENT; i++) {
      a.transport.send('b', new Uint8Array(1000), 'control');
      await turn();
      look(a);
    }
    expect(a.told.disconnected).toEqual(['b control']);
  });

  test('take a byte that leaves a full socket for one', async () => {
    const { a, socket } = await withStandIn();
    const held = (): number => (a.transport as TcpTransport).held('b').outgoing;
    socket.pause();
    const fillUp = async (): Promise<void> => {
      for (let refused = 0; refused < 20; refused++) {
        if (fill(a, 'b', 'control', new Uint8Array(60_000)) > 0) refused = 0;
        await turn();
      }
    };
    await fillUp();
    look(a);
    for (let i = 0; i < 2 * MOST_SILENT; i++) {
      const before = held();
      socket.resume();
      while (held() >= before) await turn();
      socket.pause();
      await fillUp();
      look(a);
    }
    expect(a.told.disconnected).toEqual([]);
    for (let i = 1; i < MOST_SILENT; i++) look(a);
    expect(a.told.disconnected).toEqual([]);
    look(a);
    expect(a.told.disconnected).toEqual(['b control']);
    expect(held()).toBe(0);
  });

  test('that find it dead reset it, so that what the socket holds does not come after all', async () => {
    const { a, socket } = await withStandIn();
    const ended = new Promise((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)).on('end', () => resolve('end'));
    });
    const pinged = new Promise((resolve) => socket.once('data', resolve));
    look(a);
    await pinged;
    for (let i = 1; i < MOST_SILENT; i++) look(a);
    expect(await ended).toBe('ECONNRESET');
  });

  test('are shortened when the peer dials, who is up then', async () => {
    const { a } = await withStandIn();
    const dials = new Dialled(addressOf('a'));
    closers.push(() => dials.socket.destroy());
    await dials.ask(encodeHello(helloOf()));
    for (let i = 1; i < PROBE_CHECKS; i++) look(a);
    expect(a.told.disconnected).toEqual([]);
    look(a);
    expect(a.told.disconnected).toEqual(['b control']);
  });

  test('by the acceptor answer what came, once each, and end what brings nothing for long', async () => {
    const a = await start('a', patient, ['b']);
    const peer = new Dialled(addressOf('a'));
    closers.push(() => peer.socket.destroy());
    await peer.ask(encodeHello(helloOf()));
    const begin = peer.heard.length;
    const answers = async (count: number): Promise<void> => {
      while (peer.heard.length < begin + count * ANSWER_FRAME.length) await turn();
      expect(peer.heard.length).toBe(begin + count * ANSWER_FRAME.length);
    };
    // The hello was answered already.
    look(a);
    peer.socket.write(frameOf(Uint8Array.of(1)));
    await a.told.until(() => a.told.messages.length === 1);
    look(a);
    look(a);
    await answers(1);
    // Pings are answered at once, as many as come in one piece by one answer.
    peer.socket.write(Buffer.concat([PING_FRAME, PING_FRAME, PING_FRAME]));
    await answers(2);
    look(a);
    look(a);
    for (let i = 2; i < MOST_UNHEARD; i++) look(a);
    await answers(2);
    expect(a.told.disconnected).toEqual([]);
    look(a);
    await peer.closed;
    await a.told.until(() => a.told.disconnected.length === 1);
    expect(a.told.disconnected).toEqual(['b control']);
  });
});

describe('a dial that hangs', () => {
  test('is begun anew when the peer dials, and not before it hangs', async () => {
    const answered: Socket[] = [];
    const silent: Socket[] = [];
    const { close } = await standIn(addressOf('b'), (socket, hello) => {
      if (silent.length === 0) return void silent.push(socket);
      answered.push(socket);
      socket.write(welcomeOf('b', hello));
    });
    closers.push(close);
    // Nothing but the dial of the peer ends the one that hangs.
    const patient = { stallTimeout: 400, handshakeTimeout: HOUR, reconnectDelay: { min: HOUR } };
    const a = await start('a', patient, ['b']);
    for (let dials = 1; a.told.count('connected', 'b') === 0; dials++) {
      expect(dials).toBeLessThan(1000);
      const peer = new Dialled(addressOf('a'));
      closers.push(() => peer.socket.destroy());
      await peer.ask(encodeHello(helloOf()));
    }
    expect([silent.length, answered.length]).toEqual([1, 1]);
    expect(a.told.unreachable).toEqual([]);
  });
});

describe('a peer that is only slow keeps its connections', () => {
  test('while bytes of a large message come to it, however long that takes', async () => {
    const { a, b, link } = await linked({ stallTimeout: 400 });
    // In all, this is five times as long as a connection may be silent.
    link.rate = { every: 30, bytes: 16 << 10 };
    expect(a.transport.send('b', new Uint8Array(1 << 20), 'bulk')).toBe(true);
    await b.told.until(() => b.told.messages.length === 3);
    expect([a.told.disconnected, b.told.disconnected]).toEqual([[], []]);
  });

  test('when its process, or this one, stalls for 1.3 of that time', async () => {
    const { a, b } = await linked({ stallTimeout: 300 });
    for (let stall = 0; stall < 10; stall++) {
      const end = performance.now() + 390;
      while (performance.now() < end) continue;
      for (const lane of LANES) expect(a.transport.send('b', Uint8Array.of(stall), lane)).toBe(true);
      await b.told.until(() => b.told.messages.length === 4 + 2 * stall);
    }
    expect([a.told.disconnected, b.told.disconnected]).toEqual([[], []]);
  });

  test('when what it is sent is held up for less', async () => {
    const { a, b, link } = await linked({ stallTimeout: HOUR });
    link.isHeld = true;
    for (let i = 0; i < 20; i++) a.transport.send('b', Uint8Array.of(i), 'control');
    for (let i = 1; i < MOST_SILENT; i++) look(a);
    link.release();
    await b.told.until(() => b.told.messages.length === 22);
    expect(a.told.disconnected).toEqual([]);
  });
});

describe('a firewall that resets everything', () => {
  test('costs each connection once, and makes nobody unreachable (transport/unreachable-after-redial)', async () => {
    const { a, b, link } = await linked({ stallTimeout: HOUR });
    link.reset();
    await a.told.until(() => a.told.disconnected.length === 2);
    await b.told.until(() => b.told.disconnected.length === 2);
    await a.told.until(() => a.told.count('connected', 'b') === 3);
    expect([a.told.unreachable, b.told.unreachable]).toEqual([[], []]);
  });
});

describe('answers', () => {
  test('are read however they are cut, and nothing else is', () => {
    const stream = Buffer.concat([ANSWER_FRAME, ANSWER_FRAME, ANSWER_FRAME]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new AnswerReader();
      reader.push(stream.subarray(0, cut));
      reader.push(stream.subarray(cut));
    }
    for (let bit = 0; bit < stream.length * 8; bit++) {
      const damaged = Uint8Array.from(stream);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => new AnswerReader().push(damaged)).toThrow(Malformed);
    }
    expect(() => new AnswerReader().push(PING_FRAME)).toThrow(Malformed);
  });

  test('that nobody reads are left out', async () => {
    const a = await start('a', { stallTimeout: HOUR }, ['b']);
    const deaf = new Dialled(addressOf('a'));
    closers.push(() => deaf.socket.destroy());
    await deaf.ask(encodeHello(helloOf()));
    deaf.socket.pause();
    const accepted = new Set<Socket>();
    const write = vi.spyOn(Socket.prototype, 'write');
    // Far more answers than the system's buffers hold, if each ping in its own turn had one.
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => PING_FRAME));
    for (let round = 0; round < 2000; round++) {
      await new Promise((resolve) => deaf.socket.write(pings, resolve));
      for (const socket of write.mock.contexts as Socket[]) if (socket !== deaf.socket) accepted.add(socket);
      for (const socket of accepted) expect(socket.writableLength).toBeLessThanOrEqual(ANSWER_FRAME.length);
      write.mockClear();
    }
    expect(accepted.size).toBe(1);
    // It is heard all the same.
    deaf.socket.write(frameOf(Uint8Array.of(7)));
    await a.told.until(() => a.told.messages.length === 1);
  });
});
