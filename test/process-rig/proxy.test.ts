/** Every policy of the chaos proxy, between a plain dialer and a plain server. */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeHello } from '../../src/adapters/tcp-transport/handshake.js';
import { until } from './conditions.js';
import { Proxies, type Policy } from './proxy.js';
import { Random } from './random.js';

const HOST = '127.0.0.1';
const LIMIT = 10_000;
const HELLO = Buffer.from(encodeHello({ cluster: 'x', id: 'a', incarnation: 7, lane: 'control', expected: 'b' }));
const DATA = Buffer.from(Array.from({ length: 20_000 }, (_, at) => at % 251));

/** A server that answers every first byte with `welcome`, and what came to it, connection by connection. */
interface Behind {
  readonly server: Server;
  readonly came: Buffer[];
  readonly sockets: Socket[];
}

let behind: Behind;
let proxies: Proxies;
let port = 0;
let dialers: Socket[] = [];

beforeEach(async () => {
  const came: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const nth = sockets.push(socket) - 1;
    came.push(Buffer.alloc(0));
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write('welcome'));
    socket.on('data', (chunk: Buffer) => void (came[nth] = Buffer.concat([came[nth] as Buffer, chunk])));
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  behind = { server, came, sockets };
  proxies = new Proxies(new Random(1));
  port = Number((await proxies.open('b', { host: HOST, port: (server.address() as AddressInfo).port })).split(':')[1]);
});

afterEach(async () => {
  for (const socket of [...dialers, ...behind.sockets]) socket.destroy();
  dialers = [];
  await proxies.close();
  await new Promise((resolve) => behind.server.close(resolve));
});

interface Dialer {
  readonly socket: Socket;
  heard: string;
  closed: boolean;
}

function dial(): Dialer {
  const socket = connect({ host: HOST, port });
  const dialer: Dialer = { socket, heard: '', closed: false };
  dialers.push(socket);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => void (dialer.heard += chunk.toString()));
  socket.on('close', () => void (dialer.closed = true));
  socket.write(HELLO);
  return dialer;
}

const sent = Buffer.concat([HELLO, DATA]);
const arrived = (nth: number): Buffer => behind.came[nth] ?? Buffer.alloc(0);
const wait = (what: string, is: () => boolean): Promise<true> => until(LIMIT, what, () => (is() ? true : undefined));

/** Dials under a policy and sends everything. */
function through(policy: Policy): Dialer {
  proxies.set('a->b', policy);
  const dialer = dial();
  dialer.socket.write(DATA);
  return dialer;
}

describe('the proxy', () => {
  it('passes everything, both ways', async () => {
    const dialer = through({});
    await wait('all bytes', () => arrived(0).length === sent.length);
    expect(arrived(0).equals(sent)).toBe(true);
    await wait('the answer', () => dialer.heard === 'welcome');
    behind.sockets[0]?.end();
    await wait('the end', () => dialer.closed);
  });

  it('tells links apart by who dials', async () => {
    proxies.set('c->b', { way: 'cut' });
    const dialer = through({});
    await wait('the answer', () => dialer.heard === 'welcome');
  });

  it('cuts connections that are there, and new ones', async () => {
    const first = dial();
    await wait('the answer', () => first.heard === 'welcome');
    proxies.set('a->b', { way: 'cut' });
    await wait('the end of the first', () => first.closed);
    const second = dial();
    await wait('the end of the second', () => second.closed);
    expect(behind.came).toHaveLength(1);
    proxies.heal('a->b');
    const third = dial();
    await wait('the answer', () => third.heard === 'welcome');
  });

  it('half opens: accepts, swallows, and gives up what is torn when it heals', async () => {
    const before = dial();
    await wait('the answer', () => before.heard === 'welcome');
    const dialer = through({ way: 'hole' });
    before.socket.write(DATA);
    await wait('all bytes to be swallowed', () => proxies.counts.swallowed === sent.length + DATA.length);
    expect([before.closed, dialer.closed, dialer.heard]).toEqual([false, false, '']);
    expect(arrived(0).length).toBe(HELLO.length);
    proxies.heal('a->b');
    await wait('both ends', () => before.closed && dialer.closed);
    expect(behind.came).toHaveLength(1);
  });

  it('freezes: what waits arrives when it heals', async () => {
    const dialer = dial();
    await wait('the answer', () => dialer.heard === 'welcome');
    proxies.set('a->b', { way: 'freeze' });
    dialer.socket.write(DATA);
    // What is sent the other way still arrives, so there was time for the frozen bytes too.
    behind.sockets[0]?.write('!');
    await wait('the other way', () => dialer.heard === 'welcome!');
    expect(arrived(0).length).toBe(HELLO.length);
    proxies.heal('a->b');
    await wait('all bytes', () => arrived(0).equals(sent));
  });

  it('mutes what comes back', async () => {
    const dialer = through({ mute: true });
    await wait('all bytes', () => arrived(0).equals(sent));
    await wait('the answer to be swallowed', () => proxies.counts.swallowed === 'welcome'.length);
    expect(dialer.heard).toBe('');
  });

  it('delays', async () => {
    const began = performance.now();
    through({ delay: 80, jitter: 40 });
    await wait('all bytes', () => arrived(0).equals(sent));
    expect(performance.now() - began).toBeGreaterThanOrEqual(80);
  });

  it('throttles', async () => {
    const began = performance.now();
    through({ rate: 100_000 });
    await wait('all bytes', () => arrived(0).equals(sent));
    expect(performance.now() - began).toBeGreaterThanOrEqual((1000 * DATA.length) / 100_000);
  });

  it('flips bits', async () => {
    through({ corrupt: 500 });
    await wait('all bytes', () => arrived(0).length === sent.length);
    const wrong = [...arrived(0)].filter((byte, at) => byte !== sent[at]).length;
    expect(wrong).toBe(proxies.counts.flips);
    expect(wrong).toBeGreaterThan(0);
  });

  it('tears connections after so many bytes', async () => {
    const dialer = through({ truncate: 3000 });
    await wait('the end', () => dialer.closed);
    expect(arrived(0).length).toBeLessThan(sent.length);
    expect(arrived(0).equals(sent.subarray(0, arrived(0).length))).toBe(true);
    expect(proxies.counts.truncations).toBe(1);
  });

  it('has nothing to say to strangers', async () => {
    const socket = connect({ host: HOST, port });
    dialers.push(socket);
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(behind.came).toEqual([]);
  });
});
