/** The TCP transport among strangers, liars, the slow and the silent: played by bare sockets. */

import { connect, createServer, Socket, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ANSWER_FRAME, FrameParser, WHOLE_OVERHEAD, writeWholeHead } from '../../src/adapters/tcp-transport/frames.js';
import {
  decodeAnswer,
  decodeHello,
  encodeHello,
  encodeRefused,
  encodeWelcome,
  HandshakeReader,
  type Hello,
} from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport, type TcpTransportOptions } from '../../src/adapters/tcp-transport/index.js';
import type { TransportLane } from '../../src/replica/transport.js';
import { freeAddresses, Members, Recorder, fill, type Member } from './transport-laws.js';

const CLUSTER = 'laws';
const IDS = ['a', 'b', 'c'];
let addresses: Map<string, string>;
let members: Members;
const closers: (() => void)[] = [];

/** Those who are played here answer no pings, and send none, however slow the machine is. */
const PATIENT: TcpTransportOptions = {
  stallTimeout: 3_600_000,
  handshakeTimeout: 1000,
  reconnectDelay: { min: 50, max: 1000 },
};

beforeEach(async () => {
  addresses = await freeAddresses(IDS);
  members = new Members(() => tcpTransport(PATIENT), addresses);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await members.stop();
  for (const close of closers.splice(0)) close();
});

const othersThan = (id: string): string[] => IDS.filter((other) => other !== id);

function start(id: string, options: TcpTransportOptions, peers = othersThan(id)): Promise<Member> {
  return members.start(id, { transport: tcpTransport({ ...PATIENT, ...options }), peers });
}

const portOf = (id: string): number => Number(addresses.get(id)?.split(':')[1]);

/** A bare connection to a member. */
class Raw {
  readonly socket: Socket;
  received: Uint8Array = new Uint8Array(0);
  readonly closed: Promise<void>;

  constructor(to: string) {
    this.socket = connect(portOf(to), '127.0.0.1');
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk) => (this.received = Buffer.concat([this.received, chunk])));
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    closers.push(() => this.socket.destroy());
  }

  /** Sends, and resolves with what the member says next. */
  ask(bytes: Uint8Array): Promise<ReturnType<typeof decodeAnswer>> {
    this.socket.write(bytes);
    return new Promise((resolve) =>
      this.socket.once('data', (chunk) => {
        const body = new HandshakeReader().push(chunk);
        if (body !== null) resolve(decodeAnswer(body));
      }),
    );
  }
}

const helloOf = (different: Partial<Hello> = {}): Omit<Hello, 'kind'> => ({
  cluster: CLUSTER,
  id: 'b',
  incarnation: 7,
  lane: 'control',
  expected: 'a',
  ...different,
});

function frame(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(WHOLE_OVERHEAD + message.length);
  writeWholeHead(bytes, 0, message);
  bytes.set(message, WHOLE_OVERHEAD);
  return bytes;
}

/** Listens in the place of a member, and gives each socket with the body of its hello to `onHello`. */
async function impostor(id: string, onHello: (socket: Socket, hello: Hello) => void): Promise<Server> {
  const server = createServer((socket) => {
    closers.push(() => socket.destroy());
    socket.on('error', () => {});
    socket.once('data', (chunk) => {
      const hello = decodeHello(new HandshakeReader().push(chunk) as Uint8Array);
      if (hello.kind === 'hello') onHello(socket, hello);
    });
  });
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(portOf(id), '127.0.0.1', resolve));
  return server;
}

const welcome = (id: string, hello: Hello): Uint8Array =>
  encodeWelcome({ cluster: hello.cluster, id, incarnation: 1, dialer: hello.id, maxMessageBytes: 8 << 20 });

