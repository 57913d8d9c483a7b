/** Bare sockets that play peers and links for the tests of the TCP transport. */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { WHOLE_OVERHEAD, writeWholeHead } from '../../src/adapters/tcp-transport/frames.js';
import {
  decodeAnswer,
  decodeHello,
  encodeWelcome,
  HandshakeReader,
  type Hello,
} from '../../src/adapters/tcp-transport/handshake.js';

export const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1));

export function frameOf(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(WHOLE_OVERHEAD + message.length);
  writeWholeHead(bytes, 0, message);
  bytes.set(message, WHOLE_OVERHEAD);
  return bytes;
}

export const helloOf = (different: Partial<Hello> = {}): Omit<Hello, 'kind'> => ({
  cluster: 'laws',
  id: 'b',
  incarnation: 1,
  lane: 'control',
  expected: 'a',
  ...different,
});

export const welcomeOf = (id: string, hello: Hello): Uint8Array =>
  encodeWelcome({ cluster: hello.cluster, id, incarnation: 1, dialer: hello.id, maxMessageBytes: 8 << 20 });

/** A socket to an address, which tells what it heard and when it is closed. */
export class Dialled {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  heard: Uint8Array = new Uint8Array(0);

  /** @param from the local address, where that matters */
  constructor(address: string, from?: string) {
    const [host] = address.split(':');
    this.socket = connect({ host: host as string, port: portOf(address), ...(from && { localAddress: from }) });
    this.socket.on('error', () => {}).on('data', (chunk) => (this.heard = Buffer.concat([this.heard, chunk])));
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
  }

  /** Sends, and resolves with what the member says next. */
  async ask(bytes: Uint8Array): Promise<ReturnType<typeof decodeAnswer>> {
    this.socket.write(bytes);
    const [chunk] = (await once(this.socket, 'data')) as [Uint8Array];
    return decodeAnswer(new HandshakeReader().push(chunk) as Uint8Array);
  }
}

/** Listens at an address in the place of a member, and hands over each socket with its hello. */
export async function standIn(
  address: string,
  onHello: (socket: Socket, hello: Hello) => void,
): Promise<{ readonly server: Server; readonly sockets: Set<Socket>; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('data', (chunk) => {
      const hello = decodeHello(new HandshakeReader().push(chunk) as Uint8Array);
      if (hello.kind === 'hello') onHello(socket, hello);
    });
  });
  server.listen(portOf(address), address.slice(0, address.lastIndexOf(':')));
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { server, sockets, close };
}

/**
 * The links to one member, whose paths may die without a word: while a path is dead every byte in both directions is
 * swallowed, ends and resets with them, and who connects is accepted and hears nothing. A connection that lost bytes, or
 * began meanwhile, stays dead after the path is alive again, as a stream with a hole must.
 */
export class Link {
  address = '';
  /** How many bytes were swallowed, and how many connections were ever opened. */
  swallowed = 0;
  connections = 0;
  /** Whether the paths of all dialers are dead, or of which ones. */
  isDead = false;
  readonly deadFor = new Set<string>();
  private readonly target: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly waiting: (() => void)[] = [];
  /** Milliseconds between two pieces of so many bytes, of what the dialers send; unlimited at first. */
  rate: { readonly every: number; readonly bytes: number } | null = null;
  /** Whether what the dialers send waits here. */
  isHeld = false;

  constructor(target: string) {
    this.target = target;
    this.server = createServer((from) => {
      this.connections++;
      this.sockets.add(from.on('error', () => {}));
      from.once('data', (hello) => this.join(from, hello));
    });
  }

  static async to(target: string): Promise<Link> {
    const link = new Link(target);
    link.server.listen(0, '127.0.0.1');
    await once(link.server, 'listening');
    link.address = `127.0.0.1:${(link.server.address() as AddressInfo).port}`;
    return link;
  }

  private join(from: Socket, first: Uint8Array): void {
    const hello = decodeHello(new HandshakeReader().push(first) as Uint8Array);
    const dialer = hello.kind === 'hello' ? hello.id : '';
    let isHoled = false;
    const passes = (): boolean => !(isHoled ||= this.isDead || this.deadFor.has(dialer));
    const swallow = (bytes: Uint8Array): void => void (this.swallowed += bytes.length);
    if (!passes()) {
      swallow(first);
      from.on('data', swallow);
      return;
    }
    const to = connect(portOf(this.target), '127.0.0.1');
    this.sockets.add(to.on('error', () => {}));
    const pass = (chunk: Uint8Array, target: Socket): void => void (passes() ? target.write(chunk) : swallow(chunk));
    pass(first, to);
    to.on('data', (chunk) => pass(chunk, from));
    from.on('data', (chunk) => {
      if (this.isHeld) this.waiting.push(() => pass(chunk, to));
      else if (this.rate === null) pass(chunk, to);
      else this.trickle(from, chunk, (piece) => pass(piece, to));
    });
    from.on('close', () => void (passes() && to.destroy()));
    to.on('close', () => void (passes() && from.destroy()));
  }

  private trickle(from: Socket, chunk: Uint8Array, pass: (piece: Uint8Array) => void): void {
    from.pause();
    const { every, bytes } = this.rate as { every: number; bytes: number };
    const next = (at: number): void => {
      if (at >= chunk.length) return void from.resume();
      pass(chunk.subarray(at, at + bytes));
      setTimeout(() => next(at + bytes), every);
    };
    next(0);
  }

  /** Lets go what was held. */
  release(): void {
    this.isHeld = false;
    for (const pass of this.waiting.splice(0)) pass();
  }

  /** Resets every connection; new ones pass. */
  reset(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
    this.sockets.clear();
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