describe('who dials is refused, with an answer and an event', () => {
  test.each<[string, Partial<Hello>, RegExp]>([
    ['of another cluster (transport/right-peer)', { cluster: 'other' }, /another cluster/],
    ['a stranger (transport/right-peer)', { id: 'x' }, /not a member: x/],
    ['with our own id (transport/right-peer)', { id: 'a' }, /this very replica/],
    ['at the wrong door (transport/right-peer)', { expected: 'c' }, /wants to reach c, but this is a/],
  ])('when %s', async (_, different, reason) => {
    const a = await members.start('a');
    const raw = new Raw('a');
    const answer = await raw.ask(encodeHello(helloOf(different)));
    expect(answer).toMatchObject({ kind: 'refused', reason: expect.stringMatching(reason) });
    const event = await a.told.event('refused', reason);
    expect(event.peer).toBe(different.id ?? 'b');
    await raw.closed;
    expect(a.told.messages).toEqual([]);
  });

  test('when its version is not ours', async () => {
    const a = await members.start('a');
    const answer = await new Raw('a').ask(encodeHello(helloOf(), { least: 2, greatest: 3 }));
    const reason = expect.stringMatching(/versions 2 to 3.*expected 1/);
    expect(answer).toMatchObject({ kind: 'refused', reason });
    await a.told.event('refused', /versions 2 to 3/);
  });

  test.each<[string, Uint8Array]>([
    ['HTTP', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
    ['zeros', new Uint8Array(5000)],
    [
      'a handshake with an endless body (transport/length-before-memory)',
      Uint8Array.of(0x51, 0x55, 0x4f, 0x52, 0xff, 0xff),
    ],
    ['a frame before the answer', Uint8Array.from([...encodeHello(helloOf()), ...frame(Uint8Array.of(1))])],
    ['a welcome', encodeWelcome({ ...helloOf(), dialer: 'a', maxMessageBytes: 1 })],
  ])('when it says %s (transport/damage-is-refused)', async (_, noise) => {
    const a = await members.start('a');
    const raw = new Raw('a');
    raw.socket.write(noise);
    await raw.closed;
    await a.told.event('malformed', /./);
    expect(a.told.messages).toEqual([]);
    expect(raw.received).toHaveLength(0);
  });

  test('when it does not finish its handshake in time, whatever it trickles (transport/handshake-deadline)', async () => {
    const a = await start('a', { handshakeTimeout: 60 });
    const silent = new Raw('a');
    const trickling = new Raw('a');
    const hello = encodeHello(helloOf());
    let at = 0;
    const trickle = (): void => {
      if (at < hello.length - 1) trickling.socket.write(hello.subarray(at, ++at));
    };
    const timer = setInterval(trickle, 5);
    closers.push(() => clearInterval(timer));
    await Promise.all([silent.closed, trickling.closed]);
    await a.told.until(() => a.told.count('refused', null) >= 2);
    expect(a.told.events.every(({ reason }) => /in time/.test(reason))).toBe(true);
  });

  test('once: what it says after that is not heard', async () => {
    const a = await members.start('a');
    const raw = new Raw('a');
    await raw.ask(encodeHello(helloOf({ id: 'x' })));
    raw.socket.write(encodeHello(helloOf()));
    await raw.closed;
    await new Raw('a').ask(encodeHello(helloOf()));
    expect(a.told.events).toHaveLength(1);
  });

  test('and one that only connects and goes is nothing to report', async () => {
    const a = await members.start('a');
    const raw = new Raw('a');
    raw.socket.once('connect', () => raw.socket.end());
    await raw.closed;
    await new Raw('a').ask(encodeHello(helloOf({ id: 'x' })));
    await a.told.event('refused', /not a member/);
    expect(a.told.events).toHaveLength(1);
  });
});

describe('a peer that turns bad is cut off', () => {
  const oversize = new Uint8Array(12);
  new DataView(oversize.buffer).setUint32(0, 0x7fffffff, true);
  new DataView(oversize.buffer).setUint32(4, 0x80000000, true);
  const damaged = frame(Uint8Array.of(1, 2, 3));
  damaged[14] = 99;

  test.each<[string, Uint8Array, RegExp]>([
    ['an oversized frame (transport/length-before-memory)', oversize, /exceeds the limit/],
    ['a damaged frame (transport/damage-is-refused)', damaged, /checksum/],
    ['noise', new Uint8Array(100), /length of a frame is damaged/],
  ])('for %s; what came before is delivered, and it may come back', async (_, bad, reason) => {
    const a = await members.start('a');
    for (const round of [1, 2]) {
      const raw = new Raw('a');
      expect(await raw.ask(encodeHello(helloOf()))).toMatchObject({ kind: 'welcome', id: 'a', dialer: 'b' });
      raw.socket.write(Buffer.concat([frame(Uint8Array.of(5)), bad, frame(Uint8Array.of(6))]));
      await raw.closed;
      await a.told.until(() => a.told.count('malformed', 'b') === round);
      expect(a.told.messages.at(-1)).toEqual({ from: 'b', bytes: Uint8Array.of(5) });
      expect(a.told.messages).toHaveLength(round);
    }
    await a.told.event('malformed', reason);
  });

  test('in the middle of a frame: nothing of it is delivered (transport/whole-frames)', async () => {
    const a = await members.start('a');
    const raw = new Raw('a');
    await raw.ask(encodeHello(helloOf()));
    const whole = frame(new Uint8Array(1000));
    raw.socket.end(Buffer.concat([frame(Uint8Array.of(5)), whole.subarray(0, 500)]));
    await raw.closed;
    expect(a.told.messages).toHaveLength(1);
  });

  test('and the newest connection of a peer and lane replaces the one before (transport/bounded-sockets)', async () => {
    const a = await members.start('a');
    const lanes: TransportLane[] = ['control', 'bulk'];
    const old = lanes.map(() => new Raw('a'));
    for (const [at, lane] of lanes.entries()) await old[at]?.ask(encodeHello(helloOf({ lane })));
    const fresh = new Raw('a');
    await fresh.ask(encodeHello(helloOf()));
    await old[0]?.closed;
    old[1]?.socket.write(frame(Uint8Array.of(1)));
    fresh.socket.write(frame(Uint8Array.of(2)));
    await a.told.until(() => a.told.messages.length === 2);
  });
});

describe('another incarnation', () => {
  test('is refused with the reason, and does not end the connection of the right one', async () => {
    const a = await members.start('a', { peers: ['b'], expects: { b: 7 } });
    const right = new Raw('a');
    await right.ask(encodeHello(helloOf()));
    for (const incarnation of [2, 3, 2]) {
      const stray = new Raw('a');
      const answer = await stray.ask(encodeHello(helloOf({ incarnation })));
      expect(answer).toMatchObject({ kind: 'refused', why: 'incarnation' });
      await stray.closed;
    }
    right.socket.write(frame(Uint8Array.of(2)));
    await a.told.until(() => a.told.messages.length === 1);
    expect(a.told.count('refused', 'b')).toBe(3);
  });

  test('takes no connection away while nobody knows which is the right one; two are open at a time', async () => {
    const a = await members.start('a', { peers: ['b'] });
    const first = new Raw('a');
    await first.ask(encodeHello(helloOf()));
    const later: Raw[] = [];
    for (const incarnation of [2, 3]) {
      const stray = new Raw('a');
      later.push(stray);
      await stray.ask(encodeHello(helloOf({ incarnation })));
    }
    await later[0]?.closed;
    for (const open of [first, later[1] as Raw]) open.socket.write(frame(Uint8Array.of(1)));
    await a.told.until(() => a.told.messages.length === 2);
    a.transport.setPeers([members.peer('b', 7)]);
    await later[1]?.closed;
    first.socket.write(frame(Uint8Array.of(1)));
    await a.told.until(() => a.told.messages.length === 3);
  });
});

describe('who is dialled', () => {
  test.each<[string, 'refused' | 'malformed', (hello: Hello) => Uint8Array, RegExp]>([
    ['refuses', 'refused', () => encodeRefused('has a bad day'), /b at .* refused us: .*bad day/],
    ['is of another cluster', 'refused', (h) => welcome('b', { ...h, cluster: 'x' }), /another cluster/],
    ['is somebody else (transport/right-peer)', 'refused', (h) => welcome('c', h), /is c, expected b/],
    ['takes us for another', 'refused', (h) => welcome('b', { ...h, id: 'z' }), /takes us for z/],
    ['speaks something else', 'malformed', () => Buffer.from('SSH-2.0-OpenSSH_9'), /not the protocol/],
    ['talks on', 'malformed', (h) => Buffer.concat([welcome('b', h), Buffer.from([1])]), /bytes follow/],
  ])('gets no message when it %s; told once, dialled again', async (_, kind, answer, reason) => {
    let dials = 0;
    let enough = (): void => {};
    const thrice = new Promise<void>((resolve) => (enough = resolve));
    await impostor('b', (socket, hello) => {
      socket.write(answer(hello));
      if (++dials === 3) enough();
    });
    const a = await start('a', { reconnectDelay: { min: 5, max: 10 } }, ['b']);
    const event = await a.told.event(kind, reason);
    expect(event.peer).toBe('b');
    await thrice;
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(false);
    expect(a.told.events).toHaveLength(1);
    expect(a.told.unreachable).toEqual([]);
  });

  test('and does not answer is given up in time (transport/handshake-deadline)', async () => {
    await impostor('b', () => {});
    const a = await start('a', { handshakeTimeout: 50 }, ['b']);
    await a.told.event('refused', /did not answer the handshake in time/);
  });

  test('and is oneself is refused on both ends', async () => {
    const a = await members.start('a', { peers: [] });
    a.transport.setPeers([{ id: 'b', address: addresses.get('a') as string }]);
    await a.told.event('refused', /refused us: this replica has the id of this very replica/);
    expect(a.told.events.filter(({ kind }) => kind === 'refused')).toHaveLength(2);
  });

  test('and speaks after its welcome is cut off, and reported lost', async () => {
    await impostor('b', (socket, hello) => {
      socket.write(welcome('b', hello));
      socket.once('data', () => socket.write('more'));
    });
    const a = await start('a', {}, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    a.transport.send('b', Uint8Array.of(1), 'control');
    await a.told.event('malformed', /only an answer may come/);
    expect(a.told.disconnected).toEqual(['b control']);
  });

  test('and takes less than we do is not sent more', async () => {
    const a = await start('a', { maxMessageBytes: 9000 }, ['b']);
    const b = await start('b', { maxMessageBytes: 2000 }, ['a']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    await b.told.until(() => b.told.count('connected', 'a') === 1);
    expect(a.transport.send('b', new Uint8Array(2001), 'control')).toBe(false);
    expect(a.transport.send('b', new Uint8Array(2000), 'control')).toBe(true);
    expect(b.transport.send('a', new Uint8Array(2001), 'control')).toBe(false);
    await b.told.until(() => b.told.messages.length === 1);
    expect(b.told.unreachable).toEqual([]);
  });

  test('is dialled at once when it dials us, however long we would wait', async () => {
    const patient = { reconnectDelay: { min: 3_000_000, max: 3_000_000 } };
    const a = await start('a', patient, ['b']);
    // Its dial has failed by the time that this one gets its answer.
    await new Raw('a').ask(encodeHello(helloOf({ id: 'x' })));
    await start('b', patient, ['a']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
  });

  test('stays connected when the time for handshakes is over', async () => {
    const a = await start('a', { handshakeTimeout: 40 }, ['b']);
    const b = await start('b', { handshakeTimeout: 40 }, ['a']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    await b.told.until(() => b.told.count('connected', 'a') === 1);
    // These two began later, and their time is over.
    await Promise.all([new Raw('a').closed, new Raw('b').closed]);
    await new Promise((resolve) => setImmediate(resolve));
    a.transport.send('b', Uint8Array.of(1), 'control');
    b.transport.send('a', Uint8Array.of(1), 'control');
    await a.told.until(() => a.told.messages.length === 1);
    await b.told.until(() => b.told.messages.length === 1);
    expect([a.told.unreachable, b.told.unreachable]).toEqual([[], []]);
  });

  test('and breaks is reported at once, once for each time, and dialled again', async () => {
    let current: Socket | undefined;
    await impostor('b', (socket, hello) => {
      socket.write(welcome('b', hello));
      current = socket;
    });
    const a = await start('a', { reconnectDelay: { min: 5, max: 10 } }, ['b']);
    for (const round of [1, 2, 3]) {
      await a.told.until(() => a.told.count('connected', 'b') === round);
      if (round === 2) current?.destroy();
      else current?.resetAndDestroy();
      await a.told.until(() => a.told.disconnected.length === round);
    }
    await a.told.until(() => a.told.count('connected', 'b') === 4);
    expect(a.told.disconnected).toEqual(['b control', 'b control', 'b control']);
    expect(a.told.count('disconnected', 'b')).toBe(3);
    // It could be reached again each time.
    expect(a.told.unreachable).toEqual([]);
  });
});

describe('a lost control connection is dialled again at once (transport/unreachable-after-redial)', () => {
  /** An hour, so that only a dial without a wait comes in time. */
  const patient: TcpTransportOptions = { reconnectDelay: { min: 3_600_000, max: 3_600_000 } };

  test('so a reset makes nobody unreachable', async () => {
    const sockets: Socket[] = [];
    await impostor('b', (socket, hello) => {
      sockets.push(socket);
      socket.write(welcome('b', hello));
    });
    const a = await start('a', patient, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    sockets[0]?.resetAndDestroy();
    await a.told.until(() => a.told.count('connected', 'b') === 2);
    expect([a.told.disconnected, a.told.unreachable]).toEqual([['b control'], []]);
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(true);
    // One that keeps breaking is dialled less and less often.
    sockets[1]?.resetAndDestroy();
    await a.told.until(() => a.told.disconnected.length === 2);
    await new Raw('a').ask(encodeHello(helloOf({ id: 'x' })));
    expect(sockets).toHaveLength(2);
    expect(a.told.unreachable).toEqual([]);
  });

  test.each(['does not listen', 'refuses', 'breaks off', 'speaks something else'])(
    'and is unreachable, once, if it %s',
    async (how) => {
      let first: Socket | undefined;
      let server: Server | undefined = undefined;
      server = await impostor('b', (socket, hello) => {
        if (first === undefined) {
          first = socket;
          socket.write(welcome('b', hello));
        } else if (how === 'refuses') socket.end(encodeRefused('has a bad day'));
        else if (how === 'breaks off') socket.destroy();
        else socket.write('SSH-2.0-OpenSSH_9');
      });
      const a = await start('a', patient, ['b']);
      await a.told.until(() => a.told.count('connected', 'b') === 1);
      let before: string[] = [];
      a.told.onLost = () => (before = [...a.told.disconnected]);
      if (how === 'does not listen') server.close();
      first?.resetAndDestroy();
      await a.told.until(() => a.told.unreachable.length > 0);
      expect(before).toEqual(['b control']);
      await new Raw('a').ask(encodeHello(helloOf({ id: 'x' })));
      expect([a.told.disconnected, a.told.unreachable]).toEqual([['b control'], ['b']]);
    },
  );

  test('also at another address', async () => {
    await impostor('b', (socket, hello) => socket.write(welcome('b', hello)));
    const a = await start('a', patient, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    // Nobody listens there.
    a.transport.setPeers([{ id: 'b', address: addresses.get('c') as string }]);
    await a.told.until(() => a.told.unreachable.length > 0);
    expect([a.told.disconnected, a.told.unreachable]).toEqual([['b control'], ['b']]);
  });
});

describe('a connection that a peer dialled', () => {
  test.each(['control', 'bulk'] as const)('is reported when it is lost: %s', async (lane) => {
    const a = await members.start('a');
    const raw = new Raw('a');
    await raw.ask(encodeHello(helloOf({ lane })));
    raw.socket.destroy();
    await a.told.until(() => a.told.disconnected.length > 0);
    expect(a.told.disconnected).toEqual([`b ${lane}`]);
    expect(a.told.unreachable).toEqual([]);
  });

  test('is not reported when it was refused, nor when its peer is none any more', async () => {
    const a = await members.start('a');
    await new Raw('a').ask(encodeHello(helloOf({ id: 'x' })));
    const raw = new Raw('a');
    await raw.ask(encodeHello(helloOf()));
    a.transport.setPeers([]);
    await raw.closed;
    await new Raw('a').ask(encodeHello(helloOf({ id: 'y' })));
    expect(a.told.disconnected).toEqual([]);
  });
});

describe('a peer that does not read', () => {
  /** Welcomes both lanes of `a`, reads control, and of bulk nothing but the hello. */
  async function deafInBulk(): Promise<{ heard: Recorder }> {
    const heard = new Recorder();
    await impostor('b', (socket, hello) => {
      if (hello.lane === 'bulk') socket.pause();
      const deliver = (message: Uint8Array): void => heard.onMessage(hello.lane, message);
      const parser = new FrameParser(8 << 20, deliver, () => void socket.write(ANSWER_FRAME));
      socket.on('data', (chunk) => parser.push(chunk));
      if (hello.lane === 'bulk') socket.pause();
      socket.write(welcome('b', hello));
    });
    return { heard };
  }

  test('in bulk gets its heartbeats, costs bounded memory, and delays nobody (transport/lanes-apart, transport/bounded-queue)', async () => {
    const { heard } = await deafInBulk();
    const a = await start('a', {}, ['b', 'c']);
    const c = await start('c', {}, ['a']);
    await a.told.until(() => a.told.count('connected', 'b') > 0 && a.told.count('connected', 'c') > 0);
    let taken = 0;
    // Until the kernel's buffers and the queue are full, and no turn of the event loop makes room.
    for (let refused = 0; refused < 20; ) {
      const more = fill(a, 'b', 'bulk', new Uint8Array(60_000));
      taken += more;
      refused = more === 0 ? refused + 1 : 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(taken * 60_000).toBeLessThan(64 << 20);
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(true);
    await heard.until(() => heard.messages.length === 1);
    expect(heard.messages).toEqual([{ from: 'control', bytes: Uint8Array.of(1) }]);
    expect(a.transport.send('c', Uint8Array.of(2), 'bulk')).toBe(true);
    await c.told.until(() => c.told.messages.length === 1);
  });

  test.each([
    [200, 1e6],
    // Pieces so small that the socket takes more while it still holds some.
    [200, 20],
    [60_000, 1e6],
  ])('but then does gets all that was taken, in order: of %i bytes, %i a turn', async (size, most) => {
    const heard = new Recorder();
    let deaf: Socket | undefined;
    await impostor('b', (socket, hello) => {
      const parser = new FrameParser(8 << 20, (message) => heard.onMessage(hello.lane, message));
      socket.on('data', (chunk) => parser.push(chunk));
      if (hello.lane === 'bulk') deaf = socket.pause();
      socket.write(welcome('b', hello));
    });
    const write = vi.spyOn(Socket.prototype, 'write');
    const a = await start('a', { queueBytes: { bulk: 1 << 20 } }, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    let taken = 0;
    let mostUnsent = 0;
    for (let refused = 0; refused < 20; ) {
      const before = taken;
      for (; taken - before < most; taken++) {
        const message = new Uint8Array(size);
        new DataView(message.buffer).setUint32(0, taken);
        if (!a.transport.send('b', message, 'bulk')) break;
      }
      refused = taken === before ? refused + 1 : 0;
      await new Promise((resolve) => setImmediate(resolve));
      const sockets = write.mock.contexts as Socket[];
      for (const socket of new Set(sockets)) mostUnsent = Math.max(mostUnsent, socket.writableLength);
      write.mockClear();
    }
    expect(mostUnsent).toBeGreaterThan(0);
    expect(mostUnsent).toBeLessThanOrEqual(128 * 1024);
    deaf?.resume();
    await heard.until(() => heard.messages.length === taken);
    const numbers = heard.messages.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
    expect(numbers.every((number, at) => number === at)).toBe(true);
  });

  test('and breaks loses what waited: the next connection begins with a whole new frame (transport/whole-frames)', async () => {
    const heard = new Recorder();
    const sockets: Socket[] = [];
    await impostor('b', (socket, hello) => {
      const parser = new FrameParser(8 << 20, (message) => heard.onMessage(hello.lane, message));
      socket.on('data', (chunk) => parser.push(chunk));
      if (sockets.push(socket) === 1) socket.pause();
      socket.write(welcome('b', hello));
    });
    const a = await start('a', { reconnectDelay: { min: 5, max: 10 } }, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    for (let refused = 0; refused < 20; refused++) {
      if (fill(a, 'b', 'control', new Uint8Array(60_000)) > 0) refused = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    sockets[0]?.destroy();
    await a.told.until(() => a.told.count('connected', 'b') === 2);
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(true);
    await heard.until(() => heard.messages.length > 0);
    expect(heard.messages).toEqual([{ from: 'control', bytes: Uint8Array.of(1) }]);
  });

  test('is cut off in the end, on that lane only', async () => {
    await deafInBulk();
    const a = await start('a', { stallTimeout: 80 }, ['b']);
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    const more = setInterval(() => fill(a, 'b', 'bulk', new Uint8Array(1 << 20)), 1);
    closers.push(() => clearInterval(more));
    await a.told.event('disconnected', /bulk lane: no sign of life for 80 ms/);
    expect(a.told.unreachable).toEqual([]);
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(true);
  });
});

describe('listening', () => {
  test.each(['nowhere', '127.0.0.1:0', ''])('is refused at %o', async (address) => {
    const transport = tcpTransport();
    const self = { id: 'a', address };
    const misuse = transport.start({ cluster: CLUSTER, id: 'a', incarnation: 1 }, self, [], new Recorder());
    await expect(misuse).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  test.each([
    [{ cluster: '' }, /cluster/],
    [{ cluster: 'x'.repeat(257) }, /cluster/],
    [{ id: 'not an id' }, /id/],
    [{ id: 'b' }, /self\.id/],
    [{ incarnation: -1 }, /incarnation/],
    [{ id: 1n as never }, /^id: expected .*, got 1$/],
    [{ incarnation: Symbol('x') as never }, /^incarnation: expected .*, got Symbol\(x\)$/],
  ])('is refused to %o', async (different, name) => {
    const identity = { cluster: CLUSTER, id: 'a', incarnation: 1, ...different };
    const misuse = tcpTransport().start(identity, members.peer('a'), [], new Recorder());
    const message = expect.stringMatching(name);
    await expect(misuse).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message });
  });

  test('on a port that is taken fails with the cause', async () => {
    await impostor('a', () => {});
    const error = { code: 'ERR_TRANSPORT_FAILED', cause: expect.objectContaining({ code: 'EADDRINUSE' }) };
    await expect(members.start('a')).rejects.toMatchObject(error);
  });

  test('on another address than peers dial', async () => {
    const [, port] = (addresses.get('c') as string).split(':');
    const a = await start('a', { listen: `127.0.0.1:${port}` }, ['b']);
    const b = await members.start('b', { peers: [] });
    b.transport.setPeers([{ id: 'a', address: addresses.get('c') as string }]);
    await b.told.until(() => b.told.count('connected', 'a') > 0);
    b.transport.send('a', Uint8Array.of(1), 'control');
    await a.told.until(() => a.told.messages.length === 1);
  });

  test('on IPv6, and by name', async () => {
    const six = await freeAddresses(['a', 'b'], '::1').catch(() => null);
    const byName = new Map([...addresses].map(([id, at]) => [id, at.replace('127.0.0.1', 'localhost')]));
    for (const places of six === null ? [byName] : [six, byName]) {
      const here = new Members(() => tcpTransport(), places);
      const [a, b] = (await here.startAll('a', 'b')) as [Member, Member];
      a.transport.send('b', Uint8Array.of(1), 'control');
      await b.told.until(() => b.told.messages.length === 1);
      await here.stop();
    }
  });

  test('that is stopped before it has begun does not begin', async () => {
    const transport = tcpTransport();
    const starting = members.start('a', { transport });
    const stopping = transport.stop();
    await expect(starting).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await stopping;
    await expect(members.start('a')).resolves.toBeDefined();
  });
});
